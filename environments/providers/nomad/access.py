"""The rights of an environment's modules in Nomad: a policy, and the tokens that have it."""

import json
from typing import ClassVar

from environments.domain.counting import counted
from environments.domain.environment import ResourceRef
from environments.domain.plan import Action, Change
from environments.providers.nomad.access_ports import NomadAccess, NomadPolicy
from environments.steps.base import Observation, Owner, Presence, StepRun
from environments.steps.changes import change
from environments.steps.marks import ABSENT, MENDS_MARK, foreign, policy_description, whose_policy

NOMAD_POLICY_KIND = "nomad.policy"
NOMAD_TOKENS_KIND = "nomad.tokens"

_JOBS = ["list-jobs", "parse-job", "read-job", "submit-job"]
_VARIABLES = ["list", "read", "write", "destroy"]


def wanted_policy(name: str, owner: Owner) -> NomadPolicy:
    """The policy: submit and read jobs in the environment's namespace, and read and write variables there.

    Host volumes aren't named, so Nomad refuses jobs that ask for one.
    """
    space = {"capabilities": _JOBS, "variables": {"path": {"*": {"capabilities": _VARIABLES}}}}
    return NomadPolicy(name, policy_description(owner), json.dumps({"namespace": {owner.name: space}}))


def ensure_nomad_policy(access: NomadAccess, name: str, owner: Owner, run: StepRun) -> list[ResourceRef]:
    """Creates or repairs the policy, and returns the resources to record as held. Raises `ForeignResource`."""
    if plan_nomad_policy(access, name, owner):
        run.before_effect()
        access.write_policy(wanted_policy(name, owner))
    return owner.unheld(ResourceRef(kind=NOMAD_POLICY_KIND, address=name))


def plan_nomad_policy(access: NomadAccess, name: str, owner: Owner) -> list[Change]:
    """What `ensure_nomad_policy` would do. Raises `ForeignResource`."""
    found, wanted = access.policy(name), wanted_policy(name, owner)
    if found is None:
        return [change(Action.CREATE, NOMAD_POLICY_KIND, name, after=wanted.rules)]
    if _observed(found, owner).presence is Presence.FOREIGN:
        raise foreign(f"a Nomad policy {name!r}", owner)
    lines = ["its rules aren't those of an environment's modules"] if found.rules != wanted.rules else []
    if found.description != wanted.description:
        lines.append(MENDS_MARK)
    if not lines:
        return []
    return [change(Action.CHANGE, NOMAD_POLICY_KIND, name, before=found.rules, after=wanted.rules, details=lines)]


class NomadPolicyHandler:
    """Observes and removes the policy of an environment's modules (`env-<name>--module`)."""

    kind: ClassVar[str] = NOMAD_POLICY_KIND
    place: ClassVar[bool] = True

    def __init__(self, access: NomadAccess) -> None:
        self._access = access

    def observe(self, address: str, owner: Owner) -> Observation:
        """Reads the mark in the description."""
        return _observed(self._access.policy(address), owner)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the policy."""
        if self.observe(address, owner).presence is Presence.OURS:
            run.before_effect()
            self._access.remove_policy(address)


class NomadTokensHandler:
    """Observes and removes the tokens that were issued for modules of an environment; the address is their policy."""

    kind: ClassVar[str] = NOMAD_TOKENS_KIND

    def __init__(self, access: NomadAccess) -> None:
        self._access = access

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts the tokens. They are ours unless the policy is foreign."""
        tokens = self._access.tokens(address)
        if not tokens:
            return ABSENT
        policy = self._access.policy(address)
        presence = Presence.OURS if policy is None else _observed(policy, owner).presence
        return Observation(presence, counted(len(tokens), "token"))

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes the tokens."""
        if self.observe(address, owner).presence is Presence.OURS:
            for accessor in self._access.tokens(address):
                run.before_effect()
                self._access.remove_token(accessor)


def _observed(policy: NomadPolicy | None, owner: Owner) -> Observation:
    if policy is None:
        return ABSENT
    presence = whose_policy(policy.description, owner, held=owner.holds(NOMAD_POLICY_KIND, policy.name))
    detail = "" if presence is Presence.OURS else f"its description is {policy.description[:60]!r}"
    return Observation(presence, detail)
