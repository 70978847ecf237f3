"""Connections whose TLS handshake isn't over: they are limited, because the server's protocol doesn't know them yet."""

import contextlib
import socket
from collections import OrderedDict

MOST_HANDSHAKES = 400
"""Connections in their handshake; when there are more, the one that has waited longest is closed. asyncio closes each
of them after a minute."""


class Handshakes:
    """The connections of one server that were accepted and have no handshake yet, by the address of the client."""

    most = MOST_HANDSHAKES

    def __init__(self) -> None:
        self._waiting: OrderedDict[object, socket.socket] = OrderedDict()

    def begin(self, client: object, connection: socket.socket) -> None:
        """A client has connected."""
        self._waiting[client] = connection
        if len(self._waiting) > self.most:
            _, oldest = self._waiting.popitem(last=False)
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                oldest.shutdown(socket.SHUT_RDWR)

    def done(self, client: object) -> None:
        """Its handshake is over."""
        self._waiting.pop(client, None)


class CountedListener(socket.socket):
    """A listening socket that counts what it accepts. It takes the descriptor of another one, which is closed then."""

    def __init__(self, listener: socket.socket, handshakes: Handshakes) -> None:
        super().__init__(listener.family, listener.type, listener.proto, fileno=listener.detach())
        self._handshakes = handshakes

    def accept(self) -> tuple[socket.socket, object]:
        """See `socket.socket.accept`."""
        connection, client = super().accept()
        self._handshakes.begin(client, connection)
        return connection, client
