"""Whether the parts that the service needs answer: requests without a credential, with a short time limit."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

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

    def _trouble(self, part: Part) -> str | None:
        endpoint = self._connections().endpoint(part)
        try:
            with self._guard:
                if endpoint not in self._callers:
                    self._callers[endpoint] = caller_at(endpoint, part, timeout=_TIME_LIMIT)
                caller = self._callers[endpoint]
        except BackendUnavailable as error:
            return error.message
        status = caller.status(_HEALTH[part])
        if status is None:
            return f"{TITLES[part]} at {endpoint.address} can't be reached."
        if status == 503 and part == "vault":
            return f"{TITLES[part]} at {endpoint.address} is sealed."
        return None if status == 200 else f"{TITLES[part]} at {endpoint.address} isn't ready (status {status})."
