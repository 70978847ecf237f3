"""Lends modules credentials for the environment's own places in Consul, Nomad and OpenBao; see `Lender`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from environments.domain.environment import ResourceRef
from environments.domain.errors import CalvinverseError
from environments.domain.names import kv_prefix, service_prefix
from environments.domain.plan import Action, Change
from environments.executors.base import Intended, Owner, StepRun
from environments.executors.changes import change
from environments.executors.consul_access import (
    POLICY_KIND,
    TOKENS_KIND,
    AccessControl,
    Rules,
    WantedPolicy,
    ensure_policy,
    plan_policy,
)
from environments.executors.consul_kv import MARKER, PREFIX_KIND, Create, KeyValueStore
from environments.executors.marks import foreign, mark, policy_description
from environments.executors.nomad_access import (
    NOMAD_POLICY_KIND,
    NOMAD_TOKENS_KIND,
    Issued,
    NomadAccess,
    ensure_nomad_policy,
    plan_nomad_policy,
)
from environments.executors.nomad_namespace import NAMESPACE_KIND, ensure_namespace, plan_namespace
from environments.executors.nomad_ports import Scheduler
from environments.executors.opentofu_ports import CredentialPart, Loan
from environments.executors.vault_folder import FOLDER_KIND, ensure_folder, folder, folder_marker, plan_folder
from environments.executors.vault_identity import IDENTITY_KIND, TOKEN_PATH, Identities
from environments.executors.vault_secret import SECRET_KIND, SecretStore

SHORTEST = 60
LONGEST = 3600
"""Seconds that a credential lives; Consul and Nomad make none for less than a minute."""

_TITLES: dict[CredentialPart, str] = {"consul": "Consul", "nomad": "Nomad", "openbao": "OpenBao"}


@dataclass(frozen=True)
class Where:
    """Where a part is, and its CA (PEM; empty: those of the machine)."""

    address: str
    ca: str = ""


class ConsulIssuer(AccessControl, Protocol):
    """What is needed of Consul's ACL system."""

    def create_token(self, policy: str, description: str, seconds: int) -> Issued:
        """A token that has the policy of that name and ends by itself. `description` bears the mark."""
        ...


class IdentityIssuer(Identities, Protocol):
    """What is needed of OpenBao's tokens."""

    def issue(self, name: str, seconds: int, metadata: dict[str, str]) -> Issued:
        """A token for the places of the environment of that name; it ends by itself, with what it leased."""
        ...


def module_policy(environment: str) -> str:
    """The policy of an environment's modules; no environment's name holds two hyphens, so it is no other's `env-`."""
    return f"env-{environment}--module"


def module_rules(environment: str) -> Rules:
    """Its own keys and services; services and nodes of others can be found, as for jobs."""
    return {
        "key_prefix": {kv_prefix(environment): {"policy": "write"}},
        "service_prefix": {service_prefix(environment): {"policy": "write"}, "": {"policy": "read"}},
        "node_prefix": {"": {"policy": "read"}},
    }


def modules_policy(owner: Owner) -> WantedPolicy:
    """That of the environment's modules in Consul."""
    return WantedPolicy(module_policy(owner.name), module_rules(owner.name), "an environment's modules")


class _Part(Protocol):
    """One part of the cluster that lends."""

    token: str
    ca: str
    address: str

    def resources(self, owner: Owner) -> list[tuple[str, str, int]]:
        """Kind, address and rank of each."""
        ...

    def missing(self, owner: Owner) -> list[Change]: ...

    def prepare(self, owner: Owner, run: StepRun) -> None: ...

    def issue(self, owner: Owner, seconds: int) -> Issued: ...

    def revoke(self, accessor: str) -> None: ...


class Credentials:
    """Implements `Lender`. `where` tells where a part is."""

    def __init__(
        self,
        consul: ConsulIssuer,
        keys: KeyValueStore,
        nomad: NomadAccess,
        scheduler: Scheduler,
        logins: IdentityIssuer,
        store: SecretStore,
        where: Callable[[CredentialPart], Where],
    ) -> None:
        self._parts: dict[CredentialPart, _Part] = {
            "consul": _Consul(consul, keys),
            "nomad": _Nomad(nomad, scheduler),
            "openbao": _OpenBao(logins, store),
        }
        self._where = where

    def resources(self, owner: Owner, parts: Sequence[CredentialPart]) -> list[Intended]:
        """See `Lender`."""
        return [
            Intended(ResourceRef(kind=kind, address=address), shared=True, rank=rank)
            for part in parts
            for kind, address, rank in self._parts[part].resources(owner)
        ]

    def missing(self, owner: Owner, parts: Sequence[CredentialPart]) -> list[Change]:
        """See `Lender`."""
        return [found for part in parts for found in self._parts[part].missing(owner)]

    @contextmanager
    def lend(self, owner: Owner, parts: Sequence[CredentialPart], seconds: float, run: StepRun) -> Iterator[Loan]:
        """See `Lender`."""
        limit = int(min(max(seconds, SHORTEST), LONGEST))
        variables: dict[str, str] = {}
        certificates: dict[str, str] = {}
        secrets: list[str] = []
        with ExitStack() as given:
            for name in parts:
                part, where = self._parts[name], self._where(name)
                part.prepare(owner, run)
                run.before_effect()
                issued = part.issue(owner, limit)
                given.callback(self._end, name, issued.accessor, limit, run)
                variables |= {part.address: where.address, part.token: issued.secret}
                secrets.append(issued.secret)
                if where.ca:
                    certificates[part.ca] = where.ca
            if "nomad" in parts:
                variables["NOMAD_NAMESPACE"] = owner.name
            if "openbao" in parts:
                # Its provider would make a token of its own from this one, which this one may not.
                variables["TERRAFORM_VAULT_SKIP_CHILD_TOKEN"] = "true"
            yield Loan(variables, certificates, tuple(secrets))

    def _end(self, name: CredentialPart, accessor: str, limit: int, run: StepRun) -> None:
        try:
            self._parts[name].revoke(accessor)
        except CalvinverseError as error:
            # What the module did counts; the credential has an end of its own, and a destroy looks for it.
            run.log(
                f"the module's credential for {_TITLES[name]} could not be revoked and ends by itself within "
                f"{limit} s: {error.message}"
            )


