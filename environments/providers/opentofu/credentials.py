"""Issues modules credentials for the environment's own places in Consul, Nomad and OpenBao; see `CredentialBroker`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from environments.domain.environment import ResourceRef
from environments.domain.errors import CalvinverseError
from environments.domain.names import kv_prefix, service_prefix
from environments.domain.plan import Action, Change
from environments.providers.consul.access import POLICY_KIND, TOKENS_KIND, WantedPolicy, ensure_policy, plan_policy
from environments.providers.consul.ports import AccessControl, KeyValueStore, Rules
from environments.providers.consul.prefix import claim_prefix, plan_prefix, prefix_resource
from environments.providers.consul.services import SERVICES_KIND
from environments.providers.nomad.access import (
    NOMAD_POLICY_KIND,
    NOMAD_TOKENS_KIND,
    ensure_nomad_policy,
    plan_nomad_policy,
)
from environments.providers.nomad.access_ports import Identities, NomadAccess
from environments.providers.nomad.ports import JobPlaces
from environments.providers.nomad.workload_identity import IDENTITY_KIND, TOKEN_PATH
from environments.providers.opentofu.ports import CredentialPart, IssuedCredentials
from environments.providers.vault.folder import claim_folder, folder_marker, folder_resource, plan_folder
from environments.providers.vault.ports import SecretStore
from environments.providers.vault.secret import SECRET_KIND
from environments.steps.base import Intended, Issued, Owner, StepRun
from environments.steps.changes import change
from environments.steps.marks import mark, policy_description

SHORTEST = 60
LONGEST = 3600
"""Seconds that a credential lives; Consul and Nomad make none for less than a minute."""

_TITLES: dict[CredentialPart, str] = {"consul": "Consul", "nomad": "Nomad", "openbao": "OpenBao"}


@dataclass(frozen=True)
class Where:
    """Where a part is, its CA (PEM; empty: those of the machine), and the name that its certificate must have.

    No name: the host of the address.
    """

    address: str
    ca: str = ""
    server_name: str = ""


def module_policy(environment: str) -> str:
    """The policy of an environment's modules; names of environments have no two hyphens in a row, so it is unique."""
    return f"env-{environment}--module"


def module_rules(environment: str) -> Rules:
    """Its own keys and services; services and nodes of others can be discovered, as for jobs."""
    return {
        "key_prefix": {kv_prefix(environment): {"policy": "write"}},
        "service_prefix": {service_prefix(environment): {"policy": "write"}, "": {"policy": "read"}},
        "node_prefix": {"": {"policy": "read"}},
    }


def modules_policy(owner: Owner) -> WantedPolicy:
    """That of the environment's modules in Consul."""
    return WantedPolicy(module_policy(owner.name), module_rules(owner.name), "an environment's modules")


class _Part(Protocol):
    """One part of the cluster that issues credentials."""

    token: str
    ca: str
    address: str
    server_name: str

    def resources(self, owner: Owner) -> list[Intended]:
        """What issuing makes or may leave, all of it shared."""
        ...

    def missing(self, owner: Owner) -> list[Change]: ...

    def prepare(self, owner: Owner, run: StepRun) -> None: ...

    def issue(self, owner: Owner, seconds: int) -> Issued: ...

    def revoke(self, accessor: str) -> None: ...


class ClusterCredentials:
    """Implements `CredentialBroker`. `where` tells where a part is."""

    def __init__(
        self,
        consul: AccessControl,
        keys: KeyValueStore,
        nomad: NomadAccess,
        logins: Identities,
        store: SecretStore,
        places: JobPlaces,
        where: Callable[[CredentialPart], Where],
    ) -> None:
        self._parts: dict[CredentialPart, _Part] = {
            "consul": _Consul(consul, keys, places),
            "nomad": _Nomad(nomad, places),
            "openbao": _OpenBao(logins, store),
        }
        self._where = where

    def resources(self, owner: Owner, parts: Sequence[CredentialPart]) -> list[Intended]:
        """See `CredentialBroker`."""
        found = {item.ref: item for part in parts for item in self._parts[part].resources(owner)}
        return list(found.values())

    def missing(self, owner: Owner, parts: Sequence[CredentialPart]) -> list[Change]:
        """See `CredentialBroker`."""
        found = [found for part in parts for found in self._parts[part].missing(owner)]
        return list({(told.kind, told.address): told for told in found}.values())

    @contextmanager
    def issue(
        self, owner: Owner, parts: Sequence[CredentialPart], seconds: float, run: StepRun
    ) -> Iterator[IssuedCredentials]:
        """See `CredentialBroker`."""
        limit = int(min(max(seconds, SHORTEST), LONGEST))
        variables: dict[str, str] = {}
        certificates: dict[str, str] = {}
        secrets: list[str] = []
        with ExitStack() as given:
            for name in parts:
                part, where = self._parts[name], self._where(name)
                if run.holder is not None:  # a plan only gets here when everything exists
                    part.prepare(owner, run)
                run.before_effect()
                issued = part.issue(owner, limit)
                given.callback(self._end, name, issued.accessor, limit, run)
                variables |= {part.address: where.address, part.token: issued.secret}
                secrets.append(issued.secret)
                if where.server_name:
                    variables[part.server_name] = where.server_name
                if where.ca:
                    certificates[part.ca] = where.ca
            if "nomad" in parts:
                variables["NOMAD_NAMESPACE"] = owner.name
            if "openbao" in parts:
                # The provider would create a child token, which this token has no right to.
                variables["TERRAFORM_VAULT_SKIP_CHILD_TOKEN"] = "true"
            yield IssuedCredentials(variables, certificates, tuple(secrets))

    def _end(self, name: CredentialPart, accessor: str, limit: int, run: StepRun) -> None:
        try:
            self._parts[name].revoke(accessor)
        except CalvinverseError as error:
            # The result of the module counts; the credential expires, and a destroy observes it.
            run.log(
                f"the module's credential for {_TITLES[name]} could not be revoked and ends by itself within "
                f"{limit} s: {error.message}"
            )


