"""The actions, and the one table of what each of them takes: a role on the environment, or on the service."""

from enum import StrEnum

from environments.domain.access import EnvironmentRole, ServiceRole
from environments.domain.lifecycle import SWITCHES, DeploymentKind


class Action(StrEnum):
    """An action that needs authorization, `subject:action`."""

    ENVIRONMENT_READ = "environment:read"
    ENVIRONMENT_REVEAL = "environment:reveal"
    ENVIRONMENT_READ_CONTAINER_LOGS = "environment:read_container_logs"
    ENVIRONMENT_OBSERVE = "environment:observe"
    ENVIRONMENT_PLAN = "environment:plan"
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
    ENVIRONMENT_TRIGGERS = "environment:triggers"
    ENVIRONMENT_HEARTBEAT = "environment:heartbeat"
    ENVIRONMENT_PIN = "environment:pin"
    ENVIRONMENT_PIN_PAST_MAXIMUM = "environment:pin_past_maximum"
    ENVIRONMENT_ABANDON = "environment:abandon"
    ENVIRONMENT_SHARE = "environment:share"
    ENVIRONMENT_LEAVE = "environment:leave"
    ENVIRONMENT_TRANSFER = "environment:transfer"
    ENVIRONMENT_AUDIT = "environment:audit"
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
    TRIGGER_MANAGE = "trigger:manage"
    WEBHOOK_MANAGE = "webhook:manage"
    EVENT_REPLAY = "event:replay"
    TOKEN_CREATE = "token:create"
    TOKEN_REVOKE = "token:revoke"
    SESSION_END = "session:end"
    SUCCESSOR_SET = "successor:set"
    PERSON_LIST = "person:list"
    PERSON_MANAGE = "person:manage"
    GROUP_MANAGE = "group:manage"
    ROLE_GRANT = "role:grant"
    CREATOR_SET = "creator:set"
    ACCESS_EXPLAIN = "access:explain"
    ACCOUNT_MANAGE = "account:manage"
    AUDIT_READ = "audit:read"
    METRICS_READ = "metrics:read"


_R = EnvironmentRole

ON_ENVIRONMENTS: dict[Action, EnvironmentRole] = {
    Action.ENVIRONMENT_READ: _R.VIEWER,
    Action.ENVIRONMENT_LEAVE: _R.VIEWER,
    Action.ENVIRONMENT_OBSERVE: _R.PLANNER,
    Action.ENVIRONMENT_PLAN: _R.PLANNER,
    Action.ENVIRONMENT_READ_CONTAINER_LOGS: _R.OPERATOR,
    Action.ENVIRONMENT_UPDATE: _R.OPERATOR,
    Action.ENVIRONMENT_ROLL_BACK: _R.OPERATOR,
    Action.ENVIRONMENT_REPAIR: _R.OPERATOR,
    Action.ENVIRONMENT_PROMOTE: _R.OPERATOR,
    Action.ENVIRONMENT_STOP: _R.OPERATOR,
    Action.ENVIRONMENT_START: _R.OPERATOR,
    Action.ENVIRONMENT_RETRY: _R.OPERATOR,
    Action.ENVIRONMENT_CANCEL: _R.OPERATOR,
    Action.ENVIRONMENT_EXTEND: _R.OPERATOR,
    Action.ENVIRONMENT_RULES: _R.OPERATOR,
    Action.ENVIRONMENT_TRIGGERS: _R.OPERATOR,
    Action.ENVIRONMENT_HEARTBEAT: _R.OPERATOR,
    Action.ENVIRONMENT_PIN: _R.OPERATOR,
    Action.ENVIRONMENT_CREATE: _R.OWNER,
    Action.ENVIRONMENT_REVEAL: _R.OWNER,
    Action.ENVIRONMENT_DESTROY: _R.OWNER,
    Action.ENVIRONMENT_ABANDON: _R.OWNER,
    Action.ENVIRONMENT_SHARE: _R.OWNER,
    Action.ENVIRONMENT_TRANSFER: _R.OWNER,
    Action.ENVIRONMENT_AUDIT: _R.OWNER,
}
"""The role on the environment that an action takes. A share with `reveal` lets other roles reveal."""

