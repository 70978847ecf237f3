"""Looks for what nobody's step made in an environment's namespace, below its prefixes and under its names.

Addresses are those that a step of that kind would give: a key that somebody wrote over by hand is both a change of its
step and unexpected, under one kind and address, until a repair has put it right.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from environments.domain.environment import Incident, ResourceRef, Unexpected
from environments.domain.names import kv_prefix, service_prefix
from environments.providers.consul.access import POLICY_KIND, AccessControl, policy_name
from environments.providers.consul.kv import step_flags
from environments.providers.consul.prefix import MARKER, PREFIX_KIND, KeyValueStore, whose_prefix
from environments.providers.consul.services import Catalogue
from environments.providers.nomad.incidents import KILLED_FROM_OUTSIDE, LIKELY_CAUSE, killed_from_outside
from environments.providers.nomad.job import JOB_KIND
from environments.providers.nomad.namespace import NAMESPACE_KIND, whose_namespace
from environments.providers.nomad.ports import Scheduler
from environments.providers.vault.certificate import ROLE_KIND, ROLES, CertificateAuthority
from environments.providers.vault.folder import folder_marker
from environments.providers.vault.ports import MOUNT, SecretStore
from environments.providers.vault.secret import SECRET_KIND
from environments.steps.base import Owner, Presence
from environments.steps.marks import MARK

ALLOCATIONS_KIND = "nomad.allocations"
VARIABLE_KIND = "nomad.variable"
VOLUME_KIND = "nomad.volume"
_MOST = 1000
"""Strange secrets that are told at most."""

SERVICE_KIND = "consul.service"
ENTRY_KIND = "consul.config-entry"

Known = frozenset[ResourceRef]


class NomadLookout:
    """Jobs, what still runs of forgotten ones, variables and volumes in the environment's namespace."""

    part: ClassVar[str] = "Nomad"

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def unexpected(self, owner: Owner, known: Known, steps: frozenset[str]) -> Sequence[Unexpected]:
        """Nothing is told of the inside of a namespace that isn't ours, but that it is there."""
        metadata = self._scheduler.namespace(owner.name)
        if metadata is None:
            return ()
        if whose_namespace(metadata, owner) is Presence.FOREIGN:
            return [Unexpected(kind=NAMESPACE_KIND, address=owner.name, detail="doesn't bear this environment's mark")]
        outside = [] if _knows(known, NAMESPACE_KIND, owner.name) else [_stray(NAMESPACE_KIND, owner.name, "")]
        return [*outside, *self._inside(owner.name, known)]

    def _inside(self, namespace: str, known: Known) -> Iterator[Unexpected]:
        jobs, running = self._scheduler.jobs(namespace), self._scheduler.running(namespace)
        for job in jobs:
            # A run of a periodic or parameterized job is named after it, and comes and goes with it.
            family = {job, job.partition("/periodic-")[0], job.partition("/dispatch-")[0]}
            if not any(_knows(known, JOB_KIND, f"{namespace}/{name}") for name in family):
                yield _stray(JOB_KIND, f"{namespace}/{job}", _run(running.get(job, 0)))
        for job, count in running.items():
            if job not in jobs:
                yield _stray(ALLOCATIONS_KIND, f"{namespace}/{job}", f"{_run(count)} of a job that Nomad has forgotten")
        for path in self._scheduler.variables(namespace):
            yield _stray(VARIABLE_KIND, f"{namespace}/{path}", "")
        for volume in self._scheduler.volumes(namespace):
            yield _stray(VOLUME_KIND, f"{namespace}/{volume}", "")


