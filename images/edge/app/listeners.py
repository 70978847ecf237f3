"""The listening sockets of the edge, in two sets: Caddy leaves one for the other without losing a connection.

Each address has two sockets with SO_REUSEPORT, and a filter that says which of both new connections reach
(SO_ATTACH_REUSEPORT_CBPF in socket(7)). So a configuration with another set takes all new connections, while the one
before still accepts, and answers, what has reached its own set.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence

SETS = 2
"""How many sets there are. They are used in turn."""

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel's own limit (net.core.somaxconn) may be lower."""

_ATTACH_FILTER = 51
"""SO_ATTACH_REUSEPORT_CBPF, which Python doesn't name: 51 on all machines but SPARC and PA-RISC."""

_RETURN = 0x06
"""BPF_RET | BPF_K: returns a constant, here the number of a socket in the order in which they began to listen."""


class Listeners:
    """The sockets of one edge. The first set gets all connections until `steer` names another one."""

    def __init__(self, places: Sequence[tuple[str, int]]) -> None:
        """Listens at each place, an IP address without brackets and a port. Raises OSError, as when one is taken."""
        self._sets: list[list[socket.socket]] = [[] for _ in range(SETS)]
        try:
            for place in places:
                _check_free(place)
                first, *others = self._sets
                first.append(_listening(place))
                # Before another one listens: it could get a connection, which would wait there.
                self.steer(0)
                for sockets in others:
                    sockets.append(_listening(place))
        except BaseException:
            self.close()
            raise

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The file descriptors of all sockets, which Caddy has to inherit."""
        return tuple(found.fileno() for sockets in self._sets for found in sockets)

    def names(self, number: int) -> tuple[str, ...]:
        """The sockets of a set, as Caddy names those that it has inherited."""
        return tuple(f"fd/{found.fileno()}" for found in self._sets[number])

    def steer(self, number: int) -> None:
        """New connections reach that set from here on. Those that wait in another one stay there. Raises OSError."""
        code = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, number))
        program = struct.pack("@HP", 1, ctypes.addressof(code))
        for found in self._sets[0]:  # one socket of each address is enough
            found.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)

    def close(self) -> None:
        """Closes all of them. Caddy's own copies go on."""
        for sockets in self._sets:
            for found in sockets:
                found.close()


def _check_free(place: tuple[str, int]) -> None:
    """Raises OSError if anybody listens there: who has SO_REUSEPORT too would share the connections otherwise."""
    with _bound(place):
        pass


def _listening(place: tuple[str, int]) -> socket.socket:
    made = _bound(place, reuse_port=True)
    try:
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _bound(place: tuple[str, int], *, reuse_port: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Connections of an edge that has just ended may still be closing.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # `::` stands for the addresses of both families, as everywhere in Go.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(place)
    except BaseException:
        made.close()
        raise
    return made