ON_SERVICE: dict[Action, ServiceRole] = {
    Action.ENVIRONMENT_MIRROR: ServiceRole.ADMIN,
    Action.ENVIRONMENT_PIN_PAST_MAXIMUM: ServiceRole.ADMIN,
    Action.TEMPLATE_PUSH: ServiceRole.ADMIN,
    Action.TEMPLATE_VALIDATE: ServiceRole.ADMIN,
    Action.TEMPLATE_DELETE: ServiceRole.ADMIN,
    Action.IMAGE_PUBLISH: ServiceRole.ADMIN,
    Action.IMAGE_WITHDRAW: ServiceRole.ADMIN,
    Action.WARNING_CHANNELS: ServiceRole.ADMIN,
    Action.WARNING_TEST: ServiceRole.ADMIN,
    Action.POLICY_SET: ServiceRole.ADMIN,
    Action.CALENDAR_SET: ServiceRole.ADMIN,
    Action.HOLD_RELEASE: ServiceRole.ADMIN,
    Action.HOLD_CANCEL: ServiceRole.ADMIN,
    Action.WEBHOOK_MANAGE: ServiceRole.ADMIN,
    Action.EVENT_REPLAY: ServiceRole.ADMIN,
    Action.PERSON_MANAGE: ServiceRole.ADMIN,
    Action.GROUP_MANAGE: ServiceRole.ADMIN,
    Action.ROLE_GRANT: ServiceRole.ADMIN,
    Action.CREATOR_SET: ServiceRole.ADMIN,
    Action.PERSON_LIST: ServiceRole.AUDITOR,
    Action.ACCESS_EXPLAIN: ServiceRole.AUDITOR,
    Action.AUDIT_READ: ServiceRole.AUDITOR,
    Action.METRICS_READ: ServiceRole.AUDITOR,
    Action.TOKEN_CREATE: ServiceRole.USER,
    Action.TOKEN_REVOKE: ServiceRole.USER,
    Action.SESSION_END: ServiceRole.USER,
    Action.SUCCESSOR_SET: ServiceRole.USER,
    Action.ACCOUNT_MANAGE: ServiceRole.USER,
    Action.TRIGGER_MANAGE: ServiceRole.USER,
}
"""The service role that an action takes; what somebody may do with theirs alone is decided where it is done."""

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

APPLIES = frozenset({Action.ENVIRONMENT_CREATE, Action.ENVIRONMENT_UPDATE, Action.ENVIRONMENT_ROLL_BACK})
"""Actions that apply a version of a template which the environment may not have had before."""

READS = frozenset(
    {
        Action.ENVIRONMENT_READ,
        Action.ENVIRONMENT_READ_CONTAINER_LOGS,
        Action.ENVIRONMENT_OBSERVE,
        Action.ENVIRONMENT_PLAN,
        Action.ENVIRONMENT_HEARTBEAT,
        Action.ENVIRONMENT_AUDIT,
        Action.TEMPLATE_VALIDATE,
        Action.WARNING_CHANNELS,
        Action.PERSON_LIST,
        Action.ACCESS_EXPLAIN,
        Action.AUDIT_READ,
        Action.METRICS_READ,
    }
)
"""Actions that change nothing but the moment of the last one, and reveal no known secret: they aren't audited."""

_CHANNELS = "Only an admin can see and test the channels of warnings: they name everybody's recipients."

WHY_ADMINS = {
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
    Action.WARNING_CHANNELS: _CHANNELS,
    Action.WARNING_TEST: _CHANNELS,
    Action.WEBHOOK_MANAGE: "Only an admin can manage webhooks: they hold secrets, and everybody's triggers hear them.",
    Action.EVENT_REPLAY: "Only an admin can replay a received event: it may concern everybody's environments.",
    Action.PERSON_LIST: "Only admins and auditors see everybody.",
    Action.PERSON_MANAGE: "Only an admin can manage people.",
    Action.GROUP_MANAGE: "Only an admin can manage groups, because they give access to environments of others.",
    Action.ROLE_GRANT: "Only an admin can give and take roles on the service.",
    Action.CREATOR_SET: "Only an admin can say who may create from a template.",
    Action.ACCESS_EXPLAIN: "Only admins and auditors can ask why somebody else may do something.",
    Action.AUDIT_READ: "Only admins and auditors read the audit log.",
    Action.METRICS_READ: "Only admins and auditors read the metrics: they count everybody's environments.",
}
"""What is said to those who may not."""


def actions_of(role: EnvironmentRole | None, *, reveal: bool = False) -> list[Action]:
    """What a role on an environment may do to it, in the order of `Action`; `reveal`: with that right of its own."""
    if role is None:
        return []
    found: list[Action] = []
    for action in Action:
        needed = ON_ENVIRONMENTS.get(action)
        if needed is None or action is Action.ENVIRONMENT_CREATE:
            continue
        if role.covers(needed) or (reveal and action is Action.ENVIRONMENT_REVEAL):
            found.append(action)
    return found


def short(action: Action) -> str:
    """The action's name among those of its subject: `update` for `environment:update`."""
    return action.value.partition(":")[2]
