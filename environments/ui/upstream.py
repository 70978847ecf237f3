"""The way to the service: connections that all requests share, and a client for each person's."""

import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import httpx2

from environments.addresses import is_encrypted
from environments.client import Client, LiveEvents
from environments.client.trust import AsyncLoopbackTransport, LoopbackTransport, trusted
from environments.ui.passing import passed_on
from environments.ui.settings import UiSettings

SECONDS = 15.0
"""Seconds that an answer of the service may take, unless a call says otherwise."""


class Upstream:
    """Gives clients for the service, and streams of its events. The transports replace the network in tests."""

    def __init__(
        self,
        settings: UiSettings,
        transport: httpx2.BaseTransport | None = None,
        live: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = _named(settings.service, settings.service_name)
        self.trust: ssl.SSLContext = trusted(self.address, settings.service_ca_file, None)
        self._transport = _Shared(transport or LoopbackTransport(self.trust))
        self._live_transport = live
        self._live: LiveEvents | None = None

    def client(self, token: str, headers: Mapping[str, str]) -> Client:
        """A client that asks as the person of the session token; `headers` are those of the person's request."""
        return Client(
            self.address, token or None, timeout=SECONDS, transport=self._transport, headers=passed_on(headers)
        )

    def live(self) -> LiveEvents:
        """Streams of events, within the event loop that calls this."""
        if self._live is None:
            self._live = LiveEvents(self.address, self._live_transport or AsyncLoopbackTransport(self.trust))
        return self._live

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
