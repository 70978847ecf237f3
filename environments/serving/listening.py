"""Where a server listens, and with which certificate: without TLS on loopback only."""

import socket
from ipaddress import ip_address
from pathlib import Path

from environments.domain.errors import PortTaken, UnsafeAddress
from environments.serving.certificate import ServedCertificate


def certificate_of(
    host: str, certificate: Path | None, key: Path | None, *, who: str, risk: str, hint: str = ""
) -> ServedCertificate | None:
    """The certificate of a server that listens on `host`; None: it has none, and needs none on loopback.

    Raises `InvalidInput` for files that can't be used, and `UnsafeAddress` for half of them and for plain HTTP beyond
    loopback: `who` doesn't listen there, because of the `risk`. `hint`: what to do, if not options of `serve`.
    """
    if (certificate is None) != (key is None):
        raise UnsafeAddress("TLS needs both a certificate and a key.", hint=hint)
    if certificate is not None and key is not None:
        return ServedCertificate(certificate, key)
    if not _is_loopback(host):
        raise UnsafeAddress(f"Without TLS {who} doesn't listen on {host}: {risk}.", hint=hint)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, *, who: str, hint: str) -> socket.socket:
    """A socket that listens. Raises `PortTaken`, which says that `who` can't."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; else each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise PortTaken(f"{who} can't listen on {host} port {port}: {error.strerror}.", hint=hint) from error
    return listener
