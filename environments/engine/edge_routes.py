"""Tells the edges which routes there are: published entry points, with the healthy instances behind each.

An edge asks for the next table and is answered when it differs from the one that it has. With each question it says
what it serves. While no edge asks, nobody is asked for instances.
"""

import hashlib
import json
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from itertools import groupby

import structlog

from environments.domain.entry_points import certificate_names, entry_hosts
from environments.domain.errors import BackendUnavailable, CalvinverseError, MachineError, NotFound
from environments.domain.names import service_name
from environments.service.entry_points import EntryPoints, route_id
from environments.service.storage.entry_points import PublishedService
from environments.steps.base import Owner
from environments.steps.cluster_events import CheckFeed
from environments.steps.entry_points import (
    EntryCertificates,
    EnvironmentRoutes,
    Healthy,
    Instances,
    Route,
    RouteTable,
    SignedCertificate,
)

_ASKED_WITHIN = 60.0
"""Seconds after the last question of an edge for which instances are followed."""

_AGAIN = 10.0
"""Seconds after which all instances are listed again, whatever was heard: services without checks send no news."""

_PAUSE, _SHARE = 0.25, 4
"""Seconds at least between two listings, and how many times as long as the last one took."""

_AFTER_FAULT = 2.0

log = structlog.get_logger()


