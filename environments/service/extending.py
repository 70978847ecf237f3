"""Moving a deadline, for who asks with a token and for who uses the link in a warning."""

from datetime import datetime
from typing import Any

from environments.domain.deadline import check_deadline
from environments.domain.environment import Environment, EventType
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import ENDED, State, way_on
from environments.domain.timing import Because, Source
from environments.service.authorization import Action, Principal, may
from environments.service.deadlines import read_template, timed
from environments.service.storage.transaction import Transaction


def check_extendable(tx: Transaction, principal: Principal, environment: Environment) -> None:
    """Raises `NotAllowedNow` for an environment that is being destroyed or is gone, and what `may` raises."""
    may(tx, principal, Action.ENVIRONMENT_EXTEND, environment)
    if environment.state in ENDED or environment.state in (State.DESTROYING, State.DESTROY_FAILED):
        raise NotAllowedNow(
            f"Environment {environment.name!r} is {environment.state.value} already.",
            hint=way_on(environment.name, environment.state),
        )


def extend_to(tx: Transaction, environment: Environment, wanted: datetime, by: str, now: datetime) -> Environment:
    """Moves the deadline of an environment that may be extended. Raises `InvalidLifetime` past its maximum."""
    latest = environment.maximum_deadline
    maximum = latest - environment.created_at if latest is not None else None
    deadline = check_deadline(wanted, now=now, created=environment.created_at, maximum=maximum)
    return move_deadline(tx, environment, deadline, by, now)


def move_deadline(tx: Transaction, environment: Environment, deadline: datetime, by: str, now: datetime) -> Environment:
    """Sets the deadline, a checked one, on behalf of `by`, and tells so. Returns the changed environment."""
    because = Because(source=Source.PERSON, by=by)
    # Rules count from the new deadline on: else one whose moment comes before it would undo what was asked.
    chosen: dict[str, Any] = {"set_deadline": deadline, "set_because": because, "rules_from": deadline}
    changes = timed(tx, environment, read_template(tx, environment), now, **chosen)
    tx.environments.change(environment.id, **changes)
    tx.events.add(
        EventType.ENVIRONMENT_EXTENDED,
        environment.id,
        now,
        message=f"{by} moved the deadline to {deadline:%Y-%m-%d %H:%M:%S %Z}",
        data={"deadline": deadline.isoformat(), "by": by},
    )
    return environment.model_copy(update=changes)
