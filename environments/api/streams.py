"""Event streams: one thread reads new events once, and each subscriber gets those that it may see."""

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator

import anyio.to_thread

from environments.api.rates import Rate
from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError, TooManyRequests
from environments.service.authorization import Principal
from environments.service.feed import Feed
from environments.service.pages import Page
from environments.service.reading import Reading
from environments.service.storage.events import SharedEvent
from environments.service.tokens import Tokens

HEARTBEAT_SECONDS = 10.0
"""How often a silent stream says something, so that both ends notice when the other is gone."""

CHECK_SECONDS = 2.0
"""How often the tokens of open streams are checked, for those that expire or that another process revokes."""

BATCH = 500
LONGEST_QUEUE = 2000
"""Events that wait for a slow reader; beyond that it reads them from the database again."""

MOST_STREAMS = 500
"""Streams open at once, of everybody: each costs a socket and a place in the queue."""

MOST_OF_ONE = 100
"""Of them, those of one owner, with whatever tokens."""

KEPT_STREAMS = 100
"""Of the places of all, those that only who has few gets."""

FEW_STREAMS = 10

OPENED_EACH_MINUTE = 300
"""Streams that one owner opens in a minute: 100 clients that lose the service connect again well within it."""

_PAUSE_SECONDS = 1.0
_POLL_SECONDS = 0.25
"""How long the reading thread takes to notice that it should stop."""

_CLOSE_ONE = "Every terminal UI, `env watch` and followed deployment has one open: close some, or try again later."

_log = logging.getLogger(__name__)


class Subscription:
    """One subscriber's queue. Used in the event loop only."""

    def __init__(self, position: int, principal: Principal) -> None:
        self.principal = principal
        """The subscriber, as they stood when that was last looked at."""
        self.position = position
        """Events up to this id are not in the queue and have to be read from the database."""
        self.closed = False
        self._queue: deque[SharedEvent] = deque()
        self._wake = asyncio.Event()

    def put(self, events: list[SharedEvent]) -> None:
        """Adds events, in order."""
        if len(self._queue) + len(events) > LONGEST_QUEUE:
            self._queue.clear()
            self.position = events[-1].event.id
        else:
            self._queue.extend(events)
        self._wake.set()

    def take(self) -> list[SharedEvent]:
        """Removes and returns the queued events."""
        events = list(self._queue)
        self._queue.clear()
        self._wake.clear()
        return events

    def close(self) -> None:
        """Ends the stream."""
        self.closed = True
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Waits for events, for the end of the stream, or for the time limit."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)


class Hub:
    """Passes events on from the database to all subscriptions."""

    def __init__(self, reading: Reading, feed: Feed, tokens: Tokens) -> None:
        self._tokens = tokens
        self._reading = reading
        self._feed = feed
        self._subscriptions: set[Subscription] = set()
        self._open: Counter[str] = Counter()
        self._opened = Rate(OPENED_EACH_MINUTE, "streams of events are opened")
        self._position = 0
        self._stopping = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._tell: Callable[[frozenset[str]], None] | None = None
        self._seen_changes = -1

    async def start(self) -> None:
        """Starts to read after the newest event."""
        self._position = await anyio.to_thread.run_sync(self._reading.newest_event)
        loop = asyncio.get_running_loop()
        self._tell = lambda ended: self._end_soon(loop, ended)
        self._tokens.on_revoked.append(self._tell)
        self._thread = threading.Thread(target=self._run, args=(loop, self._position), name="events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all streams so that the server can stop. Call it in the event loop only."""
        self._closed = True
        self._stopping.set()
        if self._tell in self._tokens.on_revoked:
            self._tokens.on_revoked.remove(self._tell)
        for subscription in self._subscriptions:
            subscription.close()

    async def stop(self) -> None:
        """Ends all streams and waits for the reading thread."""
        self.close()
        if self._thread is not None:
            await anyio.to_thread.run_sync(self._thread.join, 2 * _PAUSE_SECONDS)

    @property
    def position(self) -> int:
        """The newest event that was passed on."""
        return self._position

    @contextlib.contextmanager
    def place(self, owner: str) -> Iterator[None]:
        """Counts an open stream until the block ends. Raises `TooManyRequests`."""
        if self._open[owner] >= MOST_OF_ONE:
            raise TooManyRequests(f"{owner} has {MOST_OF_ONE} streams of events open already.", hint=_CLOSE_ONE)
        if self._open.total() >= MOST_STREAMS:
            raise TooManyRequests(f"{MOST_STREAMS} streams of events are open already.", hint=_CLOSE_ONE)
        if self._open.total() >= MOST_STREAMS - KEPT_STREAMS and self._open[owner] >= FEW_STREAMS:
            raise TooManyRequests(
                f"Of {MOST_STREAMS} streams of events, the last {KEPT_STREAMS} are for those who have fewer than "
                f"{FEW_STREAMS}: {owner} has {self._open[owner]}.",
                hint=_CLOSE_ONE,
            )
        self._opened.count(owner)
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]

    @contextlib.contextmanager
    def subscribed(self, principal: Principal) -> Iterator[Subscription]:
        """A subscription to new events, until the principal's token ends."""
        subscription = Subscription(self._position, principal)
        subscription.closed = self._closed
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def _end_soon(self, loop: asyncio.AbstractEventLoop, ended: frozenset[str]) -> None:
        """Ends the streams of these tokens. Safe to call from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed, and the streams with it
            loop.call_soon_threadsafe(self._end, ended)

    def _end(self, ended: frozenset[str]) -> None:
        for subscription in self._subscriptions:
            if subscription.principal.token_id in ended:
                subscription.close()

    def _look_at_subscribers(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends the streams of tokens that have ended, and notes who is in other groups, or has other roles, by now."""
        changes = self._tokens.changes()
        open_ones = {one.principal.token_id: one.principal for one in tuple(self._subscriptions)}
        after = self._tokens.refreshed(open_ones.values(), whole=changes != self._seen_changes)
        self._seen_changes = changes
        with contextlib.suppress(RuntimeError):  # the loop has been closed, and the streams with it
            loop.call_soon_threadsafe(self._refresh, after)

    def _refresh(self, after: dict[str, Principal | None]) -> None:
        for subscription in self._subscriptions:
            found = after.get(subscription.principal.token_id, subscription.principal)
            if found is None:
                subscription.close()
            else:
                subscription.principal = found

    def _run(self, loop: asyncio.AbstractEventLoop, position: int) -> None:
        looked = time.monotonic()
        while not self._stopping.is_set():
            try:
                if time.monotonic() - looked >= CHECK_SECONDS:
                    looked = time.monotonic()
                    self._look_at_subscribers(loop)
                if not self._feed.wait(position, _POLL_SECONDS):
                    continue
                newest = self._feed.newest
                events = self._reading.shared_events(after=position, limit=BATCH)
            except CalvinverseError as error:
                _log.warning("events can't be read: %s", error.message)
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            except Exception:  # noqa: BLE001 - logged; readers must not be without events for ever
                _log.exception("unforeseen error while reading events")
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            if not events:
                position = newest  # what was there has been forgotten since
                continue
            position = events[-1].event.id
            try:
                loop.call_soon_threadsafe(self._pass_on, events)
            except RuntimeError:  # the loop has been closed: nobody listens any more
                return

    def _pass_on(self, events: list[SharedEvent]) -> None:
        self._position = events[-1].event.id
        for subscription in self._subscriptions:
            subscription.put(events)


