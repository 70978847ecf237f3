"""The rights of an environment's jobs in Consul: a policy, and the tokens that have it."""

from dataclasses import dataclass
from typing import ClassVar

from environments.domain.counting import counted
from environments.domain.environment import ResourceRef
from environments.domain.names import kv_prefix, service_prefix
from environments.domain.plan import Action, Change
from environments.providers.consul.ports import AccessControl, Policy, Rules
from environments.steps.base import Observation, Owner, Presence, StepRun
from environments.steps.changes import change
from environments.steps.marks import ABSENT, MENDS_MARK, foreign, policy_description, whose_policy

POLICY_KIND = "consul.policy"
TOKENS_KIND = "consul.tokens"


def policy_name(environment: str) -> str:
    """The name of the policy that the binding rule gives to the jobs of a namespace."""
    return f"env-{environment}"


def policy_rules(environment: str) -> Rules:
    """The rules: read the environment's keys, register its services, discover all services."""
    return {
        "key_prefix": {kv_prefix(environment): {"policy": "read"}},
        "service_prefix": {service_prefix(environment): {"policy": "write"}, "": {"policy": "read"}},
        "node_prefix": {"": {"policy": "read"}},
    }


@dataclass(frozen=True)
class WantedPolicy:
    """The wanted state of a policy. `whose` names the owner for people, such as `an environment`."""

    name: str
    rules: Rules
    whose: str


def jobs_policy(owner: Owner) -> WantedPolicy:
    """The policy of the environment's jobs."""
    return WantedPolicy(policy_name(owner.name), policy_rules(owner.name), "an environment")


def ensure_policy(access: AccessControl, wanted: WantedPolicy, owner: Owner, run: StepRun) -> list[ResourceRef]:
    """Creates or repairs the policy, and returns the resources to record as held. Parallel steps may call it.

    Raises `ForeignResource`.
    """
    name, description, rules = wanted.name, policy_description(owner), wanted.rules
    policy = access.policy(name)
    if policy is None:
        run.before_effect()
        policy = None if access.create_policy(name, description, rules) else access.policy(name)
    if policy is not None:
        if _whose(policy, owner) is Presence.FOREIGN:
            raise foreign(f"a Consul policy {name!r}", owner)
        if (policy.description, policy.rules) != (description, rules):
            run.before_effect()
            access.update_policy(Policy(policy.id, name, description, rules))
    return owner.unheld(ResourceRef(kind=POLICY_KIND, address=name))


def plan_policy(access: AccessControl, wanted: WantedPolicy, owner: Owner) -> list[Change]:
    """What `ensure_policy` would do. Raises `ForeignResource`."""
    name, rules = wanted.name, wanted.rules
    policy = access.policy(name)
    if policy is None:
        return [change(Action.CREATE, POLICY_KIND, name, after=rules)]
    if _whose(policy, owner) is Presence.FOREIGN:
        raise foreign(f"a Consul policy {name!r}", owner)
    # Rules that are written as HCL are read as no rules, so differences can't be shown in detail.
    lines = [f"its rules aren't those of {wanted.whose}"] if policy.rules != rules else []
    if policy.description != policy_description(owner):
        lines.append(MENDS_MARK)
    if not lines:
        return []
    return [change(Action.CHANGE, POLICY_KIND, name, before=policy.rules, after=rules, details=lines)]


class PolicyHandler:
    """Observes and removes the policy of an environment's jobs (`env-<name>`) or modules (`env-<name>--module`)."""

    kind: ClassVar[str] = POLICY_KIND
    place: ClassVar[bool] = True

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    def observe(self, address: str, owner: Owner) -> Observation:
        """Reads the mark in the description."""
        return _observed(self._access.policy(address), owner)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the tokens that still have the policy (they can't be found without it), then the policy."""
        policy = self._access.policy(address)
        if policy is None or _whose(policy, owner) is Presence.FOREIGN:
            return
        remove_tokens(self._access, policy, run)
        run.before_effect()
        self._access.remove_policy(policy.id)


class TokensHandler:
    """Observes and removes tokens of logged-in jobs and tokens issued for modules; the address is their policy."""

    kind: ClassVar[str] = TOKENS_KIND

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts the tokens. Without the policy there can't be any."""
        policy = self._access.policy(address)
        tokens = self._access.tokens(policy.id) if policy else []
        if policy is None or not tokens:
            return ABSENT
        return Observation(_observed(policy, owner).presence, counted(len(tokens), "token"))

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the tokens."""
        policy = self._access.policy(address)
        if policy is not None and _whose(policy, owner) is Presence.OURS:
            remove_tokens(self._access, policy, run)


def remove_tokens(access: AccessControl, policy: Policy, run: StepRun) -> None:
    """Removes all tokens that have the policy."""
    for accessor in access.tokens(policy.id):
        run.before_effect()
        access.remove_token(accessor)


def _whose(policy: Policy, owner: Owner) -> Presence:
    return whose_policy(policy.description, owner, held=owner.holds(POLICY_KIND, policy.name))


def _observed(policy: Policy | None, owner: Owner) -> Observation:
    if policy is None:
        return ABSENT
    presence = _whose(policy, owner)
    detail = "" if presence is Presence.OURS else f"its description is {policy.description[:60]!r}"
    return Observation(presence, detail)
