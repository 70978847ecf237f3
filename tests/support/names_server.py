"""A name server on loopback that leads every name to one address."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

_A, _ANSWER = 1, 0x8400
"""The type of a record that has an IPv4 address; and the flags of an answer (RFC 1035, 4.1.1)."""


@contextlib.contextmanager
def names_server(address: str) -> Iterator[str]:
    """Answers on a free port, by UDP; `host:port` of the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        host, port = server.getsockname()
        server.settimeout(0.1)
        ending = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, socket.inet_aton(address), ending))
        thread.start()
        try:
            yield f"{host}:{port}"
        finally:
            ending.set()
            thread.join(60)


def _serve(server: socket.socket, address: bytes, ending: threading.Event) -> None:
    while not ending.is_set():
        try:
            query, client = server.recvfrom(4096)
        except TimeoutError:
            continue
        server.sendto(_answer(query, address), client)


def _answer(query: bytes, address: bytes) -> bytes:
    end = query.index(0, 12) + 5  # after the name come its type and class
    kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
    found = struct.pack("!HHHIH", 0xC00C, _A, 1, 60, 4) + address if kind == _A else b""
    return query[:2] + struct.pack("!HHHHH", _ANSWER, 1, 1 if found else 0, 0, 0) + query[12:end] + found
