"""The edge of a deployment: where it listens, what it is called, and where its certificate comes from.

Each deployment has one, unless somebody chose to have none; that choice is stored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from environments.domain.errors import InvalidInput, PortTaken
from environments.domain.names import is_host_name
from images.errors import ImageNotBuilt
from images.machine import taken
from jobs.own_certificate import read_own_certificate
from jobs.ports import SERVICE_PORT, edge_port

IMAGE = "edge"
"""The image of the edge."""

ADDRESS = "calvinverse.localhost"
HOST = "127.0.0.1"
PORT = 8443
"""Its port at first, beside a service at 8400."""

FIRST_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
"""The first port that a user without rights may listen on."""

_DIRECTORY = re.compile(r"https://[A-Za-z0-9._~:/?&=%+\[\]-]{1,500}")
_EMAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
_ACCOUNT = re.compile(r"[A-Za-z0-9._~+/=:-]{1,200} [A-Za-z0-9_=-]{16,1000}")
_ACME = ("edge_acme_directory", "edge_acme_email", "edge_acme_ca")
"""Parameters of `meta` for ACME that aren't secret."""


class Source(StrEnum):
    """Where the certificate comes from: OpenBao's authority, files of the user, or an authority with ACME."""

    AUTHORITY = "authority"
    FILES = "files"
    ACME = "acme"


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate with its chain, and its key; `authority` are certificates that clients pin or trust (PEM)."""

    certificate: Path
    key: Path
    authority: Path | None = None


@dataclass(frozen=True)
class AcmeChoice:
    """An authority with ACME (RFC 8555), by the URL of its directory.

    `ca` signed the certificate of the directory itself (PEM); empty: a well-known authority did. `account` is an
    external account binding: the key's id, a space and the key in base64url.
    """

    directory: str
    email: str = ""
    ca: str = ""
    account: str = field(default="", repr=False)


@dataclass(frozen=True)
class EdgeChoice:
    """What the user chooses; empty: as before, and at first an edge that this machine alone reaches.

    `listen` is `HOST:PORT`, an IP address and a port; `address` is the host name that clients use; `certificate` says
    where the certificate comes from; `off`: there is no edge, until something else of these is chosen. `port`: where it
    listens at first; None: at `PORT`, or in the block of ports of the deployment.
    """

    listen: str = ""
    address: str = ""
    certificate: CertificateFiles | AcmeChoice | Source | None = None
    off: bool = False
    port: int | None = None


def edge_parameters(
    choice: EdgeChoice,
    image: str | None,
    before: Mapping[str, Any] | None,
    now: datetime,
    first_port: int = 1024,
) -> dict[str, Any]:
    """The parameters of `meta` for the edge, with a new certificate of the user and its key; `edge`: if there is one.

    `image` is what it runs from, None if there is none; `before` are the parameters so far; `first_port` is the first
    that it may listen on. Raises `InvalidInput`, `ImageNotBuilt`.
    """
    kept = before or {}
    was_on = bool(kept.get("edge")) and "edge_host" in kept
    # A version without `edge_off` left `edge` as it was when it was switched off.
    was_off = kept.get("edge_off") or (kept.get("edge") and not was_on)
    chosen = bool(choice.listen or choice.address or choice.certificate)
    if choice.off and chosen:
        raise InvalidInput("The edge can't be switched off and set up at once.", hint="Leave --no-edge out.")
    if choice.off or (was_off and not chosen):
        return {"edge": False, "edge_off": True, "limited_port": 0}
    if image is None:
        raise ImageNotBuilt(
            f"There is no validated image {IMAGE!r}.",
            hint=f"Run `doit build:{IMAGE}`, or leave the edge out with --no-edge.",
        )
    at_first = f"{HOST}:{choice.port or _port_beside(kept.get('port'))}"
    listen = choice.listen or (f"{kept['edge_host']}:{kept['edge_port']}" if was_on else at_first)
    host, port = parse_listen(listen)
    if port < first_port:
        raise InvalidInput(
            f"The edge can't listen on port {port}: it runs without rights, and may use those from {first_port} on.",
            hint=f"Choose another port, or run `sysctl net.ipv4.ip_unprivileged_port_start={port}` on the machine.",
        )
    address = choice.address or kept.get("edge_address") or ADDRESS
    if not is_host_name(address):
        raise InvalidInput(
            f"{address!r} can't be the edge's address.",
            hint="Give a host name in lower case with a dot, without a port, such as calvinverse.example.org.",
        )
    where = {"edge_host": host, "edge_port": port, "edge_address": address}
    return (
        {"edge": True, "edge_off": False, "edge_image": image, "limited_port": port}
        | where
        | _certificate(choice.certificate, address, kept, now)
    )


def _certificate(
    choice: CertificateFiles | AcmeChoice | Source | None, address: str, kept: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    if isinstance(choice, CertificateFiles):
        own = read_own_certificate(choice.certificate, choice.key, address, now, choice.authority)
        return {"edge_source": Source.FILES.value, "edge_certificate": own.chain, "edge_key": own.key}
    if isinstance(choice, AcmeChoice):
        return {"edge_source": Source.ACME.value, "edge_acme_account": choice.account, **_acme(choice)}
    if choice is not None:
        return {"edge_source": choice.value}
    source = Source(kept.get("edge_source", Source.AUTHORITY))
    if source is Source.FILES and address != kept["edge_address"]:
        raise InvalidInput(
            f"The edge has a certificate of yours for {kept['edge_address']}, and none for {address}.",
            hint="Give one with --edge-certificate and --edge-key, or choose --local-authority.",
        )
    same = {name: kept[name] for name in _ACME if name in kept} if source is Source.ACME else {}
    return {"edge_source": source.value, **same}


def _acme(choice: AcmeChoice) -> dict[str, str]:
    if not _DIRECTORY.fullmatch(choice.directory):
        raise InvalidInput(
            f"{choice.directory!r} can't be an ACME directory.", hint="Give its URL, which begins with https://."
        )
    if choice.email and not _EMAIL.fullmatch(choice.email):
        raise InvalidInput(f"{choice.email!r} is no e-mail address.", hint="Give one such as ada@example.org.")
    if choice.account and not _ACCOUNT.fullmatch(choice.account):
        raise InvalidInput(
            "The file of the ACME account holds something else.",
            hint="Write the key's id, a space and the key (HMAC) in base64url into it, as the authority told them.",
        )
    return dict(zip(_ACME, (choice.directory, choice.email, choice.ca), strict=True))


def _port_beside(service: int | None) -> int:
    """Where the edge of a deployment listens that has its ports already, in its block if it has one."""
    return PORT if service in (None, SERVICE_PORT) else edge_port(service)


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


def check_edge_port(edge: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Raises `PortTaken` if somebody else listens at the port that the edge is to have, before anything changes.

    `edge` are its parameters, `before` those so far.
    """
    port = edge.get("edge_port")
    if port is None or (before or {}).get("edge_port") == port:
        return
    if (reason := taken(port)) is not None:
        raise PortTaken(
            f"The edge can't have port {port}: {reason}.",
            hint=f"`ss -ltnp 'sport = {port}'` shows its program. Choose another port with --listen {HOST}:PORT, or "
            "leave the edge out with --no-edge.",
        )


def first_unprivileged_port() -> int:
    """The first port that the edge may listen on; 1024 where the system doesn't say."""
    try:
        return int(FIRST_UNPRIVILEGED.read_text())
    except (OSError, ValueError):
        return 1024
