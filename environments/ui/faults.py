"""Pages for errors: what went wrong, in one sentence, and what to do next."""

from starlette.responses import Response

from environments.domain.errors import (
    BackendError,
    CalvinverseError,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    ForgeRefused,
    ForgeUnavailable,
    InvalidInput,
    MethodNotAllowed,
    NoAnswer,
    NotFound,
    RequestTooLarge,
    RequestTooSlow,
    ServiceUnavailable,
    StorageError,
    TooManyRequests,
    Unauthenticated,
)
from environments.ui.answers import page
from environments.ui.visit import Visit

_STATUSES: tuple[tuple[type[CalvinverseError], int, str], ...] = (
    (TooManyRequests, 429, "That was too often"),
    (MethodNotAllowed, 405, "This page can't do that"),
    (RequestTooLarge, 413, "That is too much"),
    (RequestTooSlow, 408, "That took too long"),
    (NotFound, 404, "There is nothing here"),
    (Conflict, 409, "That isn't possible now"),
    (Unauthenticated, 401, "You aren't signed in"),
    (Forbidden, 403, "You may not do that"),
    (InvalidInput, 400, "That isn't right"),
    (NoAnswer, 503, "It may have been done"),
    (ServiceUnavailable, 503, "The service is away"),
    (ForgeRefused, 502, "The forge refuses"),
    (ForgeUnavailable, 503, "The forge is away"),
    (BackendError, 503, "A part of the service is away"),
    (StorageError, 503, "The service is busy"),
)
"""The first class that fits."""


def status_of(error: CalvinverseError) -> int:
    """The status of a page that tells of the error."""
    return next((status for cls, status, _ in _STATUSES if isinstance(error, cls)), 500)


UNCERTAIN = (NoAnswer, DatabaseUnavailable)
"""What may come although all was done: no answer, or none of the database while it wrote."""


def surely_undone(error: CalvinverseError) -> bool:
    """Whether nothing can have been done where this came of a form: it never arrived, or was refused as a whole."""
    if isinstance(error, UNCERTAIN):
        return False
    return isinstance(error, Unauthenticated | Forbidden | TooManyRequests | ServiceUnavailable)


def fault_page(visit: Visit, error: CalvinverseError) -> Response:
    """The page for an error; nothing on it asks the service, which may be away."""
    title = next((title for cls, _, title in _STATUSES if isinstance(error, cls)), "Something went wrong")
    answer = page(visit, "fault.html", status_of(error), title=title, error=error)
    if error.transient:
        answer.headers["Retry-After"] = str(error.details.get("retry_after", 5))
    return answer
