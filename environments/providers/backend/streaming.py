"""Answers without an end: each line is limited, because there is no whole that could be.

Connecting, sending and headers end by one deadline, as everywhere. From then on each line must be complete within
`silence` seconds of the one before, and has a size limit, so a server that sends a byte now and then is disconnected.
"""

import contextlib
import json
import socket
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import urllib3
from urllib3.connection import HTTPConnection

from environments.providers.backend.bounded import (
    Exchange,
    PacedTls,
    ScatteredConnection,
    ScatteredTls,
    current_exchange,
    failure_of,
    trusting,
)
from environments.providers.backend.calls import LARGEST_ANSWER, TOKEN_HEADERS, Part
from environments.providers.backend.connections import Endpoint
from environments.providers.backend.link import CALL_LIMIT, Fault

_PIECE = 64 * 1024
_LONGEST_REFUSAL = 2000


class Refused(Exception):
    """Another status than 200, with the headers of that answer."""

    def __init__(self, fault: Fault, headers: Mapping[str, str]) -> None:
        super().__init__(fault.said)
        self.fault = fault
        self.headers = headers


def explain(error: Exception) -> Fault | None:
    """For `Link`."""
    return error.fault if isinstance(error, Refused) else None


class _Lasting(Exchange):
    """An exchange whose limits are renewed while it lasts."""

    def renew(self, seconds: float, largest: int) -> None:
        """From now on."""
        self.__init__(seconds, largest)  # type: ignore[misc]


class StreamClient:
    """Opens streams of one part with one token."""

    def __init__(self, part: Part, endpoint: Endpoint, token: str) -> None:
        self._part = part
        self._endpoint = endpoint
        self._token = token
        self._context: ssl.SSLContext | None = None
        if endpoint.address.startswith("https:"):
            self._context = trusting(str(endpoint.ca_file) if endpoint.ca_file else None)
            self._context.sslsocket_class = PacedTls

    def open(
        self, path: str, query: Mapping[str, Any], *, silence: float, begins_within: float = CALL_LIMIT
    ) -> "Stream":
        """The answer to a GET, once its headers have come. Raises `Refused` and `requests.RequestException`."""
        address = urllib.parse.urlsplit(self._endpoint.address)
        exchange = _Lasting(begins_within, LARGEST_ANSWER)
        connection: HTTPConnection = (
            ScatteredConnection(str(address.hostname), address.port or 80)
            if self._context is None
            else ScatteredTls(
                str(address.hostname),
                address.port or 443,
                ssl_context=self._context,
                server_hostname=self._endpoint.server_name or None,
            )
        )
        target = f"{address.path.rstrip('/')}{path}?{urllib.parse.urlencode(query, doseq=True)}"
        token = current_exchange.set(exchange)
        try:
            headers = {TOKEN_HEADERS[self._part]: self._token, "Accept-Encoding": "identity"}
            connection.request("GET", target, headers=headers, preload_content=False, decode_content=False)
            wire = connection.sock  # the library drops it where the answer ends with its connection
            response = connection.getresponse()
            if response.status != 200:
                said = response.read(_LONGEST_REFUSAL).decode(errors="replace")
                raise Refused(Fault(response.status, said), response.headers)
        except BaseException as error:
            connection.close()
            if isinstance(error, urllib3.exceptions.HTTPError | OSError):
                raise failure_of(error, exchange, _request(self._endpoint)) from error
            raise
        finally:
            current_exchange.reset(token)
        return Stream(connection, wire, response, exchange, silence, self._endpoint)


class Stream:
    """An answer without an end. One thread reads it; any thread may close it."""

    def __init__(
        self,
        connection: HTTPConnection,
        wire: socket.socket | None,
        response: urllib3.HTTPResponse,
        exchange: _Lasting,
        silence: float,
        endpoint: Endpoint,
    ) -> None:
        self.headers = response.headers
        self._connection = connection
        self._wire = wire
        self._response = response
        self._exchange = exchange
        self._silence = silence
        self._endpoint = endpoint
        self._closed = False
        exchange.renew(silence, LARGEST_ANSWER)

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self._closed

    def close(self) -> None:
        """Ends reading at once, also in another thread that waits for data."""
        self._closed = True
        if self._wire is not None:
            with contextlib.suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)

    def lines(self) -> Iterator[bytes]:
        """Line by line; ends when either side closes it. Raises `requests.RequestException`."""
        left = bytearray()
        for piece in self._read():
            *whole, rest = (left + piece).split(b"\n") if b"\n" in piece else ((left + piece),)
            left = bytearray(rest)
            if whole:
                self._exchange.renew(self._silence, LARGEST_ANSWER)
                yield from map(bytes, whole)

    def items(self, largest: int) -> Iterator[Any]:
        """The items of a JSON array of any length, one by one, each of at most `largest` characters.

        Raises `requests.RequestException`.
        """
        decoder, text, at, begun = json.JSONDecoder(), "", 0, False
        for piece in self._read():
            # What isn't UTF-8 is in a text; a character that comes in two pieces is in one that nobody needs whole.
            text, at = text[at:] + piece.decode(errors="replace"), 0
            self._exchange.renew(self._silence, LARGEST_ANSWER)
            if not begun:
                at = _skip(text, at, "")
                if not text.startswith("[", at):
                    if len(text) > len("null"):
                        break
                    continue
                at, begun = at + 1, True
            while (at := _skip(text, at, ",")) < len(text) and text[at] != "]":
                try:
                    item, at = decoder.raw_decode(text, at)
                except json.JSONDecodeError:
                    break
                yield item
            if len(text) - at > largest:
                raise requests.ConnectionError("its answer holds something too large, or is no list")
        if not self._closed and text[at:].strip() != ("]" if begun else "null"):
            raise requests.ConnectionError("its answer is no list, or ends in the middle")

    def _read(self) -> Iterator[bytes]:
        try:
            while True:
                token = current_exchange.set(self._exchange)
                try:
                    piece = self._response.read1(_PIECE, decode_content=False)
                except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                    if self._closed:
                        return
                    if isinstance(error, ValueError):
                        raise requests.ConnectionError(str(error)) from error
                    raise failure_of(error, self._exchange, _request(self._endpoint)) from error
                finally:
                    current_exchange.reset(token)
                if not piece or self._closed:
                    return
                yield piece
        finally:
            self._response.close()
            self._connection.close()


def _skip(text: str, at: int, also: str) -> int:
    while at < len(text) and text[at] in f" \t\r\n{also}":
        at += 1
    return at


def _request(endpoint: Endpoint) -> requests.PreparedRequest:
    return requests.Request("GET", endpoint.address).prepare()
