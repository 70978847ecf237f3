"""The client over HTTP: one connection pool, time limits everywhere, problem documents raised as errors."""

import base64
import contextlib
import ipaddress
import ssl
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from environments.client.problems import error_from
from environments.client.stream import HttpEventStream
from environments.context import CA_FILE_VARIABLE, DEFAULT_ADDRESS, Context
from environments.domain.environment import Event
from environments.domain.errors import InvalidInput, ServiceUnavailable, Unauthenticated
from environments.domain.template import Bundle, make_bundle
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView, WorkerView
from environments.wire.environments import (
    AbandonRequest,
    Accepted,
    CreateRequest,
    DestroyRequest,
    DriftView,
    EnvironmentView,
    ExtendRequest,
    OutputView,
    ResourceView,
    RollbackRequest,
    UpdateRequest,
)
from environments.wire.images import ImageView, PublishImageRequest
from environments.wire.plans import PlanRequest, PlanView
from environments.wire.system import Info, Readiness
from environments.wire.templates import GitPushRequest, PushRequest, TemplateDeletionView, TemplateView, Validation
from environments.wire.tokens import NewToken, TokenRequest, TokenView

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 300.0
"""Seconds that a plan or an observation may take: every step asks the parts that it uses."""

HEARTBEAT_SECONDS = 10.0
"""Seconds between signs of life on a quiet stream of events; without three of them the connection is lost."""

_Query = Mapping[str, str | int | bool | None]
T = TypeVar("T")
V = TypeVar("V", bound=BaseModel)


def connect(context: Context) -> "HttpClient":
    """A client for the service that `context` names. Raises `Unauthenticated` when the token file can't be read."""
    return HttpClient(context.address, context.read_token(), ca_file=context.ca_file)


