"""The way to the service: connections that all requests share, and a client for each person's."""

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import httpx2

from environments.addresses import is_encrypted
from environments.client import Client
from environments.client.trust import LoopbackTransport, trusted
from environments.ui.settings import UiSettings

PASSED_ON = ("calvinverse-client", "calvinverse-edge")
"""Headers by which the edge tells the service who asks: passed on as they came, and of no use to anything here."""

SECONDS = 15.0
"""Seconds that an answer of the service may take, unless a call says otherwise."""


class Upstream:
    """Gives clients for the service. `transport` replaces the network in tests."""

    def __init__(self, settings: UiSettings, transport: httpx2.BaseTransport | None = None) -> None:
        self.address = _named(settings.service, settings.service_name)
        self.trust: ssl.SSLContext = trusted(self.address, settings.service_ca_file, None)
        self._transport = _Shared(transport or LoopbackTransport(self.trust))

    def client(self, token: str, headers: Mapping[str, str]) -> Client:
        """A client that asks as the person of the session token; `headers` are those of the person's request."""
        passed = {name: headers[name] for name in PASSED_ON if name in headers}
        return Client(self.address, token or None, timeout=SECONDS, transport=self._transport, headers=passed)

    def close(self) -> None:
        """Closes all connections."""
        self._transport.end()


class _Shared(httpx2.BaseTransport):
    """A transport that outlives the clients that use it."""

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Not with a client."""

    def end(self) -> None:
        """Closes it."""
        self._transport.close()


def _named(address: str, name: str) -> str:
    """The address with the name that the certificate has in place of the host."""
    parts = urlsplit(address)
    if not name or not is_encrypted(address):
        return address
    return urlunsplit(parts._replace(netloc=f"{name}:{parts.port or 443}"))