class NomadWitness:
    """Tells of the containers of an environment's jobs."""

    part: ClassVar[str] = "Nomad"

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def incidents(self, known: frozenset[ResourceRef]) -> Sequence[Incident]:
        """What Nomad remembers: it forgets all but the last ten events of a task, and ended allocations in time."""
        found = []
        for ref in sorted(known, key=lambda ref: ref.address):
            if ref.kind != JOB_KIND:
                continue
            namespace, _, job = ref.address.partition("/")
            for at, allocation, task in killed_from_outside(self._scheduler.allocations(namespace, job)[1]):
                detail = f"task {task} of allocation {allocation[:8]}: {KILLED_FROM_OUTSIDE}. {LIKELY_CAUSE}."
                moment = datetime.fromtimestamp(at // 1000 / 1_000_000, UTC)
                found.append(Incident(at=moment, kind=JOB_KIND, address=ref.address, detail=detail))
        return found


class ConsulLookout:
    """Keys below the prefix that no step wrote, services that no job registered, what is configured for services."""

    part: ClassVar[str] = "Consul"

    def __init__(self, store: KeyValueStore, access: AccessControl, catalogue: Catalogue) -> None:
        self._store = store
        self._access = access
        self._catalogue = catalogue

    def unexpected(self, owner: Owner, known: Known, steps: frozenset[str]) -> Sequence[Unexpected]:
        """Also the policy that jobs of the environment get, if no step of it made that."""
        return [*self._keys(owner, steps), *self._policy(owner, known), *self._services(owner), *self._entries(owner)]

    def _keys(self, owner: Owner, steps: frozenset[str]) -> Iterator[Unexpected]:
        prefix, flags = kv_prefix(owner.name), {step_flags(step) for step in steps}
        tree = self._store.tree(prefix)
        marker = tree.pop(prefix + MARKER, None)
        if marker is not None and whose_prefix(marker, owner) is Presence.FOREIGN:
            yield _stray(PREFIX_KIND, prefix, "doesn't bear this environment's mark")
            return
        for key, entry in tree.items():
            if entry.flags not in flags:
                yield _stray(PREFIX_KIND, key, "no step of this environment wrote it")

    def _policy(self, owner: Owner, known: Known) -> Iterator[Unexpected]:
        name = policy_name(owner.name)
        if not _knows(known, POLICY_KIND, name) and self._access.policy(name) is not None:
            yield _stray(POLICY_KIND, name, "")

    def _services(self, owner: Owner) -> Iterator[Unexpected]:
        strange: dict[str, set[str]] = {}
        for item in self._catalogue.registered(service_prefix(owner.name)):
            if item.metadata.get(MARK) != owner.id:
                strange.setdefault(item.service, set()).add(f"{item.address}:{item.port}")
        for name, places in sorted(strange.items()):
            where = ", ".join(sorted(places))
            yield _stray(SERVICE_KIND, name, f"at {where}, registered by no job of this environment")

    def _entries(self, owner: Owner) -> Iterator[Unexpected]:
        for entry in self._catalogue.configured(service_prefix(owner.name)):
            yield _stray(ENTRY_KIND, f"{entry.kind}/{entry.name}", "")


class OpenBaoLookout:
    """Secrets in the environment's folder and a PKI role of its name that no step made."""

    part: ClassVar[str] = "OpenBao"

    def __init__(self, store: SecretStore, authority: CertificateAuthority) -> None:
        self._store = store
        self._authority = authority

    def unexpected(self, owner: Owner, known: Known, steps: frozenset[str]) -> Sequence[Unexpected]:
        """Names only: nothing is read of a secret."""
        role = f"{ROLES}{owner.name}"
        marker = folder_marker(owner.name)
        paths = self._store.paths(kv_prefix(owner.name), _MOST)
        addresses = [address for path in paths if (address := f"{MOUNT}/{path}") != marker]
        found = [_stray(SECRET_KIND, address, "") for address in addresses if not _knows(known, SECRET_KIND, address)]
        if not _knows(known, ROLE_KIND, role) and self._authority.role(owner.name) is not None:
            found.append(_stray(ROLE_KIND, role, ""))
        return found


def _knows(known: Known, kind: str, address: str) -> bool:
    return ResourceRef(kind=kind, address=address) in known


def _stray(kind: str, address: str, detail: str) -> Unexpected:
    return Unexpected(kind=kind, address=address, detail=detail or "no step of this environment made it")


def _run(count: int) -> str:
    return f"{count} allocation{' runs' if count == 1 else 's run'}"
