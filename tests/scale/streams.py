"""Open streams of events: over TLS to a real service, and thousands of them in this process."""

import asyncio
import gc
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

from environments.api.streams import Hub, Reader
from environments.domain.access import SharedTo
from environments.domain.environment import Event, EventType
from environments.service.authorization import Principal
from environments.service.feed import Feed
from environments.service.pages import Page
from environments.service.reading import Reading
from environments.service.storage.events import SharedEvent
from environments.service.tokens import Tokens
from tests.bench.memory import resident


class OpenStreams:
    """A thread that keeps streams open, one for each token, and reads and forgets what they say."""

    def __init__(self, port: int, ca_file: Path, tokens: Collection[str]) -> None:
        self._port = port
        self._trust = ssl.create_default_context(cafile=str(ca_file))
        self._tokens = tokens
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._ended = asyncio.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def __enter__(self) -> "OpenStreams":
        self._thread.start()
        assert self._opened.wait(120), "the streams don't open"
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._all())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that opens them
            self._fault = error
        finally:
            self._opened.set()
            self._loop.close()

    async def _all(self) -> None:
        readers = [await self._open(token) for token in self._tokens]
        tasks = [asyncio.create_task(self._drain(reader)) for reader, _ in readers]
        self._opened.set()
        await self._ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in readers:
            writer.close()
        await asyncio.sleep(0.2)

    async def _open(self, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._trust)
        host = f"Host: 127.0.0.1:{self._port}\r\n"
        writer.write(f"GET /v1/events HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert b" 200 " in head.partition(b"\r\n")[0], head
        return reader, writer

    async def _drain(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            pass


@dataclass(frozen=True)
class Passed:
    """What so many streams need, of one process: bytes of each, seconds of processor time for an event on each."""

    streams: int
    bytes_each: float
    seen_each: float
    """On a stream that shows the event."""
    unseen_each: float
    """On a stream whose reader may not see it."""


def pass_on(streams: int, events: int = 20) -> Passed:
    """Opens so many streams in this process, without connections, and lets events pass."""
    return asyncio.run(_pass_on(streams, events))


class _Source:
    """What the hub reads and whom it asks, without a database."""

    def __init__(self) -> None:
        self.events: list[SharedEvent] = []
        self.on_revoked: list[object] = []

    def newest_event(self) -> int:
        return len(self.events)

    def shared_events(self, *, after: int, limit: int) -> Page[SharedEvent]:
        return Page(self.events[after : after + limit])

    def authenticate(self, bearer: str) -> Principal:
        return Principal(bearer, "admin" if bearer == "admin" else "user", bearer, at=datetime.now(UTC))

    def changes(self) -> int:
        return 0

    def refreshed(self, principals: Iterable[Principal], *, whole: bool) -> dict[str, Principal | None]:
        return {one.token_id: one for one in principals}


async def _pass_on(streams: int, events: int) -> Passed:
    source, feed = _Source(), Feed()
    reading, tokens = cast("Reading", source), cast("Tokens", source)
    hub = Hub(reading, feed, tokens)
    await hub.start()
    costs = {}
    gc.collect()
    before = resident()
    grown = 0.0
    for whose in ("user", "admin"):
        heard = _Heard()
        tasks = [asyncio.create_task(_listen(hub, reading, tokens, whose, heard)) for _ in range(streams)]
        await _until(heard.read, streams)  # the place with which each begins
        await asyncio.sleep(0.5)
        grown = grown or (resident() - before) / streams
        began = time.process_time()
        for _ in range(events):
            number = len(source.events) + 1
            source.events.append(SharedEvent(_event(number), SharedTo(id="env-1", template="web", owner="ada")))
            feed.publish(number)
            await _until(partial(getattr, hub, "position"), number)
            await asyncio.sleep(0.05)
        if whose == "admin":
            await _until(heard.read, streams * (1 + events))
        costs[whose] = (time.process_time() - began) / events / streams
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await hub.stop()
    return Passed(streams, grown, costs["admin"], costs["user"])


class _Heard:
    """How many events and beginnings all streams have said."""

    def __init__(self) -> None:
        self.times = 0

    def read(self) -> int:
        return self.times


async def _until(read: Callable[[], int], least: int) -> None:
    async with asyncio.timeout(300):
        while read() < least:  # noqa: ASYNC110 - the hub and its readers set no event for others
            await asyncio.sleep(0.01)


async def _listen(hub: Hub, reading: Reading, tokens: Tokens, whose: str, heard: _Heard) -> None:
    reader = Reader(hub, reading, tokens, Principal(whose, "user", whose), whose)
    async for said in reader.stream(hub.position, None):
        heard.times += said.count(b"data: ") or (b"retry" in said)


def _event(number: int) -> Event:
    return Event(
        id=number,
        at=datetime.now(UTC),
        type=EventType.LOG,
        environment_id="env-1",
        environment="demo",
        deployment_id="dep-1",
        step="app",
        message="a line of a log, about as long as most of them are",
    )
