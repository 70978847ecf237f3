"""Problem documents (RFC 9457) for every error: of use cases, validation and routing, and unexpected ones."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from environments.api.methods import allow, methods, options
from environments.api.statuses import http_status
from environments.domain.errors import (
    CalvinverseError,
    InvalidInput,
    MethodNotAllowed,
    RequestTooLarge,
    TooManyRequests,
    Unauthenticated,
    UnknownParameter,
    UnknownRoute,
)
from environments.domain.reasons import choice, reason
from environments.wire.system import Problem

MEDIA_TYPE = "application/problem+json"
ERROR = "error"
"""Where the error that a request is answered with stands in the state of its scope."""

_TYPES = "urn:calvinverse:problem:"
_RETRY_AFTER = 5
"""Seconds after which a transient error may have passed."""


def problem_response(
    error: CalvinverseError, headers: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None
) -> Response:
    """The response for an error. `more`: members that another standard wants beside those of problems."""
    status = http_status(type(error))
    problem = Problem(
        type=_TYPES + error.code,
        title=title(type(error)),
        status=status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        details=error.details,
    )
    all_headers = dict(headers or {})
    if isinstance(error, Unauthenticated):
        all_headers.setdefault("WWW-Authenticate", 'Bearer realm="calvinverse"')
    if error.transient:
        all_headers.setdefault("Retry-After", str(error.details.get("retry_after", _RETRY_AFTER)))
    content = problem.model_dump_json() if not more else json.dumps(problem.model_dump(mode="json") | dict(more))
    return Response(content, status, all_headers, MEDIA_TYPE)


def title(cls: type[CalvinverseError]) -> str:
    """The title of a class of errors: the first line of its docstring."""
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


def unforeseen() -> CalvinverseError:
    """The error shown for an unexpected exception; it reveals no detail."""
    return CalvinverseError("Something went wrong inside the service.")


def install(app: FastAPI) -> None:
    """Registers handlers so that the application answers every error with a problem document."""

    def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, CalvinverseError)
        return _answer(request, error)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(request, _from_validation(error))

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 405:
            return _answer(request, _from_http(request, error), error.headers)
        if request.method == "OPTIONS":
            return options(request)
        # The framework names the methods of one route only.
        return _answer(request, _from_http(request, error), allow(request))

    app.add_exception_handler(CalvinverseError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _answer(request: Request, error: CalvinverseError, headers: Mapping[str, str] | None = None) -> Response:
    request.scope.setdefault("state", {})[ERROR] = error
    return problem_response(error, headers)


_MOST_TOLD = 20
"""Faults of a request that the answer names."""

_LONGEST_PLACE = 200
"""Characters of a fault's place; it holds names from the request."""


def _from_validation(error: RequestValidationError) -> InvalidInput:
    """Names each fault by its place; the value isn't repeated, because it may be a secret."""
    problems = []
    faults = error.errors()
    for fault in faults[:_MOST_TOLD]:
        place = ".".join(str(part) for part in fault["loc"])
        place = place if len(place) <= _LONGEST_PLACE else f"{place[:_LONGEST_PLACE]}…"
        suggestion = choice(fault)
        problems.append(f"{place}: {reason(fault, 'an object')}{f'; {suggestion}' if suggestion else ''}")
    if len(faults) > _MOST_TOLD:
        problems.append(f"and {len(faults) - _MOST_TOLD} more")
    return InvalidInput(
        f"The request is not valid: {'; '.join(problems)}.",
        hint="See /openapi.json for what is wanted.",
        details={"problems": problems},
    )


def _from_http(request: Request, error: HTTPException) -> CalvinverseError:
    if error.status_code == 404:
        return UnknownRoute(f"There is nothing at {request.url.path}.")
    if error.status_code == 405:
        return MethodNotAllowed(
            f"{request.method} is not allowed on {request.url.path}.",
            hint=f"Allowed are {', '.join(methods(request.scope))}.",
        )
    if error.status_code == 413:
        return RequestTooLarge("The body of the request is too large.")
    if 400 <= error.status_code < 500:
        return InvalidInput(f"The request is not valid: {error.detail}")
    return unforeseen()


def problems(*classes: type[CalvinverseError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses for the errors of a route; 401, 422, 429 and 500 can come from every route."""
    described: dict[int, list[str]] = {}
    every: tuple[type[CalvinverseError], ...] = (
        Unauthenticated,
        *classes,
        InvalidInput,
        UnknownParameter,
        TooManyRequests,
        CalvinverseError,
    )
    for cls in dict.fromkeys(every):
        described.setdefault(http_status(cls), []).append(f"`{cls.code}`: {title(cls)}")
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": " ".join(lines), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, lines in sorted(described.items())
    }
