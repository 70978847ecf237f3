"""Who may do what: the one place that decides.

Code that queues a deployment, changes an environment or reads a secret calls `may` first, with the principal, the
action, the environment and the template that will be applied. `environments.service.enqueue` queues a deployment only
with the `Allowed` that `may` returns. This module also resolves the name or id that a person typed, so that nobody
learns of an environment that they may not see.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, ManagedOutside, UnknownEnvironment
from environments.domain.lifecycle import SWITCHES, DeploymentKind
from environments.domain.names import BY_ID, BY_NAME, META, is_id
from environments.domain.suggesting import MOST_SUGGESTED_FROM, suggestion
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.service.storage.transaction import Transaction

Role = Literal["admin", "user"]


@dataclass(frozen=True)
class Principal:
    """The caller: the owner of the token, and its role."""

    owner: str
    role: Role
    token_id: str

    @property
    def sees_only(self) -> str | None:
        """The owner whose environments this principal may see; None: everybody's."""
        return None if self.role == "admin" else self.owner


ENGINE = Principal("calvinverse", "admin", "engine")
"""Requests the rollback when a deployment fails and its template asks for one."""

CLOCK = Principal("clock", "admin", "clock")
"""Requests what the calendar does: destroys of environments whose deadline has passed, stops and starts."""

LINK = Principal("extend link", "admin", "link")
"""Extends environments for those who were sent a link."""


class Action(StrEnum):
    """An action that needs authorization, `subject:action`."""

    ENVIRONMENT_READ = "environment:read"
    ENVIRONMENT_REVEAL = "environment:reveal"
    ENVIRONMENT_OBSERVE = "environment:observe"
    ENVIRONMENT_CREATE = "environment:create"
    ENVIRONMENT_UPDATE = "environment:update"
    ENVIRONMENT_ROLL_BACK = "environment:roll_back"
    ENVIRONMENT_REPAIR = "environment:repair"
    ENVIRONMENT_PROMOTE = "environment:promote"
    ENVIRONMENT_STOP = "environment:stop"
    ENVIRONMENT_START = "environment:start"
    ENVIRONMENT_RETRY = "environment:retry"
    ENVIRONMENT_DESTROY = "environment:destroy"
    ENVIRONMENT_CANCEL = "environment:cancel"
    ENVIRONMENT_EXTEND = "environment:extend"
    ENVIRONMENT_RULES = "environment:rules"
    ENVIRONMENT_PIN = "environment:pin"
    ENVIRONMENT_PIN_PAST_MAXIMUM = "environment:pin_past_maximum"
    ENVIRONMENT_ABANDON = "environment:abandon"
    ENVIRONMENT_MIRROR = "environment:mirror"
    TEMPLATE_PUSH = "template:push"
    TEMPLATE_VALIDATE = "template:validate"
    TEMPLATE_DELETE = "template:delete"
    IMAGE_PUBLISH = "image:publish"
    IMAGE_WITHDRAW = "image:withdraw"
    WARNING_CHANNELS = "warning:channels"
    WARNING_TEST = "warning:test"
    POLICY_SET = "policy:set"
    CALENDAR_SET = "calendar:set"
    HOLD_RELEASE = "hold:release"
    HOLD_CANCEL = "hold:cancel"


QUEUES = {
    Action.ENVIRONMENT_CREATE: frozenset({DeploymentKind.CREATE}),
    Action.ENVIRONMENT_UPDATE: frozenset({DeploymentKind.UPDATE}),
    Action.ENVIRONMENT_ROLL_BACK: frozenset({DeploymentKind.UPDATE}),
    Action.ENVIRONMENT_REPAIR: frozenset({DeploymentKind.REPAIR}),
    Action.ENVIRONMENT_PROMOTE: frozenset({DeploymentKind.PROMOTE}),
    Action.ENVIRONMENT_STOP: frozenset({DeploymentKind.STOP}),
    Action.ENVIRONMENT_START: frozenset({DeploymentKind.START}),
    Action.ENVIRONMENT_RETRY: frozenset({DeploymentKind.CREATE, DeploymentKind.DESTROY}) | SWITCHES,
    Action.ENVIRONMENT_DESTROY: frozenset({DeploymentKind.DESTROY}),
}
"""The kinds of deployment that each action queues. Actions that aren't named here queue none."""

