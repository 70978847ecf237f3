"""Entry points in memory, with edges that take routes over at once."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

from environments.service.entry_points import EntryPoints
from environments.service.storage.entry_points import PublishedService
from environments.service.storage.transaction import Storage


class MemoryEntryPoints(EntryPoints):
    """`live` edges take over what is published; while they are `stuck`, they go on with what they serve."""

    def __init__(self, domain: str = "apps.example.org", port: int = 443) -> None:
        super().__init__(cast(Storage, None), lambda: datetime(2026, 1, 1, tzinfo=UTC), domain, port)
        self.live = 1
        self.stuck = False
        self.names: dict[str, str] = {}
        """Names of environments by id."""
        self._published: set[tuple[str, str]] = set()
        self._served: set[tuple[str, str]] = set()

    def published(self, environment_id: str | None = None) -> list[PublishedService]:
        """All of them, or those of one environment."""
        found = [one for one in sorted(self._published) if environment_id in (None, one[0])]
        return [PublishedService(id, self.names.get(id, id), service) for id, service in found]

    def publish(self, environment_id: str, services: Iterable[str]) -> None:
        """Publishes services."""
        self._published |= {(environment_id, service) for service in services}
        self._follow()

    def withdraw(self, environment_id: str, service: str) -> None:
        """Withdraws a service."""
        self._published.discard((environment_id, service))
        self._follow()

    def edges(self, environment_id: str, service: str) -> tuple[int, int]:
        """How many edges serve it."""
        return (self.live if (environment_id, service) in self._served else 0), self.live

    def _follow(self) -> None:
        if not self.stuck:
            self._served = set(self._published)
