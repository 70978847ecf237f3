"""What happened to an environment, by which rule and on whose behalf: from its stored events and deployments."""

from dataclasses import dataclass
from datetime import datetime

from environments.domain.environment import Environment, Event, EventType
from environments.domain.lifecycle import DeploymentState
from environments.domain.timing import Because, PastAction, Source
from environments.service.storage.transaction import Transaction

_ACTIONS = {
    EventType.ENVIRONMENT_EXTENDED: PastAction.EXTEND,
    EventType.ENVIRONMENT_DEADLINE: PastAction.DEADLINE,
    EventType.ENVIRONMENT_RULES: PastAction.RULES,
    EventType.ENVIRONMENT_PINNED: PastAction.PIN,
    EventType.ENVIRONMENT_UNPINNED: PastAction.UNPIN,
    EventType.ENVIRONMENT_TRANSFERRED: PastAction.TRANSFER,
    EventType.ENVIRONMENT_SHARED: PastAction.SHARE,
    EventType.ENVIRONMENT_UNSHARED: PastAction.UNSHARE,
    EventType.ENVIRONMENT_WARNING: PastAction.WARN,
    EventType.ENVIRONMENT_NOT_SWITCHED: PastAction.NOT_SWITCHED,
    EventType.ENVIRONMENT_HELD: PastAction.HELD,
}
_TOLD = frozenset({*_ACTIONS, EventType.DEPLOYMENT_REQUESTED})


@dataclass(frozen=True)
class Past:
    """Something that happened to an environment at a moment (UTC).

    `id` is that of its event. `by` is who asked for it, `clock` for the calendar, or empty if that wasn't recorded.
    `because` is the rule or the person that decided. `state` is that of the deployment.
    """

    id: int
    at: datetime
    action: PastAction
    by: str
    reason: str
    because: Because | None = None
    deployment_id: str | None = None
    state: DeploymentState | None = None


def what_happened(tx: Transaction, environment: Environment, count: int, before: int | None = None) -> tuple[Past, ...]:
    """At most `count` (0 or more), newest first; with `before` only what is older than the event with that id.

    Events are kept for a time only, so the oldest ones may be missing.
    """
    if count == 0:
        return ()
    found = tx.events.before(before, environment_id=environment.id, types=_TOLD, limit=count)
    return tuple(_past(tx, event) for event in found)


def _past(tx: Transaction, event: Event) -> Past:
    because = Because.model_validate(event.data["because"]) if event.data.get("because") else None
    if event.type is EventType.DEPLOYMENT_REQUESTED:
        deployment = None if event.deployment_id is None else tx.deployments.get(event.deployment_id)
        action = PastAction(event.data["kind"])
        if deployment is None:
            return Past(event.id, event.at, action, "", event.message, because, event.deployment_id)
        return Past(
            event.id,
            event.at,
            action,
            deployment.requested_by,
            deployment.reason,
            because,
            deployment.id,
            deployment.state,
        )
    by = event.data.get("by", "")
    if because is None and by and event.type is EventType.ENVIRONMENT_EXTENDED:
        because = Because(source=Source.PERSON, by=by)
    return Past(event.id, event.at, _ACTIONS[event.type], by, event.message, because)
