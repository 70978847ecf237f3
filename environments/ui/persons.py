"""Whose a session is, for limits by person: many sessions or tokens give nobody more than one does."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256

from environments.wire.sign_in import WhoView

KNOWN = 5_000
"""Sessions that are remembered; a session that is used again is asked for again after so many others."""


class Persons:
    """Remembers whom a session is of, which never changes, and not the session itself. Used in one event loop."""

    def __init__(self, known: int = KNOWN) -> None:
        self._most = known
        self._known: OrderedDict[bytes, str] = OrderedDict()

    async def whose(self, token: str, ask: Callable[[], Awaitable[WhoView]]) -> str:
        """The user name of the person whose token it is. `ask` asks the service; what it raises is raised."""
        key = sha256(token.encode()).digest()
        found = self._known.get(key)
        if found is None:
            found = (await ask()).user_name
            self._known[key] = found
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found
