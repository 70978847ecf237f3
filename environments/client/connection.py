"""Requests to the service over HTTP: one connection pool, time limits everywhere, problems raised as errors."""

import contextlib
import ssl
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from environments.addresses import is_loopback
from environments.authorities import PinnedAuthority
from environments.client.edge import answers, way_without_edge
from environments.client.problems import ELSEWHERE, error_from, says_nothing_of_earlier, unanswered, wrong_protocol
from environments.client.stream import EventStream
from environments.client.trust import refused_certificate, transport_to, trusted
from environments.context import ServiceAddress
from environments.domain.errors import CertificateRefused, InvalidInput, ServiceUnavailable, Unauthenticated

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 30.0
OBSERVE_SECONDS = 300.0
"""Seconds that a plan or an observation may take: every step asks the parts that it uses."""

HEARTBEAT_SECONDS = 10.0
"""Seconds between signs of life on a quiet stream of events; without three of them the connection is lost."""

_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""Failures before anything of a request was sent."""

_READS = frozenset({"GET", "HEAD"})
"""Methods of requests that change nothing."""

Query = Mapping[str, str | int | bool | None]
T = TypeVar("T")
V = TypeVar("V", bound=BaseModel)


class Connection:
    """What every call needs, whatever it asks for. `transport` replaces the network in tests.

    `behind_edge`: where the service itself listens, for messages when the edge at `address` fails. `headers` are sent
    with each request.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        *,
        ca_file: Path | None = None,
        pinned: PinnedAuthority | None = None,
        behind_edge: ServiceAddress | None = None,
        timeout: float = ANSWER_SECONDS,
        make_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        transport: httpx2.BaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._address = address.rstrip("/")
        self._pinned = None if ca_file is not None else pinned
        self._ca_file = ca_file
        self._behind_edge = behind_edge
        self._make_key = make_key
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._requests = 0
        self._closed = False
        sent = {"Accept": "application/json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {_checked_token(token)}"
        trust: ssl.SSLContext | bool = True
        alone = transport is None
        if transport is None:  # else it has its own trust
            trust = trusted(self._address, ca_file, self._pinned)
            transport = transport_to(self._address, trust)
        try:
            self._http = httpx2.Client(
                base_url=self._address,
                headers=sent,
                timeout=httpx2.Timeout(timeout, connect=CONNECT_SECONDS),
                verify=trust,
                trust_env=alone and not is_loopback(self._address),  # requests to this machine use no proxy
                transport=transport,
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise InvalidInput(
                f"{address!r} is not the address of a service.", hint="Give one such as http://127.0.0.1:8400."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The address of the service, for messages."""
        return self._address

    def close(self) -> None:
        """Closes the connections; streams of events end."""
        with self._lock:
            self._closed = True
            idle = not self._requests
        for stream in list(self._streams):
            stream.close()
        if idle:
            self._http.close()

    def _get(self, path: str, query: Query | None = None) -> httpx2.Response:
        return self._request("GET", path, query=query, again=True)

    def _pages(self, path: str, kind: type[V], query: Query | None = None, most: int | None = None) -> list[V]:
        """All of a list, or the first `most`, page by page: each behind which more may come names the next (RFC 8288).

        How many a page has says nothing: it ends early when its entries are large.
        """
        answer = self._get(path, query)
        found = self._read(answer, list[kind])  # type: ignore[valid-type]  # a class that is passed in
        # Only further pages of the same list: an address elsewhere would get the token.
        while (most is None or len(found) < most) and (further := _next_address(answer)).startswith(f"{path}?"):
            answer = self._get(further)
            page = self._read(answer, list[kind])  # type: ignore[valid-type]
            if not page:
                break
            found += page
        return found[:most]

    def _send(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        again: bool = False,
        seconds: float | None = None,
    ) -> httpx2.Response:
        try:
            content = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        except PydanticSerializationError:
            raise InvalidInput("What is sent is nested too deeply, or can't be written as JSON.") from None
        return self._request(method, path, content=content, headers=headers, again=again, seconds=seconds)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = False,
        expected: frozenset[int] = frozenset(),
        seconds: float | None = None,
    ) -> httpx2.Response:
        """The answer to a request; `again`: sending it twice does no harm, so a dropped connection is not the end.

        `seconds`: how long the answer may take, when that is longer than usual.
        """
        sent_headers = dict(headers or {})
        if content is not None:
            sent_headers["Content-Type"] = "application/json"
        limits = self._http.timeout if seconds is None else httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        changes, lost = method not in _READS, False
        with self._open():
            for attempt in (1, 2):
                try:
                    response = self._http.request(
                        method,
                        path,
                        params=_given(query) or None,
                        content=content,
                        headers=sent_headers,
                        timeout=limits,
                    )
                    break
                except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError) as error:
                    if attempt == 2 or not again:
                        raise self._unreachable(error, sent=changes) from error
                    lost = True
                except httpx2.HTTPError as error:
                    sent = changes and (lost or not isinstance(error, _UNSENT))
                    raise self._unreachable(error, sent=sent) from error
                except httpx2.InvalidURL:  # it is ours, but for what somebody has asked for
                    raise InvalidInput("What is asked for is too long for an address.") from None
        if not response.is_success and response.status_code not in expected:
            refused = error_from(self._address, response.status_code, _json_or_none(response), changes=changes)
            raise unanswered(refused) if changes and lost and says_nothing_of_earlier(refused) else refused
        return response

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Around a request. If another thread closes the client meanwhile, the last request closes the connections.

        The library would lose one that is just being made, and leave its socket open. Raises `ServiceUnavailable` when
        the client is closed.
        """
        with self._lock:
            if self._closed:
                raise self._unreachable(RuntimeError("the client was closed"))
            self._requests += 1
        try:
            yield
        finally:
            with self._lock:
                self._requests -= 1
                last = self._closed and not self._requests
            if last:
                self._http.close()

    @contextlib.contextmanager
    def _open_stream(self, after: int | None, environment: str | None) -> Iterator[httpx2.Response]:
        with self._open(), self._streaming(after, environment) as response:
            yield response

    @contextlib.contextmanager
    def _streaming(self, after: int | None, environment: str | None) -> Iterator[httpx2.Response]:
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        limits = httpx2.Timeout(3 * HEARTBEAT_SECONDS, connect=CONNECT_SECONDS)
        query = _given({"environment": environment})
        try:
            opened = self._http.stream("GET", "/v1/events", params=query, headers=headers, timeout=limits)
            response = opened.__enter__()
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            if not response.is_success:
                response.read()
                raise error_from(self._address, response.status_code, _json_or_none(response))
            yield response
        finally:
            opened.__exit__(None, None, None)

    def _unreachable(self, error: Exception, *, sent: bool = False) -> ServiceUnavailable:
        """What it means that there is no answer; `sent`: something that changes was sent, now or an attempt ago."""
        found = self._no_way(error)
        return unanswered(found) if sent else found

    def _no_way(self, error: Exception) -> ServiceUnavailable:
        details = {"address": self._address, "cause": str(error)}
        own = self._behind_edge
        if (refusal := refused_certificate(self._address, error, self._pinned, self._ca_file)) is not None:
            way = "" if own is None else f" {way_without_edge(own)}"
            return CertificateRefused(refusal[0], hint=f"{refusal[1]}{way}", details=details)
        if own is not None and isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError) and answers(own):
            said = f"The edge at {self._address} can't be reached. The service behind it answers."
            return ServiceUnavailable(
                said, hint=f"Repair it with `doit deploy`. {way_without_edge(own)}", details=details
            )
        if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
            what = "can't be reached"
        elif isinstance(error, httpx2.TimeoutException):
            what = "doesn't answer in time"
        else:
            what = "dropped the connection"
        hint = "" if is_loopback(self._address) else ELSEWHERE
        said, hint = wrong_protocol(self._address, error) or (f"The service at {self._address} {what}.", hint)
        return ServiceUnavailable(said, hint=hint, details=details)

    def _read(self, response: httpx2.Response, kind: type[T]) -> T:
        try:
            value: T = _adapter(kind).validate_json(response.content)
        except ValidationError as error:
            unread = ServiceUnavailable(
                f"The answer of {self._address} can't be understood.",
                hint="Client and service may be of different versions; see `calvinverse doctor`.",
                details={"address": self._address, "path": response.request.url.path},
            )
            raise (unread if response.request.method in _READS else unanswered(unread, unread.hint)) from error
        return value


def next_query(answer: httpx2.Response) -> dict[str, list[str]]:
    """What the address of the next page of a list asks for; empty: there is none."""
    return parse_qs(urlsplit(_next_address(answer)).query)


def _next_address(answer: httpx2.Response) -> str:
    return answer.links.get("next", {}).get("url", "")


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Cached per type: making one takes longer than reading a response with it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _given(query: Query | None) -> dict[str, str]:
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in (query or {}).items()
        if value is not None
    }


def _json_or_none(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _checked_token(token: str) -> str:
    if not token.isascii() or any(character.isspace() for character in token):
        raise Unauthenticated("What was given as a token can't be one.")
    return token
