"""Lists come in pages: how many at once, behind what to go on, and the address of the next page (RFC 8288)."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Query, Request, Response

from environments.service.pages import Page

LARGEST_PAGE = 1000

PAGE = 200
"""How many a page has when nobody says how many it should have; of environments, the largest."""

Limit = Annotated[
    int,
    Query(
        ge=1,
        le=LARGEST_PAGE,
        description="At most so many, fewer when they are large. If more may come, the Link header names the next.",
    ),
]
Skip = Annotated[int, Query(ge=0, le=10**9, description="Without the first so many.")]


def link_next(request: Request, response: Response, found: Page[Any], limit: int, **behind: str | int) -> None:
    """Names the address of the next page when this one is full: the same question, for what comes `behind` this."""
    if found.more or len(found) == limit:
        query = urlencode({**request.query_params, "limit": limit, **behind})
        response.headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
