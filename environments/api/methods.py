"""Methods of a path: HEAD wherever there is GET, OPTIONS, and the answer to methods that a path lacks."""

from contextlib import suppress

from fastapi import Request, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "LOCK", "UNLOCK", "OPTIONS")


def methods(scope: Scope) -> list[str]:
    """All methods of a path over all its routes; empty if there is no such path."""
    asked = {name: scope.get(name, "") for name in ("type", "path", "root_path")}
    routes = scope["app"].routes
    found = {
        method
        for method in _ORDER
        if any(route.matches({**asked, "method": method})[0] is Match.FULL for route in routes)
    }
    more = {"HEAD"} if "GET" in found else set()
    return [method for method in _ORDER if method in found | more or (found and method == "OPTIONS")]


def allow(request: Request) -> dict[str, str]:
    """The header that names them (RFC 9110, 10.2.1)."""
    return {"Allow": ", ".join(methods(request.scope))}


def options(request: Request) -> Response:
    """The answer to OPTIONS."""
    return Response(status_code=204, headers=allow(request))


class _HeadSent(Exception):
    """Ends a HEAD request once its headers are sent."""


class Headed:
    """Answers HEAD with the headers of GET, and doesn't wait for the body: a stream never ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        if "GET" not in methods(as_get):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["route"] = as_get.get("route")  # what the request is counted by
                await send(message)
            elif message["type"] == "http.response.body":
                await send({"type": "http.response.body", "body": b""})
                raise _HeadSent

        with suppress(_HeadSent):
            await self._app(as_get, receive, send_head)
