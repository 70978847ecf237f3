"""The errors of a route as OpenAPI tells them."""

from environments.api.problems import problems
from environments.api.statuses import http_status
from environments.domain.errors import CalvinverseError, TooManyRequests, Unauthenticated


def test_each_error_is_told_once() -> None:
    """A route may name an error that can come from every route."""
    told = problems(TooManyRequests, Unauthenticated)
    assert told == problems()
    assert told[http_status(TooManyRequests)]["description"].count(TooManyRequests.code) == 1
    assert {http_status(CalvinverseError), http_status(Unauthenticated)} <= told.keys()
