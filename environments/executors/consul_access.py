"""What an environment's jobs may do in Consul, and what they leave there: policy, tokens, services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from environments.domain.names import kv_prefix, service_prefix
from environments.domain.plan import Action, Change
from environments.executors.base import Observation, Owner, Presence, StepRun
from environments.executors.changes import change
from environments.executors.marks import ABSENT, MARK, foreign, policy_description

POLICY_KIND = "consul.policy"
TOKENS_KIND = "consul.tokens"
SERVICES_KIND = "consul.services"

_GRACE = 2.0
"""Seconds that stopped services get to leave by themselves before they are taken out."""


Rules = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Rules of a policy as JSON: kind of resource → name or prefix → `policy` → read or write."""


@dataclass(frozen=True)
class Policy:
    """An ACL policy of Consul."""

    id: str
    name: str
    description: str
    rules: Rules


@dataclass(frozen=True)
class Instance:
    """One registration of a service. `address` is where it listens; `passing` is None where health wasn't asked for."""

    id: str
    service: str
    node: str
    address: str
    port: int
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    passing: bool | None = None


class AccessControl(Protocol):
    """What is needed of Consul's ACL system."""

    def policy(self, name: str) -> Policy | None:
        """The policy of that name."""
        ...

    def create_policy(self, name: str, description: str, rules: Rules) -> bool:
        """Makes a policy; False when there is one of that name."""
        ...

    def update_policy(self, policy: Policy) -> None:
        """Changes the policy of that id."""
        ...

    def remove_policy(self, policy_id: str) -> None:
        """Removes a policy, if it is there."""
        ...

    def tokens(self, policy_id: str) -> list[str]:
        """Accessor ids of the tokens that have the policy."""
        ...

    def remove_token(self, accessor: str) -> None:
        """Removes a token, if it is there."""
        ...


class Catalogue(Protocol):
    """What is needed of Consul's catalogue and health."""

    def services(self, prefix: str) -> list[str]:
        """Names of all services that begin with the prefix."""
        ...

    def instances(self, service: str, *, index: int = 0, wait: float = 0.0) -> tuple[int, list[Instance]]:
        """A service's instances with their health, and an index for the next call, which then waits for a change."""
        ...

    def deregister(self, instance: Instance) -> None:
        """Takes an instance out of its agent and of the catalogue."""
        ...


def policy_name(environment: str) -> str:
    """The policy that the binding rule gives to the jobs of a namespace."""
    return f"env-{environment}"


def policy_rules(environment: str) -> Rules:
    """Read its own keys, register its own services, find others."""
    return {
        "key_prefix": {kv_prefix(environment): {"policy": "read"}},
        "service_prefix": {service_prefix(environment): {"policy": "write"}, "": {"policy": "read"}},
        "node_prefix": {"": {"policy": "read"}},
    }


@dataclass(frozen=True)
class WantedPolicy:
    """A policy as it is to be. `whose`, for people: `an environment`."""

    name: str
    rules: Rules
    whose: str


def jobs_policy(owner: Owner) -> WantedPolicy:
    """That of the environment's jobs."""
    return WantedPolicy(policy_name(owner.name), policy_rules(owner.name), "an environment")


def ensure_policy(access: AccessControl, wanted: WantedPolicy, owner: Owner, run: StepRun) -> None:
    """Makes or mends the policy; steps side by side may call it at once. Raises `ForeignResource`."""
    name, description, rules = wanted.name, policy_description(owner), wanted.rules
    policy = access.policy(name)
    if policy is None:
        run.before_effect()
        if access.create_policy(name, description, rules):
            return
        policy = access.policy(name)
    if policy is None or policy.description != description:
        raise foreign(f"a Consul policy {name!r}", owner)
    if policy.rules != rules:
        run.before_effect()
        access.update_policy(Policy(policy.id, name, description, rules))


def plan_policy(access: AccessControl, wanted: WantedPolicy, owner: Owner) -> list[Change]:
    """What `ensure_policy` would do. Raises `ForeignResource`."""
    name, rules = wanted.name, wanted.rules
    policy = access.policy(name)
    if policy is None:
        return [change(Action.CREATE, POLICY_KIND, name, after=rules)]
    if policy.description != policy_description(owner):
        raise foreign(f"a Consul policy {name!r}", owner)
    if policy.rules == rules:
        return []
    # Rules that somebody wrote as HCL are read as none, so nothing can be said about them in detail.
    lines = [f"its rules aren't those of {wanted.whose}"]
    return [change(Action.CHANGE, POLICY_KIND, name, before=policy.rules, after=rules, details=lines)]


class PolicyHandler:
    """Knows a policy of an environment: that of its jobs (`env-<name>`) or of its modules (`env-<name>--module`)."""

    kind: ClassVar[str] = POLICY_KIND

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    def observe(self, address: str, owner: Owner) -> Observation:
        """Looks at the mark in the description."""
        return _observed(self._access.policy(address), owner)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the tokens that still have the policy (afterwards nobody could find them), then the policy."""
        policy = self._access.policy(address)
        if policy is None or policy.description != policy_description(owner):
            return
        remove_tokens(self._access, policy, run)
        run.before_effect()
        self._access.remove_policy(policy.id)


class TokensHandler:
    """Knows the tokens that jobs got by logging in, and modules were lent; its address is the policy that they have."""

    kind: ClassVar[str] = TOKENS_KIND

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts them. There can be none without the policy."""
        policy = self._access.policy(address)
        tokens = self._access.tokens(policy.id) if policy else []
        if policy is None or not tokens:
            return ABSENT
        return Observation(_observed(policy, owner).presence, f"{len(tokens)} tokens")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes them."""
        policy = self._access.policy(address)
        if policy is not None and policy.description == policy_description(owner):
            remove_tokens(self._access, policy, run)


def remove_tokens(access: AccessControl, policy: Policy, run: StepRun) -> None:
    """Removes all tokens that have the policy."""
    for accessor in access.tokens(policy.id):
        run.before_effect()
        access.remove_token(accessor)


class ServicesHandler:
    """Knows the services of an environment, by the prefix of their names (`<name>--`) and a mark in their metadata."""

    kind: ClassVar[str] = SERVICES_KIND

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def observe(self, address: str, owner: Owner) -> Observation:
        """Names what is left; foreign only if no instance bears our mark."""
        instances = self._instances(address)
        if not instances:
            return ABSENT
        ours = [instance for instance in instances if instance.metadata.get(MARK) == owner.id]
        names = ", ".join(sorted({instance.service for instance in ours or instances}))
        return Observation(Presence.OURS if ours else Presence.FOREIGN, names)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Waits a moment for instances to leave by themselves, then takes ghosts out."""
        waited = 0.0
        while True:
            ours = [found for found in self._instances(address) if found.metadata.get(MARK) == owner.id]
            if not ours:
                return
            if waited >= _GRACE:
                break
            run.wait(0.05)
            waited += 0.05
        for instance in ours:
            run.before_effect()
            run.log(f"{instance.service} on {instance.node} is still registered in Consul: taken out")
            self._catalogue.deregister(instance)

    def _instances(self, prefix: str) -> list[Instance]:
        return [found for name in self._catalogue.services(prefix) for found in self._catalogue.instances(name)[1]]


def _observed(policy: Policy | None, owner: Owner) -> Observation:
    if policy is None:
        return ABSENT
    return Observation(Presence.OURS if policy.description == policy_description(owner) else Presence.FOREIGN)