class Reader:
    """One stream: missed events from the database, then new ones, in order and each once."""

    def __init__(self, hub: Hub, reading: Reading, tokens: Tokens, principal: Principal, token: str) -> None:
        self._hub = hub
        self._reading = reading
        self._tokens = tokens
        self._principal = principal
        self._token = token

    async def stream(self, after: int, environment: str | None) -> AsyncIterator[bytes]:
        """Server-sent events behind the event `after`. `environment` is an id.

        Who may see an event is decided by who owns its environment and what is shared with whom, as it was read
        together with the event, and by the groups and roles of the reader as they are at most a few seconds before.
        An event with an id and no data tells the place from which to go on, also when everything so far was invisible.
        """
        with self._hub.subscribed(self._principal) as subscription:
            if not await self._still_allowed(subscription):  # it may have ended before the hub knew of this stream
                return
            cursor = after
            if cursor > self._hub.position:
                # Ahead of us: by a moment, or because the reader knew another database.
                cursor = min(cursor, await anyio.to_thread.run_sync(self._reading.newest_event))
            yield b"retry: 1000\n" + _place(cursor)
            said = time.monotonic()
            while not subscription.closed:
                waiting = subscription.take()
                while cursor < subscription.position and not subscription.closed:
                    target = subscription.position
                    batch = await anyio.to_thread.run_sync(self._missed, subscription.principal, environment, cursor)
                    for event in batch:
                        if subscription.closed:
                            return
                        yield encode(event)
                        said, cursor = time.monotonic(), event.id
                    if not batch.more and len(batch) < BATCH:
                        cursor = max(cursor, target)
                fresh = [(event, shared) for event, shared in waiting if event.id > cursor]
                sight = subscription.principal.sight
                shown = [
                    event
                    for event, shared in fresh
                    if environment in (None, event.environment_id) and sight.sees(shared)
                ]
                if shown and not subscription.closed:
                    yield b"".join(map(encode, shown))
                    said = time.monotonic()
                cursor = fresh[-1][0].id if fresh else cursor
                # By what this stream has said itself: what others hear of wakes it, and is no word to its reader.
                silent = time.monotonic() - said
                if silent >= HEARTBEAT_SECONDS:
                    yield b": still here\n" + _place(cursor)
                    said, silent = time.monotonic(), 0.0
                await subscription.wait(HEARTBEAT_SECONDS - silent)

    def _missed(self, principal: Principal, environment: str | None, after: int) -> Page[Event]:
        return self._reading.events_for(principal, environment, after=after, limit=BATCH)

    async def _still_allowed(self, subscription: Subscription) -> bool:
        try:
            found = await anyio.to_thread.run_sync(self._tokens.authenticate, self._token)
        except CalvinverseError:
            return False
        subscription.principal = found
        return True


def encode(event: Event) -> bytes:
    """A server-sent event (WHATWG HTML, 9.2.6). JSON holds no line break, so one line of data is enough."""
    return f"id: {event.id}\nevent: {event.type.value}\ndata: {event.model_dump_json()}\n\n".encode()


def _place(cursor: int) -> bytes:
    return f"id: {cursor}\n\n".encode()
