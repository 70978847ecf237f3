"""Caddy's configuration: one host name, one service behind it, and limits. Pure: the same settings, the same JSON.

The names are those of Caddy's JSON (https://caddyserver.com/docs/json/). Caddy fills in what is in braces for each
request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from . import entry_point_routes, web_page_routes
from .certificates import pki_app, tls_app
from .entry_points import Served
from .logs import logging
from .settings import Settings, WebPage

Json = dict[str, Any]

CLIENT_HEADER = "Calvinverse-Client"
"""Holds the IP address of the client, as the edge sees it."""

SECRET_HEADER = "Calvinverse-Edge"
"""Holds the secret by which the service knows the edge's own requests."""

FORGED = (
    "Calvinverse-*",
    "Forwarded",
    "X-Forwarded*",
    "X-Real-Ip",
    "X-Client-Ip",
    "X-Cluster-Client-Ip",
    "X-Originating-Ip",
    "X-Remote-*",
    "X-Original-*",
    "X-Rewrite-Url",
    "X-Http-Method*",
    "X-Method-Override",
    "True-Client-Ip",
    "Cf-Connecting-Ip",
    "Fastly-Client-Ip",
    "Proxy*",
    "Via",
    "*_*",
)
"""Headers that proxies set. Those of a client are dropped: nobody in front of the edge is trusted. `*` is any rest.

So are all names with an underscore, as by other proxies: programs that make variables of headers, as with CGI and WSGI,
take `X_Forwarded_For` for `X-Forwarded-For`.
"""


STRICT = "max-age=2592000"
"""For thirty days browsers ask for the edge's own name by TLS alone (RFC 6797): for no other name, and in no list."""


@dataclass(frozen=True)
class Limits:
    """How large and how slow a request may be. Sizes in bytes, times in seconds, rates in bytes a second."""

    largest_head: int = 32 * 1024
    largest_body: int = 33 * 1024 * 1024
    """A module's state, the largest thing that the service takes, has at most 32 MiB."""

    head: float = 15.0
    """For the TLS handshake, and again for all headers."""

    stalled: float = 30.0
    """Without a byte of a body, or with a client that doesn't read its answer."""

    slowest: int = 512
    """The least average rate of a body, once it has taken `stalled` seconds."""

    idle: float = 60.0
    """Between two requests of a connection."""

    connecting: float = 5.0
    """For connecting to the service; refused connections are tried again that long."""

    largest_form: int = 1024 * 1024
    """Of what browsers send to the web page, which takes less."""

    answer: float = 600.0
    """Until the headers of the service's answer."""

    draining: float = 5.0
    """How long a configuration that is left still accepts: a connection that it has accepted may not have sent its
    first request yet, and Go's server closes such a connection once it stops."""


@dataclass(frozen=True)
class Generation:
    """Where one configuration listens: `listeners` are sockets that Caddy has inherited, as it names them, and it
    opens the socket `ready` once it runs."""

    listeners: tuple[str, ...]
    ready: Path


def configuration(
    settings: Settings,
    limits: Limits = Limits(),
    generation: Generation | None = None,
    served: Sequence[Served] | None = (),
) -> Json:
    """Caddy's whole configuration, as JSON. Without a `generation` Caddy itself opens what it listens on.

    `served` are entry points of environments; None: they aren't known yet.
    """
    storage = settings.folder / "storage" if settings.acme is None else settings.acme.storage
    return {
        "admin": {
            "listen": f"unix/{settings.socket}|0600",
            # Neither the configuration nor its file is written down, and what was written down is never loaded.
            "config": {"persist": False},
        },
        "logging": logging(),
        "storage": {"module": "file_system", "root": str(storage)},
        "apps": {"http": _http(settings, limits, generation, served), "tls": tls_app(settings, served or ())}
        | pki_app(settings),
    }


def places(settings: Settings) -> list[tuple[str, int]]:
    """IP addresses and ports to listen on. Loopback is always among them: the machine itself asks there whether the
    edge is healthy."""
    address = ip_address(settings.host)
    hosts = [settings.host]
    if not (address.is_unspecified or address.is_loopback):
        hosts.append("127.0.0.1")
    return [(host, settings.port) for host in hosts]


