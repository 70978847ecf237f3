"""HTTP exchanges with limits: each has a time limit and a size limit for the whole exchange.

Libraries limit the time of each read only, so a server that sends a byte now and then can keep a call open for weeks.
And any job of the machine can listen on a port while its owner restarts. So every call of the service goes through a
session from here:

- connecting, the TLS handshake, sending, headers (also any number of `100 Continue`) and the body end by one deadline;
- all bytes that come are counted, and a compressed body may not become larger than a plain one;
- redirects are not followed, cookies are not kept, and text is read as UTF-8, whatever the answer says.
"""

import ipaddress
import random
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

_HEADS = 256 * 1024
"""Bytes of status lines and headers, beside the body."""

_PIECE = 64 * 1024
_PAUSES = (0.02, 0.05, 0.1)
"""Seconds between the attempts to connect to a port that nobody listens at."""

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


class AnswerTooLarge(requests.RequestException):
    """An answer is larger than allowed."""


class AddressRefused(requests.RequestException):
    """The address that a name resolves to may not be called; the text says why."""


WhyNot = Callable[[str, str, int], str]
"""Why there is no connection to an address: asked with host, IP address and port; empty: there may be one."""


class Exchange:
    """The time and bytes that one exchange has left. Used by one thread."""

    def __init__(self, seconds: float, largest: int) -> None:
        self._end = time.monotonic() + seconds
        self._bytes = _HEADS + largest + largest // 8  # chunks are framed
        self.too_large = False
        self.refused = ""
        """Why the address isn't called."""

    def time_left(self) -> float:
        """Seconds. Raises `TimeoutError` when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the exchange took too long")
        return left

    def count(self, size: int) -> None:
        """Notes that bytes came. Raises `OSError` when there are too many."""
        self._bytes -= size
        if self._bytes < 0:
            self.too_large = True
            raise OSError("the answer is too large")


current_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class Paced(socket.socket):
    """A socket whose calls end when the exchange of their thread does."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        exchange = self._paced()
        size = super().recv_into(buffer, nbytes, flags)
        if exchange is not None:
            exchange.count(size)
        return size

    def send(self, data: Any, flags: int = 0) -> int:
        self._paced()
        return super().send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._paced()
        super().sendall(data, flags)

    def _paced(self) -> Exchange | None:
        exchange = current_exchange.get()
        if exchange is not None:
            self.settimeout(exchange.time_left())
        return exchange


class PacedTls(Paced, ssl.SSLSocket):  # type: ignore[misc]  # typeshed names the same arguments differently
    """The same with TLS; a handshake ends by the time limit that the socket has when it begins."""


class _Connection(HTTPConnection):
    """Connects within the time of its exchange."""

    scatter = False
    why_not: WhyNot | None = None

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            refused = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, refused) from error
        self._check(str(address[0]) for *_, address in found)
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in found:
            made = Paced(family, kind, protocol)
            try:
                made._paced()
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.scatter and family == socket.AF_INET:
                    _bind_anywhere(made, str(address[0]))
                made.connect(address)
                made._paced()  # for the handshake
            except OSError as error:
                made.close()
                failure = error
            else:
                return made
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"Connecting to {self.host} took too long.") from failure
        raise NewConnectionError(self, str(failure)) from failure

    def _check(self, addresses: Iterable[str]) -> None:
        """Raises `NewConnectionError` if one of the addresses of the name is refused: the others aren't tried."""
        if self.why_not is None:
            return
        for address in addresses:
            if why := self.why_not(self._dns_host, address, self.port):
                exchange = current_exchange.get()
                if exchange is not None:
                    exchange.refused = f"{self.host} port {self.port} isn't called ({address}): {why}"
                raise NewConnectionError(self, f"{address} is refused: {why}")


class _Tls(_Connection, HTTPSConnection):
    """The same with TLS.

    An agent that takes over a new certificate may close its port for some milliseconds. Until the handshake is done
    nothing of the request is sent, so a connection that is refused or cut off before that is tried again.
    """

    def connect(self) -> None:
        for pause in _PAUSES:
            try:
                return super().connect()
            except (NewConnectionError, OSError) as error:
                if not _is_cut_off(error):
                    raise
                self.close()
                time.sleep(pause)
        return super().connect()


class ScatteredConnection(_Connection):
    scatter = True


class ScatteredTls(_Tls):
    scatter = True


def _is_cut_off(error: Exception) -> bool:
    """Whether nobody listened, or the listener went away before the handshake was done."""
    causes = (error, error.__cause__, error.__context__)
    return any(isinstance(cause, ConnectionRefusedError | ConnectionResetError | ssl.SSLEOFError) for cause in causes)


def _bind_anywhere(made: socket.socket, target: str) -> None:
    """Lets a connection to loopback come from a random address of it.

    Consul and Nomad limit connections by the client's address, and all jobs of the machine share 127.0.0.1: a job that
    holds as many as are allowed must not lock the service out.
    """
    if ipaddress.ip_address(target) in _LOOPBACK:
        source = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311 - no secret
        try:
            made.bind((source, 0))
        except OSError:
            return  # a system that has only 127.0.0.1


