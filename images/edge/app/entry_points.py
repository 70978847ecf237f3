"""Entry points of environments, as the service tells of them: host names, and where their instances listen.

What the service says is checked once more, since it ends in Caddy's configuration.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from .settings import HOST_NAME

_ID = re.compile(r"[A-Za-z0-9_./-]{1,120}")
_UPSTREAM = re.compile(r"(?P<host>[0-9.]{7,15}|\[[0-9a-f:.]{2,45}\]):(?P<port>[0-9]{1,5})")


class InvalidRoutes(ValueError):
    """The service's answer isn't a table of routes; the message is one sentence."""


@dataclass(frozen=True)
class Route:
    """Host names that lead to one service, and the addresses (`host:port`) of its instances; maybe none.

    With a `server_name` the instances speak TLS, with a certificate for that name of `authority` (PEM). `unknown`: the
    service doesn't know the instances at this moment, and these are earlier ones.
    """

    id: str
    hosts: tuple[str, ...]
    upstreams: tuple[str, ...]
    server_name: str = ""
    authority: str = ""
    unknown: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Environment:
    """The routes of an environment, and the names in the certificate for them."""

    id: str
    names: tuple[str, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Routes:
    """All environments with entry points, in the service's `version`."""

    version: str = ""
    environments: tuple[Environment, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key (PEM). `renew_at`: seconds since 1970."""

    names: tuple[str, ...]
    chain: str
    key: str
    renew_at: float


@dataclass(frozen=True)
class Served:
    """An environment that the edge serves: its routes, with a certificate."""

    environment: Environment
    pair: Pair


def read_routes(document: Any, domain: str, before: Routes) -> Routes:
    """The routes in the service's answer; all host names are below `domain`.

    Where the service doesn't know the instances, those of `before` stay. Raises `InvalidRoutes`.
    """
    known = {route.id: route for one in before.environments for route in one.routes}
    try:
        reader = _Reader(domain, known, str(document["authority"]))
        environments = tuple(reader.environment(one) for one in document["environments"])
        version = str(document["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRoutes(f"The service's routes can't be read: {error}.") from error
    hosts = [host for one in environments for route in one.routes for host in route.hosts]
    if len(hosts) != len(set(hosts)):
        raise InvalidRoutes("The service's routes can't be read: two of them have one host name.")
    return Routes(version, environments)


def without_plain(served: Served, ids: Collection[str]) -> Served:
    """The same, but that routes with these ids have no instances that can't prove who they are."""
    routes = tuple(
        replace(route, upstreams=()) if route.id in ids and not route.server_name else route
        for route in served.environment.routes
    )
    return replace(served, environment=replace(served.environment, routes=routes))


@dataclass(frozen=True)
class _Reader:
    """Reads what is below `domain`; `known` are the routes so far."""

    domain: str
    known: Mapping[str, Route]
    authority: str

    def environment(self, found: Mapping[str, Any]) -> Environment:
        names = tuple(_host(name, self.domain, wildcard=True) for name in found["names"])
        return Environment(_id(found["id"]), names, tuple(self._route(one) for one in found["routes"]))

    def _route(self, found: Mapping[str, Any]) -> Route:
        id, hosts = _id(found["id"]), tuple(_host(host, self.domain) for host in found["hosts"])
        if found["upstreams"] is None:
            before = self.known.get(id, Route(id, hosts, ()))
            return replace(before, hosts=hosts, unknown=True)
        upstreams = tuple(_upstream(one) for one in found["upstreams"])
        name = str(found["server_name"])
        if not name:
            return Route(id, hosts, upstreams)
        if not HOST_NAME.fullmatch(name) or not self.authority:
            raise ValueError(f"{name[:80]!r} can't be verified")
        return Route(id, hosts, upstreams, name, self.authority)


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no id")
    return text


def _host(text: str, domain: str, *, wildcard: bool = False) -> str:
    name = text.removeprefix("*.") if wildcard else text
    if len(text) > 253 or not HOST_NAME.fullmatch(name) or not name.endswith(f".{domain}"):
        raise ValueError(f"{text[:80]!r} is no host name below {domain}")
    return text


def _upstream(text: str) -> str:
    found = _UPSTREAM.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ValueError(f"{text[:80]!r} is no address of an instance")
    ip_address(found["host"].strip("[]"))
    return text