class EdgeRoutes:
    """Two threads: one makes the table, the other waits for news of Consul's checks."""

    def __init__(
        self, entry_points: EntryPoints, instances: Instances, checks: CheckFeed, certificates: EntryCertificates
    ) -> None:
        self._entry_points = entry_points
        self._instances = instances
        self._checks = checks
        self._certificates = certificates
        self._changed = threading.Condition()
        self._table: RouteTable | None = None
        self._known: dict[str, Healthy] = {}
        self._authority = ""
        self._asked_at = -_ASKED_WITHIN
        self._listed: list[PublishedService] | None = None
        self._listed_at = 0.0
        self._news = threading.Event()
        """Consul's checks have changed since the last listing."""
        self._wake = threading.Event()
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._closed = False
        self._away = False
        self._threads = [
            threading.Thread(target=self._make, name="edge-routes", daemon=True),
            threading.Thread(target=self._follow, name="edge-checks", daemon=True),
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the threads. Doesn't wait for a blocking query to Consul, because that changes nothing."""
        self._stopping.set()
        self._asked.set()
        self._wake.set()
        self.close()
        if self._threads[0].is_alive():
            self._threads[0].join(timeout=2)

    def close(self) -> None:
        """Answers all open questions, and the next ones at once. Safe to call from any thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def committed(self, _event_id: int) -> None:
        """Something was written to the database; entry points may have changed. Returns at once."""
        self._wake.set()

    def next(self, edge: str, serves: Collection[str], version: str, seconds: float) -> RouteTable | None:
        """The table, as soon as it differs from that of `version`; None if it doesn't within `seconds`.

        Keeps that the edge of that id `serves` these routes. Raises `NotAllowedNow` without a domain, `StorageError`.
        """
        self._entry_points.domain()
        self._entry_points.report(edge, serves)
        self._asked_at = time.monotonic()
        self._asked.set()
        self._wake.set()
        end = time.monotonic() + seconds
        with self._changed:
            while not self._closed:
                if self._table is not None and self._table.version != version:
                    return self._table
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
        return None

    def certificate(self, environment_id: str, request: str) -> SignedCertificate:
        """A certificate for all entry points of an environment. Raises `NotFound`, `InvalidInput`, `BackendError`."""
        found = self._entry_points.published(environment_id)
        if not found:
            raise NotFound("There is no environment with entry points of that id.")
        owner = Owner(environment_id, found[0].environment)
        return self._certificates.sign(owner, self._names(found), request)

    def _names(self, found: Collection[PublishedService]) -> tuple[str, ...]:
        services = tuple(one.service for one in found)
        return certificate_names(next(iter(found)).environment, services, self._entry_points.domain())

    def _make(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_AGAIN)
            self._wake.clear()
            if self._stopping.is_set() or not self._is_asked():
                continue
            began = time.monotonic()
            try:
                published = self._entry_points.published()
                # Most of what is written to the database is about something else.
                if published == self._listed and not self._news.is_set() and began - self._listed_at < _AGAIN:
                    continue
                self._news.clear()
                self._set(self._new_table(published))
                self._listed, self._listed_at = published, began
            except CalvinverseError as error:
                log.warning("routes.unknown", reason=error.message)
                self._stopping.wait(_AFTER_FAULT)
            except Exception as error:  # the thread must not end: no later change would reach the edges
                log.error("routes.fault", exc_info=error)
                self._stopping.wait(_AFTER_FAULT)
            self._stopping.wait(max(_PAUSE, (time.monotonic() - began) * _SHARE))

    def _is_asked(self) -> bool:
        return time.monotonic() - self._asked_at < _ASKED_WITHIN

    def _new_table(self, published: Sequence[PublishedService]) -> RouteTable:
        environments, asks = [], True
        known: dict[str, Healthy] = {}
        for environment_id, group in groupby(published, key=lambda one: one.environment_id):
            found = list(group)
            answer: dict[str, Healthy] | None = None
            if asks:
                answer, asks = self._healthy(Owner(environment_id, found[0].environment), found)
            routes = []
            for one in found:
                id = route_id(environment_id, one.service)
                healthy = self._known.get(id) if answer is None else answer.get(one.service, Healthy())
                if one.stopped:
                    # Another job may have its address by the time that somebody asks for it.
                    healthy = Healthy()
                if healthy is not None:
                    known[id] = healthy
                routes.append(self._route(id, one, healthy))
            environments.append(EnvironmentRoutes(environment_id, self._names(found), tuple(routes)))
        self._known = known
        if any(healthy.tls for healthy in known.values()):
            self._learn_authority()
        return RouteTable(_version(self._authority, environments), self._authority, tuple(environments))

    def _route(self, id: str, one: PublishedService, healthy: Healthy | None) -> Route:
        hosts = entry_hosts(one.environment, one.service, self._entry_points.domain())
        if healthy is None:
            return Route(id, hosts, None)
        name = f"{service_name(one.environment, one.service)}.service.consul" if healthy.tls else ""
        return Route(id, hosts, healthy.addresses, name)

    def _learn_authority(self) -> None:
        """Without an answer the authority that is known stays."""
        try:
            self._authority = self._certificates.authority()
        except CalvinverseError as error:
            self._say(error)

    def _healthy(self, owner: Owner, found: Collection[PublishedService]) -> tuple[dict[str, Healthy] | None, bool]:
        """Instances by service, None if they aren't known; and whether it makes sense to ask for others."""
        try:
            healthy = self._instances.healthy(owner, [one.service for one in found])
        except (BackendUnavailable, MachineError) as error:
            self._say(error)
            return None, False
        except CalvinverseError as error:
            log.warning("instances.unknown", environment=owner.name, reason=error.message)
            return None, True
        if self._away:
            self._away = False
            log.info("instances.known")
        return dict(healthy), True

    def _say(self, error: CalvinverseError) -> None:
        """Logs an outage once."""
        if not self._away:
            log.warning("instances.unknown", reason=error.message)
        self._away = True

    def _set(self, table: RouteTable) -> None:
        with self._changed:
            if self._table is None or self._table.version != table.version:
                self._table = table
                self._changed.notify_all()

    def _follow(self) -> None:
        """Waits for changes of checks, with one blocking query after the other."""
        index = 0
        while not self._stopping.is_set():
            if not self._is_asked():
                self._asked.clear()
                if not self._is_asked():
                    self._asked.wait(_AGAIN)
                index = 0
                continue
            try:
                newest, _ = self._checks.critical(index, _AGAIN)
            except Exception:  # noqa: BLE001 - the listing says what is wrong; this thread must not end
                index = 0
                self._stopping.wait(_AFTER_FAULT)
                continue
            if newest != index:
                self._news.set()
                self._wake.set()
            index = newest
            self._stopping.wait(_PAUSE)


def _version(authority: str, environments: Collection[EnvironmentRoutes]) -> str:
    text = json.dumps([authority, [asdict(found) for found in environments]])
    return hashlib.sha256(text.encode()).hexdigest()
