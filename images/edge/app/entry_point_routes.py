"""The part of Caddy's configuration for entry points of environments. Pure, like `app.configuration`."""

import re
from collections.abc import Sequence
from typing import Any

from .entry_points import Route, Served

Json = dict[str, Any]

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")

STREAMS_LAST = "24h"
"""How long WebSockets go on that were opened with a configuration which has been replaced since."""

_NO_INSTANCE = "No instance of this service is healthy at the moment.\n"


def certificates(served: Sequence[Served]) -> list[Json]:
    """Certificates and keys, which stay in memory."""
    return [{"certificate": one.pair.chain, "key": one.pair.key} for one in served]


def hosts(served: Sequence[Served]) -> list[str]:
    """All host names that lead to environments."""
    return [host for one in served for route in one.environment.routes for host in route.hosts]


def routes(served: Sequence[Served], transport: Json, retry: Json, forged: Sequence[str]) -> list[Json]:
    """A route for each service. `forged` are the headers of a client that are dropped."""
    return [
        {"match": [{"host": list(route.hosts)}], "handle": _to_instances(route, transport, retry, forged)}
        | {"terminal": True}
        for one in served
        for route in one.environment.routes
    ]


def errors(served: Sequence[Served]) -> list[Json]:
    """What a client of an entry point gets when the edge refuses a request, or an instance doesn't answer."""
    names = hosts(served)
    if not names:
        return []
    handle = [
        {"handler": "headers", "response": {"delete": ["Server"]}},
        _page("{http.error.status_code}", "{http.error.status_code} {http.error.status_text}\n"),
    ]
    return [{"match": [{"host": names}], "handle": handle, "terminal": True}]


def _to_instances(route: Route, transport: Json, retry: Json, forged: Sequence[str]) -> list[Json]:
    headers: Json = {
        "handler": "headers",
        "request": {"delete": list(forged)},
        # Neither what Caddy adds, nor another address at which to ask for this name.
        "response": {"delete": ["Server", "Via", "Alt-Svc"], "deferred": True},
    }
    if not route.upstreams:
        return [headers, _page(503, _NO_INSTANCE)]
    return [
        headers,
        {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": upstream} for upstream in route.upstreams],
            "transport": {**transport, **_tls(route)},
            "load_balancing": {"selection_policy": {"policy": "random"}, **retry},
            # Events pass as they come.
            "flush_interval": -1,
            "stream_close_delay": STREAMS_LAST,
            "headers": {
                "request": {
                    "set": {
                        "X-Forwarded-For": ["{http.request.remote.host}"],
                        "X-Forwarded-Proto": ["https"],
                        "X-Forwarded-Host": ["{http.request.hostport}"],
                    },
                    "delete": ["Via"],
                },
            },
        },
    ]


def _tls(route: Route) -> Json:
    """How an instance with TLS is verified; nothing for one without."""
    if not route.server_name:
        return {}
    found = _CERTIFICATE.findall(route.authority)
    authority = {"provider": "inline", "trusted_ca_certs": ["".join(text.split()) for text in found]}
    return {"tls": {"ca": authority, "server_name": route.server_name}}


def _page(status: int | str, text: str) -> Json:
    headers = {"Content-Type": ["text/plain; charset=utf-8"], "Cache-Control": ["no-store"]}
    if status == 503:
        headers["Retry-After"] = ["5"]
    return {"handler": "static_response", "status_code": str(status), "headers": headers, "body": text}
