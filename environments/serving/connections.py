"""Time limits for connections: idle and very slow ones are closed, with or without a token.

uvicorn waits without limit for the headers of a request, and reads a body in pieces of any size.
"""

import asyncio
from collections import OrderedDict

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from environments.serving.handshakes import Handshakes

HEAD_SECONDS = 15.0
"""How long the headers of a request may take to arrive, from the start of the connection.

Also how long the rest of a body is read and discarded after the request has its answer.
"""

UNREAD_SECONDS = 60.0
"""How long an answer, or an event of a stream, waits for a client that doesn't read."""

MOST_WAITING = 400
"""Connections without a request; when there are more, the one that has waited longest is closed."""

_SLICE = 16 * 1024
"""Bytes of one connection that are read before other connections are served: a body may arrive in pieces of one byte,
and each piece costs as much as a large one."""


class Patient(H11Protocol):
    """uvicorn's protocol with time limits, and a limit on connections that wait. A class for each server."""

    waiting: "OrderedDict[Patient, None]"
    handshakes: Handshakes
    head_seconds = HEAD_SECONDS
    unread_seconds = UNREAD_SECONDS
    most_waiting = MOST_WAITING

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._backlog = bytearray()
        self._feeding = False
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the time limit for the headers."""
        super().connection_made(transport)
        self.handshakes.done(transport.get_extra_info("peername"))
        self._wait()
        if len(self.waiting) > self.most_waiting:
            oldest, _ = self.waiting.popitem(last=False)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Removes the connection from those that wait."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_unread()

    def data_received(self, data: bytes) -> None:
        """Queues received bytes."""
        self._backlog += data
        if self._feeding:
            self.transport.pause_reading()
        else:
            self._feed()

    def _feed(self) -> None:
        """Reads a slice of the received bytes; the rest follows after other connections were served."""
        if self._feeding and not self.flow.read_paused:
            self.transport.resume_reading()
        self._feeding = False
        if self.transport.is_closing():
            return
        piece = bytes(self._backlog[:_SLICE])
        del self._backlog[:_SLICE]
        try:
            super().data_received(piece)
        except h11.LocalProtocolError:
            self.transport.abort()  # a fault in the rest of a request that is being answered
        self._look()
        if self._backlog:
            self._feeding = True
            self.transport.pause_reading()
            self.loop.call_soon(self._feed)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Starts the time limit for a client that doesn't read."""
        super().pause_writing()
        self._stop_unread()
        self._unread = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Ends that time limit: the client reads again."""
        super().resume_writing()
        self._stop_unread()

    def _look(self) -> None:
        if self._answered is False:
            self._stop_waiting()
        elif self._head is None and not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        """Waits for the headers of a request."""
        self.waiting[self] = None
        unread = self.conn.their_state is h11.SEND_BODY  # the rest of a request that has its answer
        idle = self._answered and not unread
        seconds = max(self.head_seconds, self.timeout_keep_alive) if idle else self.head_seconds
        self._head = self.loop.call_later(seconds, self.transport.abort)

    @property
    def _answered(self) -> bool | None:
        """Whether the newest request has its answer; None when there was none yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None else cycle.response_complete

    def _stop_waiting(self) -> None:
        self.waiting.pop(self, None)
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def patient_protocol(handshakes: Handshakes) -> type[Patient]:
    """A protocol class for one server, which counts only that server's connections."""
    return type("PatientProtocol", (Patient,), {"waiting": OrderedDict(), "handshakes": handshakes})
