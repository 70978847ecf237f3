"""The interfaces that lead out of the node: jobs may use these, and no others.

Interfaces to containers and virtual machines can have any name and come at any time, so it is not these that are known,
but the few that lead elsewhere: those of default routes, and hardware that no bridge uses, with its VLANs and bonds.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from environments.node_firewall import Lack, NotIsolated, Reason

LINKS = ("ip", "-j", "-d", "link", "show")
ROUTES = ("ip", "-j", "-4", "route", "show", "table", "all")

_EVERYWHERE = frozenset({"default", "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"})
"""Destinations of default routes; some programs for private networks write two halves in place of one."""

_NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,15}")
"""Names that iptables takes for themselves: one that ends with `+` would stand for many."""

_BUNDLES = frozenset({"bond", "team"})


def find(run: Callable[[Sequence[str], str], str], bridge: str) -> tuple[str, ...]:
    """Their names, sorted, without that of the `bridge` of jobs. Raises `NotIsolated`."""
    return tuple(sorted({*_of_default_routes(_read(run, ROUTES)), *_hardware(_read(run, LINKS))} - {bridge, "lo"}))


def _read(run: Callable[[Sequence[str], str], str], command: Sequence[str]) -> list[Mapping[str, Any]]:
    said = run(command, "")
    try:
        found = json.loads(said or "[]")
        return [entry for entry in found if isinstance(entry, dict)]
    except (ValueError, TypeError) as error:
        message = f"What `{' '.join(command)}` says can't be read: {error}."
        raise NotIsolated(Lack(Reason.NO_IP, message, "Install the package iproute2.")) from error


def _of_default_routes(routes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for route in routes:
        if route.get("dst") in _EVERYWHERE and route.get("type", "unicast") == "unicast":
            for hop in [route, *route.get("nexthops", ())]:
                yield from _usable(hop.get("dev"))


def _hardware(links: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    known = {str(link.get("ifname")): link for link in links}

    def leads_out(name: str, depth: int = 0) -> bool:
        if (link := known.get(name)) is None or depth > len(known):
            return False
        info = link.get("linkinfo") or {}
        if info.get("info_slave_kind") == "bridge":
            return False
        kind = info.get("info_kind")
        if kind == "vlan":
            return leads_out(str(link.get("link")), depth + 1)
        return kind in _BUNDLES or (kind is None and link.get("link_type") != "loopback")

    for name in known:
        if leads_out(name):
            yield from _usable(name)


def _usable(name: Any) -> Iterator[str]:
    if isinstance(name, str) and _NAME.fullmatch(name):
        yield name
