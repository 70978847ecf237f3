"""The template of the route that took a request, as OpenAPI writes it: for metrics and for the audit log."""

from types import SimpleNamespace

from starlette.types import Scope


def route_path(scope: Scope) -> str:
    """Such as `/v1/environments/{name}`, without the kinds of its fields; `none` if no route took the request."""
    return str(getattr(scope.get("route"), "path_format", "")) or "none"


def take(scope: Scope) -> None:
    """Notes that a request's path is a route by itself, of what answers before the API."""
    scope["route"] = SimpleNamespace(path_format=scope["path"])
