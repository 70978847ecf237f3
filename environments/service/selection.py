"""Which environments a list has, in which order, and where its next page begins."""

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput
from environments.domain.json_values import is_text
from environments.domain.lifecycle import State

BY_URGENCY = (
    State.DESTROY_FAILED,
    State.FAILED,
    State.REQUESTED,
    State.DEPLOYING,
    State.VALIDATING,
    State.UPDATING,
    State.STARTING,
    State.STOPPING,
    State.DESTROYING,
    State.READY,
    State.STOPPED,
    State.ABANDONED,
    State.DESTROYED,
)
"""States in the order in which people want to hear of them."""

_LONGEST = 500


class Order(StrEnum):
    """What a list is sorted by; environments that are equal in it come in the order of their ids."""

    CREATED = "created"
    NAME = "name"
    DEADLINE = "deadline"
    """Those without a deadline are last."""
    STATE = "state"
    """As `BY_URGENCY` says."""


@dataclass(frozen=True)
class Selection:
    """Which environments are meant, of those in sight. What is None or empty limits nothing.

    `owners`: whose; `not_owners`: whose not. `name`: a part of the name. `due`: the deadline is before that moment.
    `attention`: only what a person should look at: failed, degraded, drifted, awaiting promotion, or held.
    """

    owner: str | None = None
    owners: Collection[str] | None = None
    not_owners: frozenset[str] = frozenset()
    ended: bool = False
    ids: Collection[str] | None = None
    states: frozenset[State] = frozenset()
    template: str | None = None
    name: str = ""
    due: datetime | None = None
    attention: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether anything but `owner` and `ended` limits it."""
        return self != Selection(owner=self.owner, ended=self.ended)


@dataclass(frozen=True)
class Place:
    """Where a page of a sorted list ends: what its last environment is sorted by, and its id."""

    value: datetime | str | int | None
    id: str


def place_of(order: Order, environment: Environment) -> Place:
    """The place behind an environment."""
    value: datetime | str | int | None
    match order:
        case Order.CREATED:
            value = environment.created_at
        case Order.NAME:
            value = environment.name
        case Order.DEADLINE:
            value = environment.deadline
        case Order.STATE:
            value = BY_URGENCY.index(environment.state)
    return Place(value, environment.id)


def place_text(order: Order, place: Place) -> str:
    """A place as a text that means nothing to others."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    return base64.urlsafe_b64encode(json.dumps([order.value, value, place.id]).encode()).decode().rstrip("=")


def read_place(order: Order, text: str) -> Place:
    """The place that a text of `place_text` says. Raises `InvalidInput`, also for one of another order."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        of, value, id = found
        if of != order.value or not _is_storable(id):
            raise ValueError
        return Place(_value(order, value), id)
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput(
            "`after` isn't the end of a page in this order.", hint="Take it from the Link header of that page."
        ) from None


def _value(order: Order, value: Any) -> datetime | str | int | None:
    """Raises `ValueError` for what this order can't have, and `OverflowError` for a moment that UTC doesn't have."""
    if order in (Order.CREATED, Order.DEADLINE) and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    elif order is Order.DEADLINE and value is None:
        return None
    elif order is Order.NAME and _is_storable(value):
        return str(value)
    elif order is Order.STATE and type(value) is int and 0 <= value < len(BY_URGENCY):
        return value
    raise ValueError


def _is_storable(value: Any) -> bool:
    """Whether it is a text that databases take."""
    return isinstance(value, str) and "\0" not in value and is_text(value)
