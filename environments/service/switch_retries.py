"""Stops and starts that failed: they are tried again as long as the calendar says the same."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from environments.domain.deadline import switch_again_after
from environments.domain.environment import Deployment, Environment, EventType
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.timing import TimedAction
from environments.service.deadlines import NOT_COMPUTED, stored_timing
from environments.service.storage.deployments import newest_of
from environments.service.storage.transaction import Transaction
from environments.service.timing import Due, last_switch

TRIED_FOR = timedelta(days=3)
"""How long after its moment a stop or a start is tried again: over a weekend."""

KINDS = {TimedAction.STOP: DeploymentKind.STOP, TimedAction.START: DeploymentKind.START}
DONE = {DeploymentKind.STOP: "stopped", DeploymentKind.START: "started"}

_TOLD_BEFORE = 10
"""Events that are searched for the same reason: rules to stop and to start may fire by turns."""

log = structlog.get_logger()


class Retry(NamedTuple):
    """What is tried again, and its number: the first retry is the second attempt."""

    due: Due
    attempt: int


def after_failure(tx: Transaction, deployment: Deployment, now: datetime) -> None:
    """Plans the next attempt at a stop or a start that has failed, in the transaction that records the failure.

    It does so whoever asked for it, but only if it is what should hold by the calendar: what a person asks for against
    the calendar isn't repeated.
    """
    environment = tx.environments.get(deployment.environment_id)
    try:
        due = None if environment is None else _wished(tx, environment, now)
    except NOT_COMPUTED as error:
        log.warning("switch.not_computed", deployment=deployment.id, reason=str(error))
        return
    if environment is None or due is None or KINDS[due.action] is not deployment.kind:
        return
    attempts = environment.switch_attempts + 1
    again = now + switch_again_after(attempts)
    failed = f"the {due.action.value} of {environment.name} by the calendar failed and"
    if again > due.at + TRIED_FOR:
        message = f"{failed} isn't tried again: it was due at {due.at:%Y-%m-%d %H:%M %Z}"
        tell_not_switched(tx, environment, due, now, message, again_at=None)
        return
    tx.environments.change(environment.id, switch_again_at=again, switch_attempts=attempts)
    message = f"{failed} will be tried again at {again:%Y-%m-%d %H:%M:%S %Z}"
    tell_not_switched(tx, environment, due, now, message, again_at=again.isoformat(), attempt=attempts + 1)


def retry(tx: Transaction, environment: Environment, now: datetime) -> Retry | None:
    """What is to be tried again at its `switch_again_at`; None: nothing, or it isn't wished any more.

    Raises what computing rules raises.
    """
    if environment.switch_again_at is None or environment.state is not State.FAILED:
        return None
    due = _wished(tx, environment, now)
    newest = newest_of(tx.deployments, environment.id)
    if due is None or newest is None or newest.kind is not KINDS[due.action]:
        return None
    return Retry(due, environment.switch_attempts + 1)


def tell_not_switched(
    tx: Transaction, environment: Environment, due: Due, now: datetime, message: str, **more: Any
) -> None:
    """Writes the event about a stop or a start by the calendar that wasn't done, or that failed."""
    because = due.because.model_dump(mode="json")
    data = {"action": due.action.value, "due": due.at.isoformat(), "because": because, **more}
    tx.events.add(EventType.ENVIRONMENT_NOT_SWITCHED, environment.id, now, message=message, data=data)


def told_already(tx: Transaction, environment: Environment, message: str) -> bool:
    """Whether its events say so since its last deployment was requested: the same reason is told once."""
    types = (EventType.ENVIRONMENT_NOT_SWITCHED, EventType.DEPLOYMENT_REQUESTED)
    for event in tx.events.before(None, environment_id=environment.id, types=types, limit=_TOLD_BEFORE):
        if event.type is EventType.DEPLOYMENT_REQUESTED:
            return False
        if event.message == message:
            return True
    return False


def _wished(tx: Transaction, environment: Environment, now: datetime) -> Due | None:
    """The last stop or start by the calendar, done with or not: what should hold unless a person wants otherwise."""
    timing, holidays = stored_timing(tx, environment)
    return last_switch(timing, holidays, environment.created_at, now)