class _Consul:
    token, ca, address = "CONSUL_HTTP_TOKEN", "CONSUL_CACERT", "CONSUL_HTTP_ADDR"

    def __init__(self, access: ConsulIssuer, store: KeyValueStore) -> None:
        self._access = access
        self._store = store

    def resources(self, owner: Owner) -> list[tuple[str, str, int]]:
        policy = module_policy(owner.name)
        return [(PREFIX_KIND, kv_prefix(owner.name), 10), (POLICY_KIND, policy, 30), (TOKENS_KIND, policy, 31)]

    def missing(self, owner: Owner) -> list[Change]:
        prefix = kv_prefix(owner.name)
        changes = [] if self._marked(owner) else [change(Action.CREATE, PREFIX_KIND, prefix, after=owner.id)]
        return changes + plan_policy(self._access, modules_policy(owner), owner)

    def prepare(self, owner: Owner, run: StepRun) -> None:
        # The prefix bears the mark before a module can write below it: so its keys go with the environment.
        marker = kv_prefix(owner.name) + MARKER
        if not self._marked(owner):
            run.before_effect()
            if not self._store.commit([Create(marker, owner.id.encode())]) and not self._marked(owner):
                raise foreign(f"a folder {kv_prefix(owner.name)} in Consul", owner)
        ensure_policy(self._access, modules_policy(owner), owner, run)

    def issue(self, owner: Owner, seconds: int) -> Issued:
        return self._access.create_token(module_policy(owner.name), policy_description(owner), seconds)

    def revoke(self, accessor: str) -> None:
        self._access.remove_token(accessor)

    def _marked(self, owner: Owner) -> bool:
        prefix = kv_prefix(owner.name)
        tree = self._store.tree(prefix)
        marker = tree.get(prefix + MARKER)
        if tree and (marker is None or marker.value != owner.id.encode()):
            raise foreign(f"a folder {prefix} in Consul", owner)
        return marker is not None


class _Nomad:
    token, ca, address = "NOMAD_TOKEN", "NOMAD_CACERT", "NOMAD_ADDR"

    def __init__(self, access: NomadAccess, scheduler: Scheduler) -> None:
        self._access = access
        self._scheduler = scheduler

    def resources(self, owner: Owner) -> list[tuple[str, str, int]]:
        policy = module_policy(owner.name)
        return [(NAMESPACE_KIND, owner.name, 20), (NOMAD_POLICY_KIND, policy, 32), (NOMAD_TOKENS_KIND, policy, 33)]

    def missing(self, owner: Owner) -> list[Change]:
        name = module_policy(owner.name)
        return [*plan_namespace(self._scheduler, owner), *plan_nomad_policy(self._access, name, owner)]

    def prepare(self, owner: Owner, run: StepRun) -> None:
        ensure_namespace(self._scheduler, owner, run)
        ensure_nomad_policy(self._access, module_policy(owner.name), owner, run)

    def issue(self, owner: Owner, seconds: int) -> Issued:
        return self._access.create_token(module_policy(owner.name), policy_description(owner), seconds)

    def revoke(self, accessor: str) -> None:
        self._access.remove_token(accessor)


class _OpenBao:
    """Deploy makes one policy for all environments: the service itself may make none."""

    token, ca, address = "VAULT_TOKEN", "VAULT_CACERT", "VAULT_ADDR"

    def __init__(self, logins: IdentityIssuer, store: SecretStore) -> None:
        self._logins = logins
        self._store = store

    def resources(self, owner: Owner) -> list[tuple[str, str, int]]:
        return [
            (SECRET_KIND, folder_marker(owner.name), 11),
            (IDENTITY_KIND, f"{TOKEN_PATH}/{owner.name}", 34),
            (FOLDER_KIND, folder(owner.name), 12),
        ]

    def missing(self, owner: Owner) -> list[Change]:
        changes = plan_folder(self._store, owner)
        if not self._logins.find(TOKEN_PATH, owner.name).entities:
            changes.append(change(Action.CREATE, IDENTITY_KIND, f"{TOKEN_PATH}/{owner.name}", after=owner.name))
        return changes

    def prepare(self, owner: Owner, run: StepRun) -> None:
        # The entity comes with the first token.
        ensure_folder(self._store, owner, run)

    def issue(self, owner: Owner, seconds: int) -> Issued:
        return self._logins.issue(owner.name, seconds, mark(owner))

    def revoke(self, accessor: str) -> None:
        self._logins.revoke(accessor)