def _pools(scatter: bool, why_not: WhyNot | None) -> dict[str, type[HTTPConnectionPool]]:
    judge = None if why_not is None else staticmethod(why_not)
    plain = type("Connection", (ScatteredConnection if scatter else _Connection,), {"why_not": judge})
    tls = type("TlsConnection", (ScatteredTls if scatter else _Tls,), {"why_not": judge})

    class Pool(HTTPConnectionPool):
        ConnectionCls = plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = tls

    return {"http": Pool, "https": TlsPool}


class _Bounded(HTTPAdapter):
    """Sends requests. The time limit of a request is that of the whole exchange."""

    def __init__(
        self,
        context: ssl.SSLContext,
        seconds: float,
        largest: int,
        *,
        cut: bool,
        scatter: bool,
        keep: int,
        server_name: str,
        why_not: WhyNot | None,
    ) -> None:
        self._why_not = why_not
        self._context = context
        self._context.sslsocket_class = PacedTls
        self._seconds = seconds
        self._largest = largest
        self._cut = cut
        self._scatter = scatter
        self._server_name = server_name or None
        super().__init__(pool_connections=2, pool_maxsize=keep)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **_: Any) -> None:
        """Connections that know their exchange, and one context of TLS."""
        manager = urllib3.PoolManager(
            connections, maxsize=maxsize, block=block, ssl_context=self._context, server_hostname=self._server_name
        )
        manager.pool_classes_by_scheme = _pools(self._scatter, self._why_not)
        self.poolmanager = manager

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The context decides, not what a library passes on."""

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Where to; everything else is the same for all requests."""
        return super().build_connection_pool_key_attributes(request, True, None)[0], {}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The whole answer. Raises `requests.Timeout`, `AnswerTooLarge`, `requests.RequestException`."""
        seconds = _seconds(timeout) or self._seconds
        exchange = Exchange(seconds, self._largest)
        token = current_exchange.set(exchange)
        try:
            response = super().send(request, stream=True, timeout=seconds)
            done = False
            try:
                content = self._read(response.raw, exchange)
                done = not self._cut or len(content) < self._largest
            finally:
                if not done:
                    response.close()
            response._content = content
            response._content_consumed = True  # type: ignore[attr-defined]  # what `content` looks at
            response.encoding = "utf-8"
            return response
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise failure_of(error, exchange, request) from error
        finally:
            current_exchange.reset(token)

    def _read(self, raw: Any, exchange: Exchange) -> bytes:
        content = bytearray()
        for piece in raw.stream(_PIECE, decode_content=False):
            exchange.time_left()
            content += piece
            if self._is_enough(len(content)):
                return bytes(content[: self._largest])
        encoding = str(raw.headers.get("Content-Encoding", "")).strip().lower()
        if encoding not in ("gzip", "deflate"):
            return bytes(content)
        try:
            plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, self._largest + 1)
        except zlib.error as error:
            raise requests.exceptions.ContentDecodingError(str(error)) from error
        self._is_enough(len(plain))
        return plain[: self._largest]

    def _is_enough(self, size: int) -> bool:
        """Whether the rest of a body isn't wanted. Raises `AnswerTooLarge` where it would be missed."""
        if not self._cut and size > self._largest:
            raise AnswerTooLarge(f"its answer is larger than {self._largest} bytes")
        return self._cut and size >= self._largest


def _seconds(timeout: Any) -> float | None:
    """A time limit as `requests` takes it: seconds, or those for connecting and for reading."""
    if isinstance(timeout, tuple):
        timeout = timeout[-1]
    return float(timeout) if isinstance(timeout, int | float) else None


def failure_of(error: Exception, exchange: Exchange, request: requests.PreparedRequest) -> requests.RequestException:
    if exchange.refused:
        return AddressRefused(exchange.refused, request=request)
    if exchange.too_large or isinstance(error, AnswerTooLarge):
        return AnswerTooLarge("its answer is too large", request=request)
    if isinstance(error, requests.RequestException):
        return error
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return requests.ReadTimeout(str(error), request=request)
    return requests.ConnectionError(str(error), request=request)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: a redirect is returned as the answer."""


def bounded_session(
    *,
    context: ssl.SSLContext | None = None,
    seconds: float,
    largest: int,
    cut: bool = False,
    scatter: bool = False,
    keep: int = 32,
    server_name: str = "",
    why_not: WhyNot | None = None,
) -> requests.Session:
    """A session whose exchanges take at most `seconds` (or the time limit of a request), with at most `largest` bytes.

    `context` says whom TLS trusts; without one nobody. `cut`: what is longer is cut; else it is an error. `scatter`:
    connections to loopback come from random addresses of it. `keep`: how many idle connections to a host are kept.
    `server_name`: the name that certificates must have; empty: the host of the address. `why_not` judges the addresses
    that names resolve to.
    Neither proxies nor netrc files of the machine count.
    """
    session = _Session()
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Reading all CAs takes longer than most calls, so a session that needs none loads none.
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if context is None else context
    adapter = _Bounded(
        trust, seconds, largest, cut=cut, scatter=scatter, keep=keep, server_name=server_name, why_not=why_not
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def trusting(ca_file: str | None = None, ca: str = "") -> ssl.SSLContext:
    """A context that trusts the CAs of a PEM file, or of a text; the public CAs if there is neither."""
    if ca:
        return ssl.create_default_context(cadata=ca)
    return ssl.create_default_context(cafile=ca_file or certifi.where())
