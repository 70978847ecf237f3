"""Query parameters: a route accepts only those that it declares, each once."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from environments.domain.errors import InvalidInput, UnknownParameter
from environments.domain.suggesting import told

DESCRIPTION = "/openapi.json"
"""Where the description of all other paths is; it isn't described itself."""

_LONGEST = 100
"""Characters of a name that are repeated."""


async def known_queries(request: Request) -> None:
    """Raises `UnknownParameter`, so that a misspelt `limit` doesn't return all, and `InvalidInput` for duplicates.

    What the API doesn't describe, OpenTofu's backend, has names of its own.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    if not route.include_in_schema and route.path != DESCRIPTION:
        return
    known = list(_taken(route.dependant))
    for name in request.query_params:
        if name not in known:
            shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
            raise UnknownParameter(
                told(f"{request.url.path} takes no query parameter {shown!r}.", name, known),
                hint=f"It takes {', '.join(known)}." if known else "It takes none.",
                details={"parameter": shown, "known": known},
            )
    for name in request.query_params:
        if (times := len(request.query_params.getlist(name))) > 1:
            often = "twice" if times == 2 else f"{times} times"
            raise InvalidInput(
                f"The query parameter {name!r} of {request.url.path} is given {often}.",
                hint="Give it once: only one value of it can count.",
                details={"parameter": name},
            )


def _taken(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _taken(dependency)
