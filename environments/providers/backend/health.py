"""Whether the parts that the service needs answer: requests without a credential, with a short time limit."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from environments.domain.errors import BackendUnavailable
from environments.providers.backend.calls import TITLES, Caller, Part
from environments.providers.backend.connections import Connections, Endpoint, caller_at

_HEALTH: dict[Part, str] = {
    "consul": "/v1/status/leader",
    "vault": "/v1/sys/health?standbyok=true",
    "nomad": "/v1/status/leader",
}
_TIME_LIMIT = 2.0


class BackendHealth:
    """See `environments.service.reading.Parts`."""

    def __init__(self, connections: Callable[[], Connections], database: str) -> None:
        self._connections = connections
        self._database = database
        self._callers: dict[Endpoint, Caller] = {}
        self._guard = threading.Lock()

    def addresses(self) -> dict[str, str]:
        """Part → address; empty text when it isn't known yet."""
        connections = self._connections()
        found = {"database": self._database}
        for part in _HEALTH:
            endpoint = getattr(connections, part)
            found["openbao" if part == "vault" else part] = endpoint.address if endpoint else ""
        return found

    def troubles(self) -> dict[str, str]:
        """Part → one sentence, for parts that are known and don't answer as they should."""
        known = [part for part in _HEALTH if getattr(self._connections(), part) is not None]
        if not known:
            return {}
        with ThreadPoolExecutor(len(known)) as pool:
            found = dict(zip(known, pool.map(self._trouble, known), strict=True))
        return {part: trouble for part, trouble in found.items() if trouble}

    def knows(self, part: Part) -> bool:
        """Whether it is known where the part is."""
        return getattr(self._connections(), part) is not None

    def clock(self, part: Part) -> tuple[str, datetime] | None:
        """A part's address and its clock; None if it isn't known or doesn't answer."""
        endpoint = getattr(self._connections(), part)
        moment = self._caller(part, endpoint).moment(_HEALTH[part]) if endpoint is not None else None
        return None if moment is None else (endpoint.address, moment)

    def _trouble(self, part: Part) -> str | None:
        endpoint = self._connections().endpoint(part)
        try:
            caller = self._caller(part, endpoint)
        except BackendUnavailable as error:
            return error.message
        status = caller.status(_HEALTH[part])
        if status is None:
            return f"{TITLES[part]} at {endpoint.address} can't be reached."
        if status == 503 and part == "vault":
            return f"{TITLES[part]} at {endpoint.address} is sealed."
        return None if status == 200 else f"{TITLES[part]} at {endpoint.address} isn't ready (status {status})."

    def _caller(self, part: Part, endpoint: Endpoint) -> Caller:
        with self._guard:
            if endpoint not in self._callers:
                self._callers[endpoint] = caller_at(endpoint, part, timeout=_TIME_LIMIT)
            return self._callers[endpoint]
