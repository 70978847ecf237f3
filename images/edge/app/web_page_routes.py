"""Which requests are for the service, and which for the web page. Pure, like `app.configuration`.

Both know paths as they are once what is encoded in them is decoded, and nothing else: capitals, doubled slashes and
dots stay as they are. So the edge decides by the same text, and no spelling of a path reaches the one when it means the
other.
"""

import re
from typing import Any

Json = dict[str, Any]

BELOW = ("/v1", "/self", "/sign-in", "/device", "/sessions")
"""Paths of the service, and all paths below them."""

EXACTLY = (
    "/metrics",
    "/openapi.json",
    "/extend",
    "/sign-out",
    "/claims",
    "/account",
    "/ui/vault/identity/oidc/provider/calvinverse/authorize",
)
"""Other paths of the service. The last one is where its built-in OpenID provider asks for a password."""

STYLE = r"/assets/style-[^/]*"
"""The style sheet of the service's own pages."""

SERVICE = "|".join([*(f"{re.escape(path)}(?:/.*)?" for path in BELOW), *(re.escape(path) for path in EXACTLY), STYLE])
"""Matches the path of a request for the service, in the syntax that RE2 and Python share."""

_AWAY = (
    "The web page is away at the moment. Load this address again in a few seconds. The command line and the terminal "
    "UI go on working meanwhile. If it stays away, an admin finds out why with `doit status`, and `doit deploy` "
    "repairs it."
)
_REFUSED = "The edge didn't take this request."


def for_the_service(known: list[Json]) -> list[Json]:
    """Matchers of requests for the service, of those that `known` matches."""
    # Caddy's matcher for paths would tidy them up first, and ignore capitals.
    path = {"{http.request.uri.path}": {"pattern": f"(?s)^(?:{SERVICE})$"}}
    return [{**match, "vars_regexp": path} for match in known]


def for_the_web_page(known: list[Json]) -> list[Json]:
    """Matchers of all other requests."""
    return [{**match, "not": for_the_service([{}])} for match in known]


def errors(known: list[Json]) -> list[Json]:
    """What a browser gets when the web page is away, or the edge refuses a request for it: a small page."""
    away = [{**match, "expression": "{http.error.status_code} in [502, 503, 504]"} for match in for_the_web_page(known)]
    return [
        _page(away, "503", "Calvinverse is away", _AWAY, {"Retry-After": ["5"]}),
        _page(for_the_web_page(known), "{http.error.status_code}", "{http.error.status_text}", _REFUSED, {}),
    ]


def _page(match: list[Json], status: str, title: str, text: str, headers: Json) -> Json:
    body = (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"></head>\n'
        f"<body><main><h1>{title}</h1><p>{text}</p></main></body>\n</html>\n"
    )
    said = {
        "Content-Type": ["text/html; charset=utf-8"],
        "Content-Security-Policy": ["default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"],
        "X-Content-Type-Options": ["nosniff"],
        "Cache-Control": ["no-store"],
        **headers,
    }
    answer = {"handler": "static_response", "status_code": status, "headers": said, "body": body}
    return {
        "match": match,
        "handle": [{"handler": "headers", "response": {"delete": ["Server"]}}, answer],
        "terminal": True,
    }
