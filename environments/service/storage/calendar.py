"""The port to the database: policies, holiday calendars, and the zone database that deadlines were computed with."""

from collections.abc import Sequence
from typing import Protocol

from environments.domain.timing import HolidayCalendar, Policy, Scope
from environments.service.pages import Page


class Policies(Protocol):
    """Policies for all environments of an owner or of a template."""

    def share(self) -> None:
        """Until the transaction ends, nobody edits a policy or a calendar.

        A transaction that adds an environment calls it first: an edit doesn't see an environment that isn't there yet.
        """
        ...

    def alone(self) -> None:
        """Until the transaction ends, nobody else edits a policy or a calendar, or adds an environment."""
        ...

    def get(self, scope: Scope, name: str) -> Policy | None:
        """The policy for that owner or template."""
        ...

    def of(self, owner: str, template: str) -> Sequence[Policy]:
        """Those that apply to environments of the owner that are made from the template."""
        ...

    def all(self, *, owner: str | None = None, limit: int | None = None, skip: int = 0) -> Page[Policy]:
        """Policies by scope and name, at most `limit` without the first `skip`; `owner`: none for other owners."""
        ...

    def put(self, policy: Policy) -> None:
        """Adds a policy, in place of one with the same scope and name."""
        ...

    def remove(self, scope: Scope, name: str) -> None:
        """Removes a policy; does nothing if there is none."""
        ...


class Calendars(Protocol):
    """Holiday calendars."""

    def get(self, name: str) -> HolidayCalendar | None:
        """The calendar of that name."""
        ...

    def all(self, *, after: str = "", limit: int | None = None) -> Page[HolidayCalendar]:
        """Calendars by name, behind the one named `after`; at most `limit`."""
        ...

    def names(self, limit: int) -> list[str]:
        """The first names, without reading any days."""
        ...

    def put(self, calendar: HolidayCalendar) -> None:
        """Adds a calendar, in place of one with the same name."""
        ...

    def remove(self, name: str) -> None:
        """Removes a calendar; does nothing if there is none."""
        ...

    def zones(self) -> str | None:
        """The version of the zone database that deadlines were last computed with; None: none was recorded."""
        ...

    def set_zones(self, version: str) -> None:
        """Records that version."""
        ...
