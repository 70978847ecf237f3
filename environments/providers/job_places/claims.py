"""What the jobs of an environment can read, write and leave behind, claimed as a whole before the first one runs.

Nomad, Consul and OpenBao give a job its rights by the name of its namespace. So an environment that has the namespace
has all of these places, whatever its steps are.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError
from environments.domain.names import service_prefix
from environments.domain.plan import Change
from environments.providers.consul.access import (
    POLICY_KIND,
    TOKENS_KIND,
    ensure_policy,
    jobs_policy,
    plan_policy,
    policy_name,
)
from environments.providers.consul.ports import AccessControl, Catalogue, KeyValueStore
from environments.providers.consul.prefix import check_prefix, claim_prefix, prefix_resource
from environments.providers.consul.services import SERVICES_KIND, check_services
from environments.providers.nomad.access_ports import Identities
from environments.providers.nomad.namespace import NAMESPACE_KIND, ensure_namespace, plan_namespace
from environments.providers.nomad.ports import NomadApi
from environments.providers.nomad.workload_identity import AUTH_PATH, IDENTITY_KIND, end_identity, issuing_resource
from environments.providers.vault.certificate import CERTIFICATES_KIND, ISSUE, ROLE_KIND, ROLES, check_role
from environments.providers.vault.folder import check_folder, claim_folder, folder_resource
from environments.providers.vault.ports import CertificateAuthority, SecretStore
from environments.steps.base import Intended, Owner, StepRun

_LOCKS = 64

THREADS: Callable[[], Executor] = partial(ThreadPoolExecutor, 3)
"""Makes a pool for the calls of one claim."""


def job_places(owner: Owner) -> list[Intended]:
    """What a step that runs jobs claims or leaves, as shared resources."""
    name = owner.name
    shared = {
        NAMESPACE_KIND: name,
        POLICY_KIND: policy_name(name),
        TOKENS_KIND: policy_name(name),
        IDENTITY_KIND: f"{AUTH_PATH}/{name}",
        SERVICES_KIND: service_prefix(name),
    }
    return [
        prefix_resource(owner),
        folder_resource(owner),
        *(
            Intended(ResourceRef(kind=kind, address=address), shared=True, rank=rank)
            for rank, (kind, address) in enumerate(shared.items(), start=20)
        ),
    ]


def reach(owner: Owner) -> list[Intended]:
    """What a destroy of an environment that holds its namespace removes and its proof observes; nothing for others.

    In addition to the places of jobs: a PKI role of the environment's name, whoever made it, and its certificates.
    """
    if not owner.holds(NAMESPACE_KIND, owner.name):
        return []
    return [
        *job_places(owner),
        issuing_resource(owner),
        Intended(ResourceRef(kind=CERTIFICATES_KIND, address=ISSUE + owner.name), shared=True, rank=13),
        Intended(ResourceRef(kind=ROLE_KIND, address=ROLES + owner.name), shared=True, rank=14),
    ]


class ClaimedPlaces:
    """Implements `nomad.ports.JobPlaces` on Nomad, Consul and OpenBao."""

    def __init__(
        self,
        nomad: NomadApi,
        access: AccessControl,
        catalogue: Catalogue,
        keys: KeyValueStore,
        secrets: SecretStore,
        authority: CertificateAuthority,
        identities: Identities,
        pool: Callable[[], Executor] = THREADS,
    ) -> None:
        """Each claim takes a pool, in which calls that don't depend on each other run side by side."""
        self._nomad = nomad
        self._access = access
        self._catalogue = catalogue
        self._keys = keys
        self._secrets = secrets
        self._authority = authority
        self._identities = identities
        self._pool = pool
        self._claiming = [threading.Lock() for _ in range(_LOCKS)]

    def resources(self, owner: Owner) -> list[Intended]:
        """See `job_places`."""
        return job_places(owner)

    def claim(self, owner: Owner, run: StepRun) -> None:
        """Claims all of it for the environment before a job runs; parallel steps may call it at the same time.

        Nothing that is foreign is taken over or removed. Raises `ForeignResource`.
        """
        # One step of an environment at a time, so that none ends the logins of a job that another one has started.
        with self._claiming[hash(owner.id) % _LOCKS]:
            check_role(self._authority, owner)
            with self._pool() as pool:
                claims = [
                    pool.submit(claim_prefix, self._keys, owner, run),
                    pool.submit(claim_folder, self._secrets, owner, run),
                    pool.submit(self.claim_services, owner),
                ]
            held = [ref for claim in claims for ref in claim.result()]
            if self._nomad.namespace(owner.name) is None:
                self._end_logins(owner, run)
            held += ensure_namespace(self._nomad, owner, run)
            held += ensure_policy(self._access, jobs_policy(owner), owner, run)
            run.hold(held)

    def claim_services(self, owner: Owner) -> list[ResourceRef]:
        """The names of services; returns what is to be recorded as held. Raises `ForeignResource`."""
        check_services(self._catalogue, owner)
        return owner.unheld(ResourceRef(kind=SERVICES_KIND, address=service_prefix(owner.name)))

    def check_services(self, owner: Owner) -> None:
        """Raises `ForeignResource` where `claim_services` would. Reads only."""
        check_services(self._catalogue, owner)

    def plan(self, owner: Owner) -> Sequence[Change]:
        """What has to be created or repaired of namespace and policy. Raises `ForeignResource` where `claim` would."""
        found = plan_namespace(self._nomad, owner)
        check_prefix(self._keys, owner)
        check_folder(self._secrets, owner)
        check_services(self._catalogue, owner)
        check_role(self._authority, owner)
        return [*found, *plan_policy(self._access, jobs_policy(owner), owner)]

    def notice_logins(self) -> None:
        """Notes the logins to OpenBao once a job of the environment runs, so that removing them takes less time.

        Errors of OpenBao are ignored.
        """
        with suppress(BackendError):
            self._identities.notice()

    def _end_logins(self, owner: Owner, run: StepRun) -> None:
        """Ends logins that an earlier environment of the name left: no job of that namespace can be running.

        They only give the rights to read what this environment will write, and no environment that exists owns them.
        So they are ended, while everything else that is foreign is refused.
        """
        found = end_identity(self._identities, AUTH_PATH, owner.name, run)
        if found.accessors or found.entities:
            run.log("logins to OpenBao that an earlier environment of this name had left were ended")