_APPLIES = frozenset({Action.ENVIRONMENT_CREATE, Action.ENVIRONMENT_UPDATE, Action.ENVIRONMENT_ROLL_BACK})
"""Actions that apply a version of a template which the environment may not have had before."""

_FOR_ADMINS = {
    Action.ENVIRONMENT_MIRROR: "Only an admin can show environments that another service manages.",
    Action.ENVIRONMENT_PIN_PAST_MAXIMUM: "Only an admin can pin an environment past its maximum.",
    Action.POLICY_SET: "Only an admin can set and remove policies, because they destroy environments of others.",
    Action.CALENDAR_SET: "Only an admin can set and remove holiday calendars, because everybody's rules use them.",
    Action.TEMPLATE_PUSH: "Only admins may push templates: everybody creates environments from them.",
    Action.TEMPLATE_VALIDATE: "Only an admin can validate templates, because only an admin can push them.",
    Action.TEMPLATE_DELETE: "Only admins may delete templates: everybody creates environments from them.",
    Action.IMAGE_PUBLISH: "Only an admin can publish and withdraw images, because everybody's environments run them.",
    Action.IMAGE_WITHDRAW: "Only an admin can publish and withdraw images, because everybody's environments run them.",
    Action.HOLD_RELEASE: "Only an admin can decide about a hold: it may concern everybody's environments.",
    Action.HOLD_CANCEL: "Only an admin can decide about a hold: it may concern everybody's environments.",
}

_CHANNELS = "Only an admin can see and test the channels of warnings: they name everybody's recipients."
_FOR_ADMINS |= {Action.WARNING_CHANNELS: _CHANNELS, Action.WARNING_TEST: _CHANNELS}

CHANGED_OUTSIDE = "`doit deploy`, on the machine that deployed it, changes and repairs it."
REMOVED_OUTSIDE = "`doit undeploy`, on the machine that deployed it, removes it."
NO_DEADLINE = "It has no deadline: it stays until `doit undeploy`, on the machine that deployed it, removes it."
STOPPED_OUTSIDE = (
    "Only `doit deploy` and `doit undeploy` work on it: stop these commands on the machine that deployed it."
)
"""Hints of `ManagedOutside`: what to do instead."""

_MAKER = object()


@dataclass(frozen=True)
class Allowed:
    """Proof that an action on an environment with `bundle` (a digest) is authorized. Only `may` creates it."""

    action: Action
    environment_id: str
    bundle: str
    _maker: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._maker is not _MAKER:
            raise TypeError("only environments.service.authorization allows something")

    def covers(self, environment: Environment, kind: DeploymentKind) -> bool:
        """Whether it authorizes a deployment of this kind of the environment as its record says."""
        same = (self.environment_id, self.bundle) == (environment.id, environment.bundle)
        return same and kind in QUEUES.get(self.action, frozenset())


def may(
    principal: Principal, action: Action, environment: Environment | None = None, *, becomes: Bundle | None = None
) -> Allowed:
    """Authorizes an action, or raises `UnknownEnvironment` (the principal may not see it) or `Forbidden`.

    `environment` is None only for actions that concern no environment. `becomes` is the content of the template that
    the action applies: create, update and roll back need it, others don't take it.
    """
    if environment is not None and not sees(principal, environment.owner):
        raise UnknownEnvironment(f"There is no environment {environment.id!r}.")
    if principal.role != "admin" and action in _FOR_ADMINS:
        raise Forbidden(_FOR_ADMINS[action])
    if (becomes is not None) != (action in _APPLIES):
        raise TypeError(f"{action.value} has to say which template it applies, and only what applies one")
    if becomes is not None:
        _check_template(principal, action, becomes.template())
    bundle = becomes.digest if becomes is not None else environment.bundle if environment is not None else ""
    return Allowed(action, environment.id if environment is not None else "", bundle, _MAKER)