def _shared(kind: str, address: str, rank: int) -> Intended:
    return Intended(ResourceRef(kind=kind, address=address), shared=True, rank=rank)


class _Consul:
    token, ca, address = "CONSUL_HTTP_TOKEN", "CONSUL_CACERT", "CONSUL_HTTP_ADDR"
    server_name = "CONSUL_TLS_SERVER_NAME"

    def __init__(self, access: AccessControl, store: KeyValueStore, places: JobPlaces) -> None:
        self._access = access
        self._store = store
        self._places = places

    def resources(self, owner: Owner) -> list[Intended]:
        policy = module_policy(owner.name)
        return [
            prefix_resource(owner),
            _shared(POLICY_KIND, policy, 30),
            _shared(TOKENS_KIND, policy, 31),
            _shared(SERVICES_KIND, service_prefix(owner.name), 24),
        ]

    def missing(self, owner: Owner) -> list[Change]:
        self._places.check_services(owner)
        return [*plan_prefix(self._store, owner), *plan_policy(self._access, modules_policy(owner), owner)]

    def prepare(self, owner: Owner, run: StepRun) -> None:
        # Claim all of it before a module can write there, so that what it writes is removed with the environment.
        held = [*claim_prefix(self._store, owner, run), *self._places.claim_services(owner)]
        run.hold([*held, *ensure_policy(self._access, modules_policy(owner), owner, run)])

    def issue(self, owner: Owner, seconds: int) -> Issued:
        return self._access.create_token(module_policy(owner.name), policy_description(owner), seconds)

    def revoke(self, accessor: str) -> None:
        self._access.remove_token(accessor)


class _Nomad:
    token, ca, address = "NOMAD_TOKEN", "NOMAD_CACERT", "NOMAD_ADDR"
    server_name = "NOMAD_TLS_SERVER_NAME"

    def __init__(self, access: NomadAccess, places: JobPlaces) -> None:
        self._access = access
        self._places = places

    def resources(self, owner: Owner) -> list[Intended]:
        policy = module_policy(owner.name)
        # A module can run jobs, so the environment needs all places of jobs.
        return [
            *self._places.resources(owner),
            _shared(NOMAD_POLICY_KIND, policy, 32),
            _shared(NOMAD_TOKENS_KIND, policy, 33),
        ]

    def missing(self, owner: Owner) -> list[Change]:
        return [*self._places.plan(owner), *plan_nomad_policy(self._access, module_policy(owner.name), owner)]

    def prepare(self, owner: Owner, run: StepRun) -> None:
        self._places.claim(owner, run)
        run.hold(ensure_nomad_policy(self._access, module_policy(owner.name), owner, run))

    def issue(self, owner: Owner, seconds: int) -> Issued:
        return self._access.create_token(module_policy(owner.name), policy_description(owner), seconds)

    def revoke(self, accessor: str) -> None:
        self._access.remove_token(accessor)


class _OpenBao:
    """Deploy creates one policy for all environments, because the service may create none."""

    token, ca, address = "VAULT_TOKEN", "VAULT_CACERT", "VAULT_ADDR"
    server_name = "VAULT_TLS_SERVER_NAME"

    def __init__(self, logins: Identities, store: SecretStore) -> None:
        self._logins = logins
        self._store = store

    def resources(self, owner: Owner) -> list[Intended]:
        return [
            _shared(SECRET_KIND, folder_marker(owner.name), 11),
            _shared(IDENTITY_KIND, f"{TOKEN_PATH}/{owner.name}", 34),
            folder_resource(owner),
        ]

    def missing(self, owner: Owner) -> list[Change]:
        changes = plan_folder(self._store, owner)
        if not self._logins.find(TOKEN_PATH, owner.name).entities:
            changes.append(change(Action.CREATE, IDENTITY_KIND, f"{TOKEN_PATH}/{owner.name}", after=owner.name))
        return changes

    def prepare(self, owner: Owner, run: StepRun) -> None:
        # The entity comes with the first token.
        run.hold(claim_folder(self._store, owner, run))

    def issue(self, owner: Owner, seconds: int) -> Issued:
        return self._logins.issue(owner.name, seconds, mark(owner))

    def revoke(self, accessor: str) -> None:
        self._logins.revoke(accessor)
