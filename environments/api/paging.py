"""Pages of lists: their length, where they start, and the link to the next one (RFC 8288)."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Query, Request, Response

from environments.service.pages import Page

LARGEST_PAGE = 1000

PAGE = 200
"""Entries of a page by default; lists of environments use `LARGEST_PAGE`."""

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
    """Adds a link to the next page if this one is full: the same query, with `behind` added."""
    if found.more or len(found) == limit:
        query = urlencode({**request.query_params, "limit": limit, **behind})
        response.headers["Link"] = f'<{quote(request.scope["path"])}?{query}>; rel="next"'
