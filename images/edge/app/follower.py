"""Keeps Caddy's routes to environments as the service wants them, and their certificates valid."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from .admin import LoadFailed
from .caddy import Caddy
from .entry_points import Environment, InvalidRoutes, Pair, Routes, Served, read_routes, without_plain
from .process import log
from .service import WAIT, NoAnswer, Refused, Service

_AGAIN = 1.0
"""Seconds after which a service that didn't answer is asked again, and Caddy that kept its configuration."""

_REFUSED_AGAIN = 5.0
"""Seconds after which a service without entry points is asked again."""

_CERTIFICATE_AGAIN = 10.0
"""Seconds after which a certificate that wasn't signed is asked for again."""

PLAIN_SECONDS = 120.0
"""How long instances without TLS are used after the service last knew them. Nomad may give their ports to others
meanwhile; instances with TLS are verified each time."""

_AT_ONCE = 4
"""Certificates that are asked for side by side."""


class Follower:
    """Asks the service for the next routes, again and again, and says with each question what is served.

    All host names are below `domain`. `served` is what Caddy's next configuration serves; None: nobody knows yet.
    `clock` gives seconds.
    """

    def __init__(self, service: Service, domain: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._domain = domain
        self._clock = clock
        self._routes = Routes()
        self._pairs: dict[str, Pair] = {}
        self._not_before: dict[str, float] = {}
        self._told: tuple[str, ...] = ()
        """Routes that Caddy may serve, as the service is told."""
        self._away = False
        self._known: dict[str, float] = {}
        """When the service last knew the instances of a route, by its id."""
        self.served: Sequence[Served] | None = None

    def first(self, seconds: float) -> None:
        """Asks what to serve from the start, for some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.served is None:
            self._ask(min(left, WAIT))
        self._told = _ids(self.served or ())

    def start(self, caddy: Caddy) -> None:
        """Goes on in a thread, until the process ends. `caddy` was started with what is `served`."""
        threading.Thread(target=self._run, args=(caddy,), name="routes", daemon=True).start()

    def _run(self, caddy: Caddy) -> None:
        loaded = self.served
        while True:
            self._ask(self._wait() if self.served == loaded else 0)
            if self.served == loaded:
                continue
            wanted = self.served or ()
            before, now = self._told, _ids(wanted)
            try:
                caddy.switch()
                # New connections have the new routes, and the last of the old ones may still use those before.
                self._told = tuple(dict.fromkeys((*before, *now)))
                self._ask(0)
                caddy.settle()
            except LoadFailed as error:
                log(f"The routes of environments aren't changed: {error}")
                self._told = before
                time.sleep(_AGAIN)
                continue
            self._told, loaded = now, wanted

    def _ask(self, wait: float) -> None:
        """Takes over what the service says, unless it says nothing within `wait` seconds."""
        try:
            document = self._service.routes(self._told, self._routes.version, wait)
            if document is not None:
                self._routes = read_routes(document, self._domain, self._routes)
            elif self.served is None:
                return
            self._away = False
            self._note_known()
        except Refused as error:
            self._say(error)
            time.sleep(_REFUSED_AGAIN)
            self.served = self._trusted(self.served or ())
            return
        except (NoAnswer, InvalidRoutes) as error:
            self._say(error)
            time.sleep(_AGAIN)
            if self.served is None:
                return
        self.served = self._trusted(self._with_certificates())

    def _note_known(self) -> None:
        """The service has answered: it knows the instances now that it knew in its last table."""
        routes = [route for one in self._routes.environments for route in one.routes]
        known = {route.id: self._clock() for route in routes if not route.unknown}
        self._known = {route.id: self._known.get(route.id, 0.0) for route in routes} | known

    def _trusted(self, served: Sequence[Served]) -> list[Served]:
        """The same without instances that are used for too long although the service doesn't know them."""
        since = self._clock() - PLAIN_SECONDS
        old = {id for id, moment in self._known.items() if moment < since}
        return [without_plain(one, old) for one in served]

    def _wait(self) -> float:
        """Seconds until a certificate has to be renewed or asked for again, if that is sooner than `WAIT`."""
        now = time.time()
        return min([WAIT, *(max(self._due(one) - now, 0.5) for one in self._routes.environments)])

    def _with_certificates(self) -> list[Served]:
        """The environments with a certificate; asks for those that lack one or whose ends soon.

        A certificate for other names goes on for those that it has.
        """
        ids = {one.id for one in self._routes.environments}
        self._pairs = {id: pair for id, pair in self._pairs.items() if id in ids}
        self._not_before = {id: moment for id, moment in self._not_before.items() if id in ids}
        now = time.time()
        needy = [one for one in self._routes.environments if self._due(one) <= now]
        if needy:
            with ThreadPoolExecutor(min(len(needy), _AT_ONCE)) as pool:
                list(pool.map(self._renew, needy))
        return [Served(one, self._pairs[one.id]) for one in self._routes.environments if one.id in self._pairs]

    def _due(self, one: Environment) -> float:
        """When its next certificate is to be asked for, in seconds since 1970."""
        pair = self._pairs.get(one.id)
        ends = pair.renew_at if pair is not None and pair.names == one.names else 0.0
        return max(ends, self._not_before.get(one.id, 0.0))

    def _renew(self, one: Environment) -> None:
        try:
            self._pairs[one.id] = self._service.certificate(one.id, one.names)
            self._not_before.pop(one.id, None)
        except NoAnswer as error:
            self._not_before[one.id] = time.time() + _CERTIFICATE_AGAIN
            log(f"There is no new certificate for environment {one.id}: {error}")

    def _say(self, error: Exception) -> None:
        """Logs once that the service is away."""
        if not self._away:
            log(f"Routes of environments stay as they are: {error}")
        self._away = True


def _ids(served: Sequence[Served]) -> tuple[str, ...]:
    """The ids of the routes that have a certificate for their names."""
    return tuple(
        route.id
        for one in served
        for route in one.environment.routes
        if set(one.environment.names) <= set(one.pair.names)
    )
