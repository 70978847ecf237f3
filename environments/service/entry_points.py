"""Entry points of environments: which services are published, and which of them the edges serve."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from environments.domain.entry_points import entry_hosts, entry_url
from environments.domain.errors import NotAllowedNow
from environments.service.storage.entry_points import EdgeReport, PublishedService
from environments.service.storage.transaction import Storage, Transaction

LIVE = timedelta(seconds=60)
"""An edge says what it serves twice in that time at least; one that was silent for longer is gone."""

_FORGOTTEN = timedelta(days=1)
"""How long the report of an edge is kept that is gone."""


@dataclass(frozen=True)
class EntryPointAddress:
    """An entry point as people see it: a service of an environment, and the two addresses that lead to it."""

    service: str
    url: str
    subdomain_url: str


def route_id(environment_id: str, service: str) -> str:
    """The id of a route at the edge."""
    return f"{environment_id}/{service}"


class EntryPoints:
    """Publishes services at the edges. `domain` is what all host names end with, `port` where the edge listens.

    Without a domain there are no entry points.
    """

    def __init__(self, storage: Storage, clock: Callable[[], datetime], domain: str, port: int) -> None:
        self._storage = storage
        self._clock = clock
        self._domain = domain
        self._port = port

    def domain(self) -> str:
        """The domain. Raises `NotAllowedNow` when there is none."""
        if not self._domain:
            raise NotAllowedNow(
                "This service has no edge with a domain for entry points.",
                hint="An admin switches it on with `doit deploy --entry-domain apps.example.org`.",
            )
        return self._domain

    def address(self, environment: str, service: str) -> EntryPointAddress:
        """The addresses of a service. Raises `InvalidName` for names that are too long, `NotAllowedNow`."""
        joined, below = entry_hosts(environment, service, self.domain())
        return EntryPointAddress(service, entry_url(joined, self._port), entry_url(below, self._port))

    def addresses(self, tx: Transaction, environment_id: str) -> tuple[EntryPointAddress, ...]:
        """The addresses of all published services of an environment; none without a domain."""
        if not self._domain:
            return ()
        return tuple(self.address(found.environment, found.service) for found in tx.entry_points.all(environment_id))

    def published(self, environment_id: str | None = None) -> list[PublishedService]:
        """All published services, or those of one environment."""
        with self._storage.read() as tx:
            return tx.entry_points.all(environment_id)

    def publish(self, environment_id: str, services: Iterable[str]) -> None:
        """Publishes services of an environment, in addition to those that are. Repeated calls change nothing."""
        with self._storage.write() as tx:
            for service in services:
                tx.entry_points.add(environment_id, service)

    def withdraw(self, environment_id: str, service: str) -> None:
        """Withdraws a service, if it is published."""
        with self._storage.write() as tx:
            tx.entry_points.remove(environment_id, service)

    def report(self, edge: str, routes: Iterable[str]) -> None:
        """Keeps what an edge says that it serves."""
        now = self._clock()
        with self._storage.write() as tx:
            tx.entry_points.report(EdgeReport(edge, now, frozenset(routes)))
            tx.entry_points.forget_reports(now - _FORGOTTEN)

    def edges(self, environment_id: str, service: str) -> tuple[int, int]:
        """How many live edges serve a route, and how many live edges there are."""
        wanted = route_id(environment_id, service)
        with self._storage.read() as tx:
            live = tx.entry_points.reports(self._clock() - LIVE)
        return sum(wanted in found.routes for found in live), len(live)
