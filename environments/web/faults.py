"""Pages for errors: what went wrong, in one sentence, and what to do next. No detail of the service is shown."""

from starlette.responses import Response

from environments.domain.errors import (
    BackendUnavailable,
    CalvinverseError,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    RequestTooLarge,
    RequestTooSlow,
    SignInRefused,
    TooManyRequests,
    Unauthenticated,
)
from environments.service.auditing import answered_with
from environments.web.answers import page

_STATUSES: tuple[tuple[type[CalvinverseError], int, str], ...] = (
    (TooManyRequests, 429, "Too many attempts"),
    (MethodNotAllowed, 405, "This page can't do that"),
    (RequestTooLarge, 413, "That is too much"),
    (RequestTooSlow, 408, "That took too long"),
    (NotFound, 404, "There is nothing here"),
    (Conflict, 409, "That isn't possible now"),
    (SignInRefused, 403, "You can't sign in"),
    (Unauthenticated, 401, "You aren't signed in"),
    (Forbidden, 403, "You may not do that"),
    (InvalidInput, 400, "That isn't right"),
    (BackendUnavailable, 503, "The identity provider is away"),
    (DatabaseUnavailable, 503, "The service is busy"),
)
"""The first class that fits."""


def status_of(error: CalvinverseError) -> int:
    """The status of the page for an error."""
    return next((status for cls, status, _ in _STATUSES if isinstance(error, cls)), 500)


def fault_page(error: CalvinverseError, *, signed_in: bool = False, retry: str = "") -> Response:
    """The page for an error. `retry`: the page of ours where to try again, if it isn't the usual one."""
    answered_with(error)
    title = next((title for cls, _, title in _STATUSES if isinstance(error, cls)), "Something went wrong")
    path, words = ("/account", "To your page") if signed_in else ("/sign-in", "To the page for signing in")
    answer = page(
        "fault.html",
        status_of(error),
        title=title,
        text=error.message,
        hint=error.hint,
        away=isinstance(error, BackendUnavailable),
        next=retry or path,
        next_words="Try again" if retry else words,
        signed_in=signed_in,
        here="",
    )
    if error.transient:
        answer.headers["Retry-After"] = str(error.details.get("retry_after", 5))
    return answer
