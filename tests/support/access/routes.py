"""The routes of an application."""

import re
from collections.abc import Iterator
from typing import Any

from starlette.routing import Mount, Route

_CONVERTER = re.compile(r":[a-z_]+\}")
"""What a field of a path may be: not said in the table."""


def routes_of(app: Any, prefix: str = "") -> Iterator[str]:
    """Every route, as `METHOD /path/{field}`; also of what is mounted."""
    for route in app.routes:
        yield from _of(route, prefix)


def _of(route: Any, prefix: str) -> Iterator[str]:
    if hasattr(route, "effective_candidates"):  # FastAPI's own kind for a router that was included
        for candidate in [*route.effective_candidates(), *route.effective_low_priority_routes()]:
            yield from _of(candidate, prefix)
        return
    inner = getattr(route, "starlette_route", None) or route
    if isinstance(inner, Mount):
        for below in inner.routes or ():
            yield from _of(below, prefix + inner.path)
        return
    path, methods = getattr(route, "path", None), getattr(route, "methods", None)
    if path is None and isinstance(inner, Route):
        path, methods = inner.path, inner.methods
    for method in sorted(set(methods or ()) - {"HEAD"}):
        yield f"{method} {prefix}{_CONVERTER.sub('}', str(path))}"
