"""The page behind a link in a warning. Not in OpenAPI: people open it in a browser.

GET shows what the link is good for and changes nothing, since mail scanners and chats open links; POST, which the
page's button sends, extends the environment. The token is in the query, which nobody logs; no page names another site,
and none runs a script.
"""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html import escape
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from environments.api.rates import Rate, address_key
from environments.service.extend_links import PATH, ExtendLinks, Link, LinkAnswer, Outcome

__all__ = ["PATH", "extend_link_routes"]

_AT_ONCE = 4
"""Links that are looked up side by side."""

_EACH_MINUTE = 30
"""Requests with one link, and requests of one client without a good one."""

_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1.5rem}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
_STATUSES = {Outcome.OFFERED: 200, Outcome.EXTENDED: 200, Outcome.UNKNOWN: 404}
"""Others are 410: the link was good once."""

_Token = Annotated[str, Query(max_length=4096)]


def extend_link_routes(links: ExtendLinks) -> APIRouter:
    """/extend."""
    router = APIRouter(include_in_schema=False)
    good = Rate(_EACH_MINUTE, "requests with this link")
    bad = Rate(_EACH_MINUTE, "requests without a good link")
    threads: list[anyio.CapacityLimiter] = []

    async def answer(request: Request, token: str, ask: Callable[[Link], LinkAnswer]) -> HTMLResponse:
        if not threads:
            threads.append(anyio.CapacityLimiter(_AT_ONCE))
        link = links.read(token)  # before anything is counted: strangers can't use up what holders of links have
        if link is None:
            bad.count(address_key(request.scope))
            return page(LinkAnswer(Outcome.UNKNOWN))
        good.count(link.warning_id)
        return page(await anyio.to_thread.run_sync(ask, link, limiter=threads[0]))

    @router.get(PATH)
    async def show_extension(request: Request, token: _Token = "") -> HTMLResponse:
        """Shows what the link is good for."""
        return await answer(request, token, links.look)

    @router.post(PATH)
    async def extend_by_link(request: Request, token: _Token = "") -> HTMLResponse:
        """Extends the environment, once."""
        return await answer(request, token, links.use)

    return router


def page(answer: LinkAnswer) -> HTMLResponse:
    """The page for an answer."""
    title, text = _told(answer)
    button = '<form method="post"><button>Extend it</button></form>' if answer.outcome is Outcome.OFFERED else ""
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{button}</main>"
        "</body></html>"
    )
    return HTMLResponse(body, _STATUSES.get(answer.outcome, 410), _HEADERS)


def _told(answer: LinkAnswer) -> tuple[str, str]:
    """A title and a sentence."""
    name = answer.name
    now_at = f"{answer.deadline:%Y-%m-%d %H:%M} UTC" if answer.deadline else "no time"
    wanted = f"{answer.new_deadline:%Y-%m-%d %H:%M} UTC" if answer.new_deadline else ""
    match answer.outcome:
        case Outcome.OFFERED:
            return f"Extend {name}?", f"{name} will be destroyed at {now_at}. The button moves that to {wanted}."
        case Outcome.EXTENDED:
            return f"{name} is extended", f"{name} will be destroyed at {now_at}. This link is used up."
        case Outcome.MOVED:
            told = f"{name} will be destroyed at {now_at}." if answer.deadline else f"{name} has no deadline any more."
            return "This link is void", f"The deadline that it was sent for has moved. {told}"
        case Outcome.USED:
            return "This link is used up", f"Somebody has used it already. {name} will be destroyed at {now_at}."
        case Outcome.EXPIRED:
            return "This link has expired", f"It is too late to extend {name} by a link."
        case Outcome.LEAVING:
            return "It is too late", f"{name} is being destroyed, or is gone."
        case Outcome.AT_MAXIMUM:
            return f"{name} can't be extended", f"Its template allows no longer life than until {now_at}."
        case Outcome.UNKNOWN:
            return "This link is not valid", "Check that you have copied all of it."
