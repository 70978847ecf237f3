"""The edge of a deployment: where it listens and what it is called. Once it is on, it stays until undeploy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from environments.domain.errors import InvalidInput
from images.errors import ImageNotBuilt

IMAGE = "edge"
"""The image of the edge."""

ADDRESS = "calvinverse.localhost"
LISTEN = "127.0.0.1:8443"

FIRST_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
"""The first port that a user without rights may listen on."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


@dataclass(frozen=True)
class EdgeChoice:
    """What the user chooses; empty: as before.

    `listen` is `HOST:PORT`, an IP address and a port; `address` is the host name that clients use.
    """

    listen: str = ""
    address: str = ""


def edge_parameters(
    choice: EdgeChoice, image: str | None, before: Mapping[str, Any] | None, first_port: int = 1024
) -> dict[str, Any]:
    """The parameters of `meta` for the edge; empty: there is none.

    `image` is what it runs from, None if there is none; `before` are the parameters so far; `first_port` is the first
    that it may listen on. Raises `InvalidInput`, `ImageNotBuilt`.
    """
    kept = before or {}
    if not (choice.listen or choice.address or kept.get("edge")):
        return {}
    if image is None:
        raise ImageNotBuilt(f"There is no validated image {IMAGE!r}.", hint=f"Run `doit build:{IMAGE}`.")
    listen = choice.listen or (f"{kept['edge_host']}:{kept['edge_port']}" if kept.get("edge") else LISTEN)
    host, port = parse_listen(listen)
    if port < first_port:
        raise InvalidInput(
            f"The edge can't listen on port {port}: it runs without rights, and may use those from {first_port} on.",
            hint=f"Choose another port, or run `sysctl net.ipv4.ip_unprivileged_port_start={port}` on the machine.",
        )
    address = choice.address or kept.get("edge_address") or ADDRESS
    if len(address) > 253 or not _NAME.fullmatch(address) or address.rpartition(".")[2].isdigit():
        raise InvalidInput(
            f"{address!r} can't be the edge's address.",
            hint="Give a host name in lower case with a dot, without a port, such as calvinverse.example.org.",
        )
    return {"edge": True, "edge_image": image, "edge_host": host, "edge_port": port, "edge_address": address}


def parse_listen(text: str) -> tuple[str, int]:
    """Host (an IPv6 address in brackets) and port. Raises `InvalidInput`."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
        number = int(port) if port.isascii() and port.isdigit() else 0
        fits = (address.version == 6) == bracketed and 0 < number < 65536 and "%" not in host
    except ValueError:
        fits = False
    if not fits:
        raise InvalidInput(
            f"The edge can't listen on {text!r}.",
            hint="Give an IP address and a port, such as 0.0.0.0:8443 or [::]:8443.",
        )
    return host, number


def first_unprivileged_port() -> int:
    """The first port that the edge may listen on; 1024 where the system doesn't say."""
    try:
        return int(FIRST_UNPRIVILEGED.read_text())
    except (OSError, ValueError):
        return 1024