def _http(settings: Settings, limits: Limits, generation: Generation | None, served: Sequence[Served] | None) -> Json:
    if generation is None:
        listen = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in places(settings)]
        return {"servers": {"edge": _server(settings, limits, listen, served)}}
    edge = _server(settings, limits, list(generation.listeners), served)
    for route in edge["routes"][:-1]:
        route["handle"].insert(0, _last_answers())
    ready = {
        "listen": [f"unix/{generation.ready}|0600"],
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "routes": [_nothing()],
    }
    # The next generation uses other sockets: without that, Caddy wouldn't wait.
    return {"servers": {"edge": edge, "ready": ready}, "shutdown_delay": _seconds(limits.draining)}


def _server(settings: Settings, limits: Limits, listen: list[str], served: Sequence[Served] | None) -> Json:
    known = [{"host": [settings.address]}]
    names = [settings.address, *entry_point_routes.hosts(served or ())]
    entry_points = entry_point_routes.routes(served or (), _transport(limits), _retry(limits), FORGED)
    own = [_not_ready(known)] if served is None else []
    strict = [_strict()] if settings.acme is not None and settings.acme.ca_file is None else []
    to_the_service = {"match": known, "handle": [*strict, *_to_the_service(settings, limits)], "terminal": True}
    to_parts = [to_the_service]
    page_errors = []
    if settings.web_page is not None:
        page = [*strict, *_to_the_web_page(settings.web_page, limits)]
        to_parts = [
            {**to_the_service, "match": web_page_routes.for_the_service(known)},
            {"match": known, "handle": page, "terminal": True},
        ]
        page_errors = web_page_routes.errors(known)
    return {
        "listen": listen,
        "protocols": ["h1", "h2"],
        # Certificates come from files: nothing is asked of anybody else, and no second port is opened.
        "automatic_https": {"disable": True},
        # A connection for one name asks for no other one.
        "strict_sni_host": True,
        # A client that asks for another name, or for none, gets no handshake.
        "tls_connection_policies": [{"match": {"sni": names}, "protocol_min": "tls1.2"}],
        "max_header_bytes": limits.largest_head,
        "read_header_timeout": _seconds(limits.head),
        "read_idle_timeout": _seconds(limits.stalled),
        "read_min_rate": limits.slowest,
        "write_idle_timeout": _seconds(limits.stalled),
        "idle_timeout": _seconds(limits.idle),
        "routes": [*own, *to_parts, *entry_points, _nothing()],
        "errors": {"routes": [*page_errors, *_problems(known), *entry_point_routes.errors(served or ()), _nothing()]},
        "logs": {"default_logger_name": "requests"},
    }


def _not_ready(known: list[Json]) -> Json:
    """Whoever asks whether the edge is ready is told no until the service has said which entry points there are."""
    return {
        "match": [{**match, "path": ["/self/readiness"]} for match in known],
        "handle": [{"handler": "static_response", "status_code": "503"}],
        "terminal": True,
    }


def _retry(limits: Limits) -> Json:
    """Only a connection that was refused is tried again: nothing is asked for twice."""
    return {"try_duration": _seconds(limits.connecting), "try_interval": "0.1s"}


def _transport(limits: Limits) -> Json:
    """How the edge speaks with what is behind it."""
    return {
        "protocol": "http",
        "dial_timeout": _seconds(limits.connecting),
        "response_header_timeout": _seconds(limits.answer),
        # The service closes a connection that has been idle for 30 s: it must not be used just then.
        "keep_alive": {"idle_timeout": "20s"},
        "versions": ["1.1"],
        "compression": False,
        # A proxy that the environment may name is none of the edge's business.
        "network_proxy": {"from": "none"},
    }


def _to_the_service(settings: Settings, limits: Limits) -> list[Json]:
    transport = _transport(limits) | _tls(settings.upstream_ca_file, settings.upstream_name)
    return _to(settings.upstream, settings.secret_file, transport, limits, limits.largest_body)


