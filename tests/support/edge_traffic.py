"""Clients that open connections to an edge all the time, and note each that was lost."""

import http.client
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.edge_harness import NAME, Edge, read_all, request, status

NEW, KEPT = 3, 1
"""Clients with a new connection for each request, and those that keep one for as long as the edge lets them."""

PROMPT = 4.0
"""Seconds within which a client sends its next request unless the machine is too busy. An edge that moves to another
configuration may close a connection that was silent for longer (`Limits.draining`): that one isn't lost."""


class Traffic:
    """Runs its clients in threads while it is entered."""

    def __init__(self, edge: Edge) -> None:
        self.answered = 0
        """Requests that got their answer."""
        self.lost: list[str] = []
        """What happened to the others."""
        self.certificates: set[bytes] = set()
        """Certificates (DER) that were shown."""
        self._edge = edge
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._last = threading.local()
        clients = [self._new] * NEW + [self._kept] * KEPT
        self._threads = [threading.Thread(target=self._run, args=(client,)) for client in clients]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(120)

    def answers(self, more_than: int) -> bool:
        """Whether more requests than these got their answer."""
        return self.answered > more_than

    def _run(self, client: Callable[[], None]) -> None:
        while not self._ending.is_set():
            self._last.event = time.monotonic()
            try:
                client()
            except (OSError, http.client.HTTPException) as error:
                self._lose(repr(error))

    def _new(self) -> None:
        with self._edge.connect() as connection:
            self._saw(connection)
            connection.sendall(request("/new"))
            self._got(status(read_all(connection)))

    def _kept(self) -> None:
        kept = http.client.HTTPConnection(NAME, timeout=60)
        kept.sock = connection = self._edge.connect()
        self._saw(connection)
        try:
            while not self._ending.is_set():
                kept.request("GET", "/kept")
                answer = kept.getresponse()
                answer.read()
                self._got(answer.status)
                if answer.will_close:  # the edge has said so
                    break
        finally:
            kept.close()

    def _saw(self, connection: ssl.SSLSocket) -> None:
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        with self._lock:
            self.certificates.add(shown)

    def _got(self, found: int) -> None:
        if found != 200:
            self._lose(f"status {found}")
            return
        self._last.event = time.monotonic()
        with self._lock:
            self.answered += 1

    def _lose(self, reason: str) -> None:
        if time.monotonic() - self._last.event < PROMPT:
            with self._lock:
                self.lost.append(reason)
