"""The stream of server-sent events: reads, reconnects where it left off, and can be closed from another thread."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import httpx2
from pydantic import ValidationError

from environments.client.problems import REFUSALS
from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError, CertificateRefused, ServiceUnavailable, TooManyRequests


@dataclass(frozen=True)
class Connected:
    """The stream of events is connected, for the first time or again; no event was missed."""


@dataclass(frozen=True)
class Disconnected:
    """The stream of events has lost its connection; the next attempt is in `again_in` seconds."""

    error: CalvinverseError
    again_in: float


StreamItem = Event | Connected | Disconnected
"""The items of an `EventStream`."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
"""Seconds between attempts to connect: doubled from the first to the longest."""

LONGEST_TOLD_PAUSE = 120.0
"""What the service may tell to wait, in seconds."""

Open = Callable[[int | None], AbstractContextManager[httpx2.Response]]
"""Connects to the events after an id; the response has been checked."""


class EventStream:
    """Live events in order, each once, across lost connections; endless until `close`."""

    def __init__(self, connect: Open, after: int | None) -> None:
        self._connect = connect
        self._after = after
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._response: httpx2.Response | None = None

    def __iter__(self) -> Iterator[StreamItem]:
        """Blocks until there is an item.

        Raises only what a retry can't fix: `CertificateRefused`, `Unauthenticated`, `Forbidden`, `UnknownEnvironment`,
        `InvalidInput`.
        """
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            error: CalvinverseError
            try:
                with self._connect(self._after) as response:
                    if not self._hold(response):
                        return
                    yield Connected()
                    pause = FIRST_PAUSE
                    yield from self._read(response)
                error = ServiceUnavailable("The service ended the stream of events.")
            except CalvinverseError as failure:
                if isinstance(failure, (*REFUSALS, CertificateRefused)):
                    raise
                error = failure
            except (httpx2.HTTPError, httpx2.StreamError, OSError) as failure:
                error = ServiceUnavailable(f"The stream of events was cut: {str(failure) or type(failure).__name__}.")
            finally:
                with self._lock:
                    self._response = None
            if self._closed.is_set():
                return
            wait = max(pause, told_pause(error))
            yield Disconnected(error, wait)
            self._closed.wait(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def close(self) -> None:
        """Ends the iteration at once; may be called from any thread, and more than once.

        Shutting the socket down wakes a thread that waits for it; closing alone would not.
        """
        self._closed.set()
        with self._lock:
            if self._response is not None:
                _shut_down(self._response)

    def _hold(self, response: httpx2.Response) -> bool:
        with self._lock:
            self._response = response
            return not self._closed.is_set()

    def _read(self, response: httpx2.Response) -> Iterator[Event]:
        for number, data in parse_events(_lines(response.iter_bytes())):
            if self._closed.is_set():
                return
            if data and self._after is not None and number is not None and number <= self._after:
                continue  # already seen; an id without data is accepted, since the service may have started over
            self._after = number if number is not None else self._after
            if data:
                # A newer service may send events that this client doesn't know; they are left out.
                with contextlib.suppress(ValidationError):
                    yield Event.model_validate_json(data)


def parse_events(lines: Iterable[str]) -> Iterator[tuple[int | None, str]]:
    """Id and data of each server-sent event (WHATWG HTML, 9.2.6); comments are left out, data lines are joined.

    An event with an id and no data is given as well: it moves the place from which a reader goes on.
    """
    parts = EventParts()
    for line in lines:
        if (found := parts.take(line)) is not None:
            yield found.number, found.data


class Lines:
    """Cuts what comes in pieces into lines.

    At line feeds only, with which the service ends its lines: texts in events may hold the other characters at which
    Python's `splitlines` cuts, such as U+2028, and what follows one there isn't a line.
    """

    def __init__(self) -> None:
        self._rest = b""

    def take(self, chunk: bytes) -> list[str]:
        """The lines that are whole by now."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return [line.removesuffix(b"\r").decode(errors="replace") for line in whole]


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    lines = Lines()
    for chunk in chunks:
        yield from lines.take(chunk)


@dataclass(frozen=True)
class Part:
    """A server-sent event: its id if it has one, its type, its data."""

    number: int | None
    kind: str
    data: str


class EventParts:
    """Puts server-sent events together, line by line."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._kind = ""
        self._data: list[str] = []

    def take(self, line: str) -> Part | None:
        """The event that this line ends, if it has an id or data."""
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                self._data.append(value)
            elif field == "event":
                self._kind = value
            elif field == "id" and value.isdigit():
                self._number = int(value)
            return None
        told = self._data or self._number is not None
        found = Part(self._number, self._kind, "\n".join(self._data)) if told else None
        self._number, self._kind, self._data = None, "", []
        return found


def told_pause(error: CalvinverseError) -> float:
    """The seconds that the service told to wait, when it has too much to do; else 0."""
    told = error.details.get("retry_after") if isinstance(error, TooManyRequests) else None
    return min(float(told), LONGEST_TOLD_PAUSE) if isinstance(told, int | float) and told > 0 else 0.0


def _shut_down(response: httpx2.Response) -> None:
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