def sees(principal: Principal, owner: str) -> bool:
    """Whether the principal may see what belongs to that owner."""
    return principal.sees_only in (None, owner)


def check_template_name(principal: Principal, template: str) -> None:
    """Raises `Forbidden` for a template that only admins may use, whether it exists or not."""
    if template == META and principal.role != "admin":
        raise Forbidden("Only an admin can create the meta environment.")


def check_new_token(principal: Principal, owner: str, role: Role) -> None:
    """Raises `Forbidden` unless the principal may make a token for that owner with that role."""
    if principal.role != "admin" and (owner != principal.owner or role != "user"):
        raise Forbidden("Only an admin can create tokens for others.")


def _check_template(principal: Principal, action: Action, template: Template) -> None:
    if action is Action.ENVIRONMENT_CREATE:
        check_template_name(principal, template.name)
    taken = [*template.host_volumes, *(["the network"] if template.network == "host" else [])]
    if taken and principal.role != "admin":
        raise Forbidden(
            f"Only an admin can create, update or roll back environments with version {template.version} of "
            "the template "
            f"{template.name!r}: its jobs get {', '.join(taken)} of their node."
        )


def environment_to_read(tx: Transaction, principal: Principal, said: str) -> Environment:
    """The environment whose name or id a person typed, if they may see it. Raises `UnknownEnvironment`.

    `id:…` is an id and `name:…` a name. Anything else that looks like an id is taken as an id if the principal sees an
    environment with that id, else as a name: early versions allowed such names. The rest are names.

    In a writing transaction the environment can't change until the transaction ends.
    """
    environment = _find(tx, principal, said)
    if environment is None:
        raise UnknownEnvironment(f"There is no environment {said!r}.{_did_you_mean(tx, principal, said)}")
    may(principal, Action.ENVIRONMENT_READ, environment)
    return environment


def environment_to_change(
    tx: Transaction, principal: Principal, said: str, instead: str = CHANGED_OUTSIDE
) -> Environment:
    """The environment whose name or id a person typed, if they may see it and this service manages it.

    Raises `UnknownEnvironment`, and `ManagedOutside` with the hint `instead`. The action still needs its own `may`.
    """
    environment = environment_to_read(tx, principal, said)
    if environment.managed_by is not None:
        raise ManagedOutside(
            f"Environment {environment.name!r} is managed by {environment.managed_by}, and only shown here.",
            hint=instead,
        )
    return environment


def _did_you_mean(tx: Transaction, principal: Principal, said: str) -> str:
    """A sentence with a similar name, or nothing; only names of environments that the principal may see."""
    typed = said.removeprefix(BY_NAME)
    if said.startswith(BY_ID) or is_id(typed):
        return ""
    found = suggestion(typed, tx.environments.names(owner=principal.sees_only, limit=MOST_SUGGESTED_FROM))
    return f" {found}" if found else ""


def _find(tx: Transaction, principal: Principal, said: str) -> Environment | None:
    if said.startswith(BY_ID):
        return _seen(tx, principal, said.removeprefix(BY_ID))
    if said.startswith(BY_NAME):
        return tx.environments.named(said.removeprefix(BY_NAME), owner=principal.sees_only)
    found = _seen(tx, principal, said) if is_id(said) else None
    return found or tx.environments.named(said, owner=principal.sees_only)


def _seen(tx: Transaction, principal: Principal, environment_id: str) -> Environment | None:
    environment = tx.environments.get(environment_id)
    return environment if environment is not None and sees(principal, environment.owner) else None
