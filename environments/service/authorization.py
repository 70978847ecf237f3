"""Who may do what: the one place that decides, asked wherever something is done in somebody's name.

Whoever queues a deployment, changes an environment or reads a secret asks `may` first, and gives it all that there is
to know: who asks, what for, the environment, and the template that it is to be made by. Its answer is the only thing
that `environments.service.changing` takes for putting a deployment into the queue.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, UnknownEnvironment
from environments.domain.lifecycle import DeploymentKind
from environments.domain.names import META
from environments.domain.template import Bundle, Template

Role = Literal["admin", "user"]


@dataclass(frozen=True)
class Principal:
    """Who asks: the owner of the token that they showed, and what its role lets them do."""

    owner: str
    role: Role
    token_id: str

    @property
    def sees_only(self) -> str | None:
        """The owner whose environments this principal may see; None: everybody's."""
        return None if self.role == "admin" else self.owner


ENGINE = Principal("calvinverse", "admin", "engine")
"""Goes back to what was good when a deployment fails whose template asks for that."""

CLOCK = Principal("clock", "admin", "clock")
"""Destroys what is due."""


class Action(StrEnum):
    """What somebody does, `subject:action`."""

    ENVIRONMENT_READ = "environment:read"
    ENVIRONMENT_REVEAL = "environment:reveal"
    ENVIRONMENT_OBSERVE = "environment:observe"
    ENVIRONMENT_CREATE = "environment:create"
    ENVIRONMENT_UPDATE = "environment:update"
    ENVIRONMENT_ROLL_BACK = "environment:roll_back"
    ENVIRONMENT_REPAIR = "environment:repair"
    ENVIRONMENT_PROMOTE = "environment:promote"
    ENVIRONMENT_RETRY = "environment:retry"
    ENVIRONMENT_DESTROY = "environment:destroy"
    ENVIRONMENT_CANCEL = "environment:cancel"
    ENVIRONMENT_EXTEND = "environment:extend"
    ENVIRONMENT_ABANDON = "environment:abandon"
    ENVIRONMENT_MIRROR = "environment:mirror"
    TEMPLATE_PUSH = "template:push"
    TEMPLATE_VALIDATE = "template:validate"
    TEMPLATE_DELETE = "template:delete"
    IMAGE_PUBLISH = "image:publish"
    IMAGE_WITHDRAW = "image:withdraw"


QUEUES = {
    Action.ENVIRONMENT_CREATE: frozenset({DeploymentKind.CREATE}),
    Action.ENVIRONMENT_UPDATE: frozenset({DeploymentKind.UPDATE}),
    Action.ENVIRONMENT_ROLL_BACK: frozenset({DeploymentKind.UPDATE}),
    Action.ENVIRONMENT_REPAIR: frozenset({DeploymentKind.REPAIR}),
    Action.ENVIRONMENT_PROMOTE: frozenset({DeploymentKind.PROMOTE}),
    Action.ENVIRONMENT_RETRY: frozenset({DeploymentKind.CREATE, DeploymentKind.DESTROY}),
    Action.ENVIRONMENT_DESTROY: frozenset({DeploymentKind.DESTROY}),
}
"""Which deployments each action puts into the queue; the other actions none."""

_APPLIES = frozenset({Action.ENVIRONMENT_CREATE, Action.ENVIRONMENT_UPDATE, Action.ENVIRONMENT_ROLL_BACK})
"""What makes an environment by a version of a template that it may not have had before."""

_FOR_ADMINS = {
    Action.ENVIRONMENT_MIRROR: "Only an admin shows environments from outside.",
    Action.TEMPLATE_PUSH: "Only admins may push templates: everybody creates environments from them.",
    Action.TEMPLATE_VALIDATE: "Only an admin has templates checked, as only an admin pushes them.",
    Action.TEMPLATE_DELETE: "Only admins may delete templates: everybody creates environments from them.",
    Action.IMAGE_PUBLISH: "Only an admin publishes and withdraws images: everybody's environments run them.",
    Action.IMAGE_WITHDRAW: "Only an admin publishes and withdraws images: everybody's environments run them.",
}

_MAKER = object()


@dataclass(frozen=True)
class Allowed:
    """That somebody may do something with an environment, made by `bundle` (a digest). Only `may` makes one."""

    action: Action
    environment_id: str
    bundle: str
    _maker: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self._maker is not _MAKER:
            raise TypeError("only environments.service.authorization allows something")

    def covers(self, environment: Environment, kind: DeploymentKind) -> bool:
        """Whether it is for such a deployment of the environment as it is to be."""
        same = (self.environment_id, self.bundle) == (environment.id, environment.bundle)
        return same and kind in QUEUES.get(self.action, frozenset())


def may(
    principal: Principal, action: Action, environment: Environment | None = None, *, becomes: Bundle | None = None
) -> Allowed:
    """Says that the principal may do it, or raises `UnknownEnvironment` (they may not know of it) or `Forbidden`.

    `environment` is None only for what concerns no environment. `becomes` is the content of the template that it is to
    be made by, for whatever applies one: create, update and roll back; None: it stays as it was last asked for.
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
    """Whether the principal may know of what belongs to that owner."""
    return principal.sees_only in (None, owner)


def check_template_name(principal: Principal, template: str) -> None:
    """Raises `Forbidden` for a template that only admins may name, whether it exists or not."""
    if template == META and principal.role != "admin":
        raise Forbidden("Only an admin makes the meta environment.")


def check_new_token(principal: Principal, owner: str, role: Role) -> None:
    """Raises `Forbidden` unless the principal may make a token for that owner with that role."""
    if principal.role != "admin" and (owner != principal.owner or role != "user"):
        raise Forbidden("Only an admin makes tokens for others.")


def _check_template(principal: Principal, action: Action, template: Template) -> None:
    if action is Action.ENVIRONMENT_CREATE:
        check_template_name(principal, template.name)
    if template.host_volumes and principal.role != "admin":
        raise Forbidden(
            f"Only an admin makes, updates or takes back environments with version {template.version} of the template "
            f"{template.name!r}: its jobs get {', '.join(template.host_volumes)} of their node."
        )
