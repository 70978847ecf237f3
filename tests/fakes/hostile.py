"""Servers that answer as no honest one would; they end with the block."""

import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

Talk = Callable[[socket.socket], Iterator[bytes]]
"""Pieces that are sent to whoever connects, one after the other."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Hostile:
    """Where one listens, and what it saw: how many have connected, from which addresses, and what they asked first."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sources: list[str] = []
        self.asked: list[bytes] = []


@contextlib.contextmanager
def hostile(
    talk: Talk, pause: float = 0.05, *, listen_first: bool = True, tls: Path | None = None, port: int = 0
) -> Iterator[Hostile]:
    """A server that waits `pause` seconds after each piece. Unless it listens first, it talks to who says nothing.

    `tls`: certificate and key (PEM) of a server that speaks TLS; what is asked is what comes after the handshake.
    """
    listener = socket.create_server(("127.0.0.1", port))
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
    server = Hostile(f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}")
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def serve(plain: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.enter_context(plain).settimeout(20)
            connection = stack.enter_context(context.wrap_socket(plain, server_side=True)) if context else plain
            if listen_first:
                server.asked.append(connection.recv(65536))
            for piece in talk(connection):
                connection.sendall(piece)
                if ended.wait(pause):
                    return

    def accept() -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            server.sources.append(peer[0])
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(120)


def dripping_body(_: socket.socket) -> Iterator[bytes]:
    """A byte now and then of a body that never ends."""
    yield OK + b"Content-Length: 1000000\r\n\r\n"
    for _n in count():
        yield b"1"


def dripping_head(_: socket.socket) -> Iterator[bytes]:
    """Headers that never end, a byte now and then."""
    yield OK + b"X-Long: "
    for _n in count():
        yield b"x"


def for_ever_continue(_: socket.socket) -> Iterator[bytes]:
    """`100 Continue` without end."""
    for _n in count():
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


def dripping_chunks(_: socket.socket) -> Iterator[bytes]:
    """Small chunks without end."""
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
    for _n in count():
        yield b"1\r\n1\r\n"


def flood_of_chunks(_: socket.socket) -> Iterator[bytes]:
    """Large chunks without end."""
    yield OK + b"Transfer-Encoding: chunked\r\n\r\n"
    for _n in count():
        yield b"10000\r\n" + b"1" * 65536 + b"\r\n"


def flood_of_continue(_: socket.socket) -> Iterator[bytes]:
    """`100 Continue` as fast as it goes."""
    for _n in count():
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1000


def flood_of_cookies(_: socket.socket) -> Iterator[bytes]:
    """Headers without end."""
    yield OK
    for number in count():
        yield b"".join(b"Set-Cookie: c%d-%d=%s\r\n" % (number, index, b"x" * 3000) for index in range(20))


def silence(_: socket.socket) -> Iterator[bytes]:
    """Nothing."""
    for _n in count():
        yield b""


def bomb(_: socket.socket) -> Iterator[bytes]:
    """64 MiB of zeros, compressed."""
    body = gzip.compress(b"0" * (64 << 20))
    yield OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def deep(_: socket.socket) -> Iterator[bytes]:
    """JSON that is nested too deeply to be read."""
    body = b"[" * 500_000
    yield OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def elsewhere(target: str) -> Talk:
    """A redirect to `target`."""

    def talk(_: socket.socket) -> Iterator[bytes]:
        yield b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % target.encode()

    return talk


ENDLESS: dict[str, Talk] = {
    "dripping body": dripping_body,
    "dripping head": dripping_head,
    "100 Continue for ever": for_ever_continue,
    "dripping chunks": dripping_chunks,
    "silence": silence,
}
"""What never ends, and sends little."""

FLOODS: dict[str, Talk] = {
    "chunks": flood_of_chunks,
    "100 Continue": flood_of_continue,
    "cookies": flood_of_cookies,
}
"""What never ends, and sends as much as it can."""