class HttpClient:
    """See `environments.client.protocol.Client`. `transport` replaces the network in tests."""

    def __init__(
        self,
        address: str,
        token: str | None,
        *,
        ca_file: Path | None = None,
        timeout: float = ANSWER_SECONDS,
        make_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._address = address.rstrip("/")
        self._make_key = make_key
        self._streams: weakref.WeakSet[HttpEventStream] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._requests = 0
        self._closed = False
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {_checked_token(token)}"
        try:
            self._http = httpx2.Client(
                base_url=self._address,
                headers=headers,
                timeout=httpx2.Timeout(timeout, connect=CONNECT_SECONDS),
                verify=_trust(self._address, ca_file),
                trust_env=not _is_loopback(self._address),
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
        return self._address

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle = not self._requests
        for stream in list(self._streams):
            stream.close()
        if idle:
            self._http.close()

    # --- environments ------------------------------------------------------------------------------------------------

    def environments(
        self,
        *,
        ended: bool = False,
        owner: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        outputs: bool = False,
    ) -> list[EnvironmentView]:
        asked: _Query = {"ended": ended, "owner": owner, "limit": limit, "before": before, "outputs": outputs or None}
        return self._pages("/v1/environments", EnvironmentView, asked, limit)

    def environment(self, name: str) -> EnvironmentView:
        return self._read(self._get(f"/v1/environments/{_part(name)}"), EnvironmentView)

    def create(self, request: CreateRequest, *, idempotency_key: str | None = None) -> Accepted:
        headers = {"Idempotency-Key": idempotency_key or self._make_key()}
        return self._read(self._send("POST", "/v1/environments", request, headers=headers, again=True), Accepted)

    def update(self, name: str, request: UpdateRequest) -> Accepted:
        return self._read(self._send("PUT", f"/v1/environments/{_part(name)}", request), Accepted)

    def retry(self, name: str) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/retry"), Accepted)

    def extend(self, name: str, request: ExtendRequest) -> EnvironmentView:
        path = f"/v1/environments/{_part(name)}/extend"
        return self._read(self._send("POST", path, request, again=request.by is None), EnvironmentView)

    def destroy(self, name: str, reason: str = "") -> Accepted:
        path = f"/v1/environments/{_part(name)}/destroy"
        return self._read(self._send("POST", path, DestroyRequest(reason=reason)), Accepted)

    def plan(self, name: str, request: PlanRequest) -> PlanView:
        path = f"/v1/environments/{_part(name)}/plan"
        return self._read(self._send("POST", path, request, seconds=LOOK_SECONDS), PlanView)

    def saved_plan(self, plan_id: str) -> PlanView:
        return self._read(self._get(f"/v1/plans/{_part(plan_id)}"), PlanView)

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        headers = {"Idempotency-Key": idempotency_key or self._make_key()}
        path = f"/v1/plans/{_part(plan_id)}/apply"
        return self._read(self._send("POST", path, headers=headers, again=True), Accepted)

    def repair(self, name: str) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/repair"), Accepted)

    def promote(self, name: str) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/promote"), Accepted)

    def rollback(self, name: str, request: RollbackRequest) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/rollback", request), Accepted)

    def cancel(self, name: str, request: CancelRequest) -> DeploymentView:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/cancel", request), DeploymentView)

    def abandon(self, name: str, request: AbandonRequest) -> EnvironmentView:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/abandon", request), EnvironmentView)

    def drift(self, name: str) -> DriftView:
        return self._read(self._get(f"/v1/environments/{_part(name)}/drift"), DriftView)

    def observe(self, name: str) -> DriftView:
        path = f"/v1/environments/{_part(name)}/observe"
        return self._read(self._send("POST", path, again=True, seconds=LOOK_SECONDS), DriftView)

    def why(self, deployment_id: str) -> PendingView:
        return self._read(self._get(f"/v1/deployments/{_part(deployment_id)}/why"), PendingView)

    def workers(self) -> list[WorkerView]:
        return self._pages("/v1/workers", WorkerView)

    def outputs(self, name: str, *, reveal: bool = False) -> dict[str, OutputView]:
        answer = self._get(f"/v1/environments/{_part(name)}/outputs", {"reveal": reveal})
        return self._read(answer, dict[str, OutputView])

    def deployments(self, name: str) -> list[DeploymentView]:
        return self._pages(f"/v1/environments/{_part(name)}/deployments", DeploymentView)

    def deployment(self, deployment_id: str) -> DeploymentView:
        return self._read(self._get(f"/v1/deployments/{_part(deployment_id)}"), DeploymentView)

    def resources(self, name: str) -> list[ResourceView]:
        return self._pages(f"/v1/environments/{_part(name)}/resources", ResourceView)

    def history(self, name: str, *, after: int = 0, limit: int = 500) -> list[Event]:
        answer = self._get(f"/v1/environments/{_part(name)}/events", {"after": after, "limit": limit})
        return self._read(answer, list[Event])

    def events(self, after: int | None = None, environment: str | None = None) -> HttpEventStream:
        stream = HttpEventStream(lambda seen: self._open_stream(seen, environment), after)
        self._streams.add(stream)
        return stream

    def mirror(self, view: EnvironmentView) -> EnvironmentView:
        return self._read(self._send("PUT", f"/v1/mirror/{_part(view.name)}", view, again=True), EnvironmentView)

    # --- templates ---------------------------------------------------------------------------------------------------

    def templates(self) -> list[TemplateView]:
        return self._pages("/v1/templates", TemplateView)

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        return self._read(self._get(f"/v1/templates/{_part(name)}", {"digest": digest}), TemplateView)

    def delete_template(self, name: str, digest: str | None = None) -> TemplateDeletionView:
        # Never repeated automatically: the second response would be that there is no such template.
        answer = self._request("DELETE", f"/v1/templates/{_part(name)}", query={"digest": digest})
        return self._read(answer, TemplateDeletionView)

    def push(self, bundle: Bundle) -> TemplateView:
        return self._read(self._send("POST", "/v1/templates", _files(bundle), again=True), TemplateView)

    def push_from_git(self, request: GitPushRequest) -> TemplateView:
        path = "/v1/templates/from-git"
        return self._read(self._send("POST", path, request, again=True, seconds=LOOK_SECONDS), TemplateView)

    def validate(self, bundle: Bundle) -> Validation:
        return self._read(self._send("POST", "/v1/templates/validate", _files(bundle), again=True), Validation)

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        found = self._read(self._get(f"/v1/templates/{_part(name)}/bundle", {"digest": digest}), PushRequest)
        return make_bundle({path: base64.b64decode(content) for path, content in found.files.items()})

    # --- images ------------------------------------------------------------------------------------------------------

    def images(self) -> list[ImageView]:
        return self._pages("/v1/images", ImageView)

    def image(self, name: str) -> ImageView:
        return self._read(self._get(f"/v1/images/{_part(name)}"), ImageView)

    def image_history(self, name: str) -> list[ImageView]:
        return self._pages(f"/v1/images/{_part(name)}/history", ImageView)

    def publish_image(self, name: str, request: PublishImageRequest) -> ImageView:
        return self._read(self._send("PUT", f"/v1/images/{_part(name)}", request, again=True), ImageView)

    def withdraw_image(self, name: str) -> ImageView:
        return self._read(self._send("DELETE", f"/v1/images/{_part(name)}"), ImageView)

    # --- access and the service itself -------------------------------------------------------------------------------

    def tokens(self) -> list[TokenView]:
        return self._pages("/v1/tokens", TokenView)

    def create_token(self, request: TokenRequest) -> NewToken:
        return self._read(self._send("POST", "/v1/tokens", request), NewToken)

    def revoke_token(self, token_id: str) -> TokenView:
        return self._read(self._send("DELETE", f"/v1/tokens/{_part(token_id)}", again=True), TokenView)

    def ca(self) -> str:
        return self._get("/v1/ca").text

    def info(self) -> Info:
        return self._read(self._get("/self/info"), Info)

    def readiness(self) -> Readiness:
        return self._read(self._request("GET", "/self/readiness", again=True, expected=frozenset({503})), Readiness)

    # --- the wire ----------------------------------------------------------------------------------------------------

    def _get(self, path: str, query: _Query | None = None) -> httpx2.Response:
        return self._request("GET", path, query=query, again=True)

    def _pages(self, path: str, kind: type[V], query: _Query | None = None, most: int | None = None) -> list[V]:
        """All of a list, or the first `most`, page by page: each behind which more may come names the next (RFC 8288).

        How many a page has says nothing: it ends early when its entries are large.
        """
        answer = self._get(path, query)
        found = self._read(answer, list[kind])  # type: ignore[valid-type]  # a class that is passed in
        # Only further pages of the same list: an address elsewhere would get the token.
        while (most is None or len(found) < most) and (
            further := answer.links.get("next", {}).get("url", "")
        ).startswith(f"{path}?"):
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
        content = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        return self._request(method, path, content=content, headers=headers, again=again, seconds=seconds)

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: _Query | None = None,
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
                        raise self._unreachable(error) from error
                except httpx2.HTTPError as error:
                    raise self._unreachable(error) from error
        if not response.is_success and response.status_code not in expected:
            raise error_from(self._address, response.status_code, _json_or_none(response))
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

    def _unreachable(self, error: Exception) -> ServiceUnavailable:
        details = {"address": self._address, "cause": str(error)}
        if (other := wrong_protocol(self._address, error)) is not None:
            return ServiceUnavailable(other[0], hint=other[1], details=details)
        if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError):
            what = "can't be reached"
        elif isinstance(error, httpx2.TimeoutException):
            what = "doesn't answer in time"
        else:
            what = "dropped the connection"
        return ServiceUnavailable(f"The service at {self._address} {what}.", details=details)

    def _read(self, response: httpx2.Response, kind: type[T]) -> T:
        try:
            value: T = _adapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise ServiceUnavailable(
                f"The answer of {self._address} can't be understood.",
                hint="Client and service may be of different versions; see `calvinverse doctor`.",
                details={"address": self._address, "path": response.request.url.path},
            ) from error
        return value


def wrong_protocol(address: str, error: Exception) -> tuple[str, str] | None:
    """What is wrong and what to do, if the address has the wrong protocol, port or CA; None otherwise."""
    said = str(error)
    parts = urlsplit(address)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        why = said.partition("CERTIFICATE_VERIFY_FAILED] ")[2].partition(" (_ssl")[0] or said
        return (
            f"The certificate of the service at {address} isn't trusted: {why}.",
            f"Name the CA that signed it with {CA_FILE_VARIABLE}, and the host as the certificate does.",
        )
    if parts.scheme == "https" and isinstance(error, httpx2.ConnectError) and "SSL" in said.upper():
        plain = urlunsplit(parts._replace(scheme="http"))
        return f"What answers at {address} doesn't speak TLS.", f"If the service has no TLS there, give {plain}."
    if parts.scheme == "http" and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        secured = urlunsplit(parts._replace(scheme="https"))
        return (
            f"What answers at {address} dropped the connection.",
            f"If the service speaks TLS there, give {secured}; else see `doit status`, and try again.",
        )
    if isinstance(error, httpx2.ConnectError) and parts.port is None:
        ours = urlsplit(DEFAULT_ADDRESS).port
        return (
            f"Nothing answers at {address}, port {443 if parts.scheme == 'https' else 80}.",
            f"Give the port too; the service listens on {ours} unless it is told otherwise.",
        )
    return None


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Cached per type: making one takes longer than reading a response with it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _part(name: str) -> str:
    """A name as one segment of a path, whatever it contains."""
    quoted = quote(name, safe="")
    if quoted in ("", ".", ".."):
        raise InvalidInput(f"{name!r} can't be a name.")
    return quoted


def _given(query: _Query | None) -> dict[str, str]:
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in (query or {}).items()
        if value is not None
    }


def _files(bundle: Bundle) -> PushRequest:
    return PushRequest(files={path: base64.b64encode(content).decode() for path, content in bundle.files.items()})


def _json_or_none(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _checked_token(token: str) -> str:
    if not token.isascii() or any(character.isspace() for character in token):
        raise Unauthenticated("What was given as a token can't be one.")
    return token


def _is_loopback(address: str) -> bool:
    """Requests to this machine never use a proxy of the environment."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _trust(address: str, ca_file: Path | None) -> ssl.SSLContext:
    """The CAs that may sign the service's certificate. Plain HTTP loads none, which saves 20 ms and trusts nobody."""
    if not address.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ServiceUnavailable(
            f"The CA file {ca_file} can't be used: {error}.", hint="Correct `ca_file` in the context."
        ) from error
