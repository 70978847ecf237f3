"""The port to the database: triggers, and what they did."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from environments.domain.trigger import Firing, PlacedTrigger
from environments.service.pages import Page


class Triggers(Protocol):
    """Triggers that stand alone or on an environment; those of templates stand in their bundles.

    A name is unique for each owner among those that stand alone, and for each environment.
    """

    def add(self, trigger: PlacedTrigger) -> None:
        """Adds a trigger. Raises `NameTaken`."""
        ...

    def get(self, trigger_id: str) -> PlacedTrigger | None:
        """One trigger. In a writing transaction nobody else can change it until that ends."""
        ...

    def named(self, name: str, *, owner: str | None = None, environment_id: str | None = None) -> PlacedTrigger | None:
        """The trigger of that name on an environment, or that one of an owner that stands alone."""
        ...

    def named_alike(self, name: str) -> list[PlacedTrigger]:
        """Those of that name that stand alone, of all owners."""
        ...

    def change(self, trigger_id: str, **values: Any) -> None:
        """Writes the named fields of a trigger: `definition` as a `Trigger`, `name`, `paused`."""
        ...

    def remove(self, trigger_id: str) -> bool:
        """Removes a trigger; False if there was none."""
        ...

    def all(
        self,
        *,
        owners: Collection[str] | None = None,
        environment_id: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[PlacedTrigger]:
        """Triggers (of these owners, on that environment), newest first, at most `limit`, older than `before`.

        Those on environments that have ended are listed with that environment alone. Raises `NotFound` for that one.
        """
        ...

    def count(self, owner: str) -> int:
        """How many triggers act for an owner, without those on environments that have ended."""
        ...

    def active(self) -> list[PlacedTrigger]:
        """All triggers that aren't paused and don't stand on an environment that has ended."""
        ...

    def version(self) -> int:
        """Grows with each change of any trigger."""
        ...

    def living_bundles(self) -> list[tuple[str, str]]:
        """The template and the bundle's digest of all environments that haven't ended, each pair once."""
        ...

    def living_environments(
        self,
        *,
        bundle: str | None = None,
        owner: str | None = None,
        template: str | None = None,
        ids: Collection[str] = (),
    ) -> list[str]:
        """Ids of environments that haven't ended and that this service manages; all that is given has to hold.

        `ids`: only of these, if there are any.
        """
        ...


class Firings(Protocol):
    """What triggers did: once for each event, trigger and environment."""

    def add(self, firings: Sequence[Firing]) -> int:
        """Adds those that aren't there yet; returns how many it added."""
        ...

    def get(self, firing_id: str) -> Firing | None:
        """One firing."""
        ...

    def of_event(self, event_id: str) -> list[Firing]:
        """What an event led to, oldest first."""
        ...

    def of_trigger(self, trigger_id: str, *, limit: int) -> list[Firing]:
        """What a trigger did, newest first."""
        ...

    def due(self, now: datetime, limit: int) -> list[str]:
        """Ids of pending firings that are due, the longest overdue first."""
        ...

    def take(self, firing_id: str, now: datetime) -> Firing | None:
        """A pending firing that is due, which nobody else can take until the transaction ends; else None."""
        ...

    def newer(self, firing: Firing, at: datetime | None) -> str | None:
        """The event of a newer firing of the same trigger, environment and action, if there is one.

        One whose event happened before the moment `at`, although it was received later, isn't newer.
        """
        ...

    def change(self, firing_id: str, **values: Any) -> None:
        """Writes the named fields of a firing."""
        ...

    def count_pending(self) -> int:
        """How many are still to be done."""
        ...
