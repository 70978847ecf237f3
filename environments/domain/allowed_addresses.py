"""Addresses that an admin allows the service to call although it calls none of their kind: `HOST:PORT`."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from environments.domain.errors import InvalidInput
from environments.domain.names import is_host_name, is_label

MOST_ALLOWED = 20
"""Addresses that are allowed for one webhook."""


def entry(host: str, port: int) -> str:
    """How an exception is written: `forge.example:3000`, `127.0.0.1:3000`, `[::1]:3000`."""
    host = host.strip("[]").lower().rstrip(".")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def checked_entry(text: str) -> str:
    """An exception as an admin writes it. Raises `InvalidInput`."""
    wrong = InvalidInput(
        f"{text[:100]!r} is no address to allow.", hint="Give a host and a port, such as 192.0.2.7:3000."
    )
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    if (
        not port
        or not text.isprintable()
        or parts.path
        or parts.query
        or parts.fragment
        or parts.username is not None
        or "%" in host
    ):
        raise wrong
    try:
        return entry(str(ip_address(host)), port)
    except ValueError:
        pass
    if not (is_host_name(host) or is_label(host)):
        raise wrong
    return entry(host, port)
