"""The port to the database: events."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from environments.domain.access import EVERYTHING, SharedTo, Sight
from environments.domain.environment import Event, EventType
from environments.service.pages import Page


class SharedEvent(NamedTuple):
    """An event, and what decided who sees its environment when the event was read."""

    event: Event
    shared: SharedTo


class StateEvent(NamedTuple):
    """An environment has entered a state. `name`, `owner` and `template`: what the environment has now."""

    id: int
    at: datetime
    environment_id: str
    deployment_id: str | None
    state: str
    name: str
    owner: str
    template: str


class Events(Protocol):
    """The events, in order."""

    def add(
        self,
        type: EventType,
        environment_id: str,
        now: datetime,
        *,
        deployment_id: str | None = None,
        step: str | None = None,
        message: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds an event; readers get it when the transaction has been committed."""
        ...

    def add_logs(self, rows: Sequence[tuple[str, str, str | None, datetime, str]]) -> None:
        """Adds several log lines: (environment id, deployment id, step, moment, line)."""
        ...

    def after(
        self,
        event_id: int,
        *,
        environment_id: str | None,
        sight: Sight = EVERYTHING,
        limit: int,
    ) -> Page[Event]:
        """Events newer than the id, oldest first; of one environment, or of all that are in sight."""
        ...

    def latest(self, before: int | None, *, environment_id: str, sight: Sight = EVERYTHING, limit: int) -> Page[Event]:
        """The newest events of one environment, older than the id if there is one, and the oldest of them first.

        `more`: older ones are left because of the page's bytes.
        """
        ...

    def shared_after(self, event_id: int, *, limit: int) -> Page[SharedEvent]:
        """Everybody's events, each with what decides who sees its environment, as of the same moment."""
        ...

    def before(
        self, event_id: int | None, *, environment_id: str, types: Collection[EventType], limit: int
    ) -> Page[Event]:
        """Events of these types of one environment, newest first, older than the id; None: from the newest on.

        Log lines are never among them.
        """
        ...

    def states_after(self, event_id: int, *, limit: int) -> list[StateEvent]:
        """The states that environments of this service have entered since that event, oldest first, at most `limit`."""
        ...

    def newest(self) -> int:
        """The id of the newest event; 0 when there is none."""
        ...

    def forget(self, *, logs_before: datetime, events_before: datetime) -> int:
        """Deletes some thousands of old log lines and other old events; returns how many, 0 when none is left."""
        ...
