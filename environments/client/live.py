"""The stream of events for an event loop: many of them side by side, none with a thread of its own."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping

import httpx2
from pydantic import ValidationError

from environments.client.connection import CONNECT_SECONDS, HEARTBEAT_SECONDS
from environments.client.problems import REFUSALS, error_from
from environments.client.stream import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Connected,
    Disconnected,
    EventParts,
    Lines,
    Part,
    StreamItem,
    told_pause,
)
from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError, ServiceUnavailable

_SECONDS = httpx2.Timeout(3 * HEARTBEAT_SECONDS, connect=CONNECT_SECONDS)


class Place:
    """All events up to `number` have been given, or weren't wanted; comes at least with each heartbeat."""

    def __init__(self, number: int) -> None:
        self.number = number


LiveItem = StreamItem | Place


class LiveEvents:
    """Gives streams of events of the service at `address`, all over one transport, within one event loop."""

    def __init__(self, address: str, transport: httpx2.AsyncBaseTransport) -> None:
        self._address = address
        self._http = httpx2.AsyncClient(base_url=address, transport=transport, timeout=_SECONDS, trust_env=False)

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def events(
        self,
        token: str,
        *,
        after: int | None,
        environment: str | None = None,
        without: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[LiveItem]:
        """Live events in order, each once, across lost connections; endless until it is closed.

        `token` says as whom, `after` behind which event (None: those from now on), `without` which types of events
        aren't wanted. Raises only what a retry can't fix: `Unauthenticated`, `Forbidden`, `UnknownEnvironment`,
        `InvalidInput`.
        """
        pause = FIRST_PAUSE
        sent = {**(headers or {}), "Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        query = {} if environment is None else {"environment": environment}
        while True:
            error: CalvinverseError
            if after is not None:
                sent["Last-Event-ID"] = str(after)
            try:
                async with self._http.stream("GET", "/v1/events", params=query, headers=sent) as response:
                    await self._check(response)
                    yield Connected()
                    pause = FIRST_PAUSE
                    async for item in _items(response, after, without):
                        after = item.id if isinstance(item, Event) else item.number
                        yield item
                error = ServiceUnavailable("The service ended the stream of events.")
            except CalvinverseError as failure:
                if isinstance(failure, REFUSALS):
                    raise
                error = failure
            except (httpx2.HTTPError, httpx2.StreamError, OSError) as failure:
                error = ServiceUnavailable(f"The stream of events was cut: {type(failure).__name__}.")
            wait = max(pause, told_pause(error))
            yield Disconnected(error, wait)
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _check(self, response: httpx2.Response) -> None:
        if not response.is_success:
            await response.aread()
            try:
                document = response.json()
            except ValueError:
                document = None
            raise error_from(self._address, response.status_code, document)


async def _items(
    response: httpx2.Response, after: int | None, without: Collection[str]
) -> AsyncIterator[Event | Place]:
    lines, parts = Lines(), EventParts()
    async for chunk in response.aiter_bytes():
        for line in lines.take(chunk):
            part = parts.take(line)
            if part is None or part.number is None:
                continue
            if part.data and after is not None and part.number <= after:
                continue  # already seen; an id without data is accepted, since the service may have started over
            after = part.number
            yield _wanted(part, without) or Place(part.number)


def _wanted(part: Part, without: Collection[str]) -> Event | None:
    # A newer service may send events that this client doesn't know; they are left out.
    with contextlib.suppress(ValidationError):
        return Event.model_validate_json(part.data) if part.data and part.kind not in without else None
    return None
