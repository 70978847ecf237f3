"""Frames of HTTP/2 (RFC 9113) as bytes, also those that no client sends. Headers are literals (RFC 7541, 6.2.2)."""

import socket
from collections.abc import Mapping

DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, CONTINUATION = 0, 1, 3, 4, 7, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def preface() -> bytes:
    """What a client says first."""
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)


def headers(stream: int, fields: Mapping[str, str], *, last: bool = True) -> bytes:
    """A request without a body; unless `last`, continuations follow."""
    return frame(HEADERS, END_STREAM | (END_HEADERS if last else 0), stream, _block(fields))


def continuation(stream: int, fields: Mapping[str, str]) -> bytes:
    """More headers, and not the last ones."""
    return frame(CONTINUATION, 0, stream, _block(fields))


def reset(stream: int) -> bytes:
    """The client has changed its mind (CANCEL)."""
    return frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))


def goaway() -> bytes:
    """The client asks for nothing more."""
    return frame(GOAWAY, 0, 0, bytes(8))


def read_frame(connection: socket.socket) -> tuple[int, int, bytes]:
    """The kind, the stream and the payload of the next frame."""
    head = _exactly(connection, 9)
    return head[3], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, _exactly(connection, int.from_bytes(head[:3], "big"))


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        assert piece, "the connection ended"
        found += piece
    return found


def _block(fields: Mapping[str, str]) -> bytes:
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields.items())


def _string(text: str) -> bytes:
    data = text.encode()
    return _integer(len(data)) + data


def _integer(value: int) -> bytes:
    """RFC 7541, 5.1, with a prefix of seven bits."""
    if value < 127:
        return bytes([value])
    found, rest = [127], value - 127
    while rest >= 128:
        found.append(rest % 128 + 128)
        rest //= 128
    return bytes([*found, rest])
