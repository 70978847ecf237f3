"""Addresses of a service: what one looks like, and which of them stay on this machine."""

import ipaddress
from urllib.parse import urlsplit

from environments.domain.errors import InvalidInput, UnsafeAddress

DEFAULT_ADDRESS = "http://127.0.0.1:8400"


def check_address(text: str) -> str:
    """The address of a service, checked: http or https, a host, usually a port. Raises `InvalidInput`."""
    wrong = f"{text!r} is not the address of a service"
    scheme, separator, rest = text.partition("://")
    if "@" in rest:
        # It would be sent instead of the token, and isn't shown: it may hold a password.
        raise InvalidInput(
            "The address of a service holds no name and no password.", hint="Leave out what is before the @."
        )
    if not separator:
        likely = text if ":" in text else f"{text or '127.0.0.1'}:{urlsplit(DEFAULT_ADDRESS).port}"
        likely = f"http://{likely}" if is_loopback(f"http://{likely}") else f"https://{likely}"
        raise InvalidInput(f"{wrong}: it has no scheme.", hint=f"Give http:// or https:// too, such as {likely}.")
    if scheme.lower() not in ("http", "https"):
        raise InvalidInput(
            f"{wrong}: its scheme is {scheme!r}.", hint=f"Give http:// or https://, as in {DEFAULT_ADDRESS}."
        )
    try:
        parts = urlsplit(text)
        fits = bool(parts.hostname) and not parts.query and not parts.fragment and parts.port != 0
    except ValueError:
        fits = False
    if not fits or any(character.isspace() for character in rest):
        raise InvalidInput(f"{wrong}.", hint=f"Give a host and a port, as in {DEFAULT_ADDRESS}.")
    return text


def check_safe_address(text: str) -> str:
    """The address, checked as by `check_address`. Raises `UnsafeAddress` for plain HTTP beyond loopback."""
    if exposes_tokens(check_address(text)):
        raise UnsafeAddress(
            f"{text} is not used: over plain HTTP, the token could be read on the way to another machine.",
            hint="Give an https:// address; plain HTTP is only for services on this machine.",
        )
    return text


def is_encrypted(address: str) -> bool:
    """Whether the service speaks TLS there."""
    return address.lower().startswith("https:")


def is_loopback(address: str) -> bool:
    """Whether the address is on this machine: of 127.0.0.0/8 or ::1, `localhost`, or a name below it."""
    host = host_of(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or is_localhost_name(host)


def exposes_tokens(address: str) -> bool:
    """Whether a token that is sent there goes over plain HTTP to another machine."""
    return address.lower().startswith("http:") and not is_loopback(address)


def host_of(address: str) -> str:
    """The host of an address, without port and brackets; empty if it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def port_of(address: str) -> int:
    """The port of an address, else that of its scheme. Raises `ValueError` for a port that is none."""
    parts = urlsplit(address)
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_localhost_name(host: str) -> bool:
    """Whether the host is a name below `localhost`, which RFC 6761 (6.3) gives to loopback.

    `getaddrinfo` of the GNU C library resolves such names only with a module that not every system has.
    """
    return host.lower().endswith(".localhost")