def _to_the_web_page(page: WebPage, limits: Limits) -> list[Json]:
    """It gets headers like those of the service, to which it passes them on: they say who asks."""
    transport = _transport(limits) | _tls(page.ca_file, page.name)
    return _to(page.upstream, page.secret_file, transport, limits, limits.largest_form)


def _strict() -> Json:
    """Only with certificates by ACME of an authority that machines know by themselves. With another authority a browser
    that knows the header lets nobody in once that is replaced, not even somebody who would look at the certificate."""
    return {"handler": "headers", "response": {"set": {"Strict-Transport-Security": [STRICT]}, "deferred": True}}


def _tls(authority: Path | None, name: str) -> Json:
    """How a part with TLS is verified; nothing for one without."""
    if authority is None:
        return {}
    verified: Json = {"ca": {"provider": "file", "pem_files": [str(authority)]}}
    return {"tls": verified | ({"server_name": name} if name else {})}


def _to(upstream: str, secret: Path, transport: Json, limits: Limits, largest: int) -> list[Json]:
    return [
        {
            "handler": "headers",
            "request": {"delete": list(FORGED)},
            # Deferred: when the answer begins, after what Caddy itself adds to it.
            "response": {"delete": ["Server", "Via"], "deferred": True},
        },
        {"handler": "request_body", "max_size": largest},
        {
            "handler": "reverse_proxy",
            "upstreams": [{"dial": upstream}],
            "transport": transport,
            "load_balancing": _retry(limits),
            # Events pass as they come.
            "flush_interval": -1,
            "headers": {
                "request": {
                    "set": {
                        SECRET_HEADER: [f"{{file.{secret}}}"],
                        CLIENT_HEADER: ["{http.request.remote.host}"],
                        # The name that people ask for: pages compare it with the external address. Behind TLS Caddy
                        # would put the upstream's in its place.
                        "Host": ["{http.request.hostport}"],
                    },
                    # Those that Caddy itself adds.
                    "delete": ["X-Forwarded-*", "Via"],
                },
            },
        },
    ]


def _problems(known: list[Json]) -> list[Json]:
    """What a client of the known name gets when the edge itself refuses or fails (RFC 9457).

    `code` and `detail` are those of the service's own problems.
    """
    away = [{**match, "expression": "{http.error.status_code} in [502, 503, 504]"} for match in known]
    large = [{**match, "expression": "{http.error.status_code} == 413"} for match in known]
    return [
        _problem(away, "service_unavailable", "The edge answers, but the service behind it doesn't."),
        _problem(large, "request_too_large", "The body of the request is larger than the edge allows."),
        _problem(known),
    ]


def _problem(match: list[Json], code: str = "", detail: str = "") -> Json:
    status = "{http.error.status_code}"
    more = f',"code":"{code}","detail":"{detail}","details":{{"status":{status}}}' if code else ""
    body = f'{{"type":"about:blank","title":"{{http.error.status_text}}","status":{status}{more}}}'
    headers = {"Content-Type": ["application/problem+json"], "Cache-Control": ["no-store"]}
    answer = {"handler": "static_response", "status_code": "{http.error.status_code}", "headers": headers, "body": body}
    return {
        "match": match,
        "handle": [{"handler": "headers", "response": {"delete": ["Server"]}}, answer],
        "terminal": True,
    }


def _last_answers() -> Json:
    """While a generation is being left, it asks clients to connect again for their next request."""
    leaving = [{"vars": {"{http.shutting_down}": ["true"]}}]
    closing = {"handler": "headers", "response": {"set": {"Connection": ["close"]}, "deferred": True}}
    return {"handler": "subroute", "routes": [{"match": leaving, "handle": [closing]}]}


def _nothing() -> Json:
    """Closes the connection without an answer."""
    return {"handle": [{"handler": "static_response", "abort": True}]}


def _seconds(value: float) -> str:
    """A duration as Go reads it."""
    return f"{value:g}s"
