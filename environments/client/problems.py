"""Turns problem documents (RFC 9457) back into errors, and says what a failed connection may mean."""

import socket
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from environments.addresses import DEFAULT_ADDRESS, host_of
from environments.domain.errors import (
    CalvinverseError,
    Conflict,
    DeliveryUnsigned,
    Forbidden,
    Interrupted,
    InvalidInput,
    NoAnswer,
    NotFound,
    ServiceUnavailable,
    SignInRefused,
    TooManyRequests,
    Unauthenticated,
    all_errors,
)

_BY_STATUS: dict[int, type[CalvinverseError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: InvalidInput,
    408: InvalidInput,
    409: Conflict,
    413: InvalidInput,
    415: InvalidInput,
    422: InvalidInput,
    429: TooManyRequests,
}

REFUSALS = (
    InvalidInput,
    NotFound,
    Conflict,
    Unauthenticated,
    SignInRefused,
    DeliveryUnsigned,
    Forbidden,
    Interrupted,
)
"""Errors that the same request will cause again."""

ELSEWHERE = "Check the address, which `calvinverse context show` shows, the network, and that the service runs there."
"""What to do when a service on another machine doesn't answer."""


def error_from(address: str, status: int, document: Any, *, changes: bool = False) -> CalvinverseError:
    """The error of a response with `status`; `document` is its parsed body, None if it isn't JSON.

    An unknown code of a newer service becomes the class that fits its status and keeps message and hint. An answer
    that isn't a problem document comes from something else, such as a proxy, which may have passed on what `changes`
    something before it failed.
    """
    if not isinstance(document, dict) or not isinstance(document.get("code"), str):
        # Other servers that expect TLS answer plain HTTP with status 400, in many wordings.
        secured = f" If it speaks TLS there, give https://{address[7:]}." if address.startswith("http://") else ""
        foreign = ServiceUnavailable(
            f"{address} answered with status {status}, and not as the provisioning service does.",
            hint=f"Check the address, and any proxy in between.{secured if status == 400 else ''}",
            details={"address": address, "status": status},
        )
        return unanswered(foreign, foreign.hint) if changes and status >= HTTPStatus.INTERNAL_SERVER_ERROR else foreign
    code = document["code"]
    known = {cls.code: cls for cls in reversed(all_errors())}
    details = document.get("details")
    details = dict(details) if isinstance(details, dict) else {}
    cls = known.get(code)
    if cls is None:
        cls = _BY_STATUS.get(status, CalvinverseError)
        details.setdefault("code", code)
    message = document.get("detail") or document.get("title") or f"The service answered with status {status}."
    return cls(str(message), hint=str(document.get("hint") or ""), details=details)


def unanswered(error: CalvinverseError, hint: str = "") -> NoAnswer:
    """What an error means for somebody whose request to change something was sent: it may have been carried out."""
    return NoAnswer(
        f"{error.message} What was asked for may have been done.",
        hint=f"{NoAnswer.default_hint} {hint}" if hint else "",
        details=error.details,
    )


def says_nothing_of_earlier(error: CalvinverseError) -> bool:
    """Whether a refusal leaves open what became of the same request, sent before: nobody looked at what it asks for."""
    return error.transient or isinstance(error, Unauthenticated | Forbidden)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, the nearest first."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def wrong_protocol(address: str, error: Exception) -> tuple[str, str] | None:
    """What is wrong and what to do, if the address has the wrong protocol, name or port; None otherwise."""
    parts = urlsplit(address)
    if parts.scheme == "https" and isinstance(error, httpx2.ConnectError) and "SSL" in str(error).upper():
        plain = urlunsplit(parts._replace(scheme="http"))
        return f"What answers at {address} doesn't speak TLS.", f"If the service has no TLS there, give {plain}."
    if parts.scheme == "http" and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        secured = urlunsplit(parts._replace(scheme="https"))
        return (
            f"What answers at {address} dropped the connection.",
            f"If the service speaks TLS there, give {secured}; else see `doit status`, and try again.",
        )
    if any(isinstance(cause, socket.gaierror) for cause in chain(error)):
        return (
            f"The service at {address} can't be reached: this machine finds no address for {host_of(address)}.",
            "Check the name, and that this machine can resolve it.",
        )
    if isinstance(error, httpx2.ConnectError) and parts.port is None:
        ours = urlsplit(DEFAULT_ADDRESS).port
        return (
            f"Nothing answers at {address}, port {443 if parts.scheme == 'https' else 80}.",
            f"Give the port too; the service listens on {ours} unless it is told otherwise.",
        )
    return None
