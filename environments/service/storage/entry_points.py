"""The port to the database: published entry points, and what the edges serve."""

from datetime import datetime
from typing import NamedTuple, Protocol


class PublishedService(NamedTuple):
    """A service of an environment that has an entry point; `environment` is the environment's name.

    `stopped`: the environment is stopped or being stopped, so whoever answers at its addresses isn't the service.
    """

    environment_id: str
    environment: str
    service: str
    stopped: bool = False


class EdgeReport(NamedTuple):
    """What an edge said last: `routes` are those that it serves, each `<environment id>/<service>`."""

    edge: str
    seen_at: datetime
    routes: frozenset[str]


class EntryPoints(Protocol):
    """Published entry points, and reports of edges."""

    def all(self, environment_id: str | None = None) -> list[PublishedService]:
        """All published services, or those of one environment, in the order of environment and service."""
        ...

    def add(self, environment_id: str, service: str) -> None:
        """Publishes a service; does nothing if it is published."""
        ...

    def remove(self, environment_id: str, service: str) -> None:
        """Withdraws a service; does nothing if it isn't published."""
        ...

    def report(self, report: EdgeReport) -> None:
        """Replaces the report of that edge."""
        ...

    def reports(self, since: datetime) -> list[EdgeReport]:
        """Reports of the edges that were seen since a moment."""
        ...

    def forget_reports(self, before: datetime) -> None:
        """Deletes the reports of edges that were seen last before a moment."""
        ...
