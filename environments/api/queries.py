"""What may stand behind the `?` of a path: what its route takes, and nothing else."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from environments.domain.errors import UnknownParameter
from environments.domain.suggesting import told

_LONGEST = 100
"""Characters of a name that are repeated."""


async def known_queries(request: Request) -> None:
    """Raises `UnknownParameter`: who misspells `limit` must not get everything.

    What the API doesn't describe, OpenTofu's backend, has names of its own.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute) or not route.include_in_schema:
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


def _taken(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _taken(dependency)
