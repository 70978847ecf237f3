"""The certificates with which agents serve: issued before an agent starts, and again after two thirds of their life."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from environments.private_files import write_private
from environments.providers.local_cluster.authority import PartsAuthority

_SECONDS = 2.0
"""Time limit for an agent to show its certificate."""

_UNREADABLE = (OSError, ValueError, x509.InvalidVersion)
"""What reading a certificate raises. Somebody else may listen at the port of an agent, and show anything."""


def ensure_certificate(
    file: Path, authority: PartsAuthority, names: Sequence[str], life: timedelta, now: datetime
) -> bool:
    """Keeps a certificate for these names, and its key, in one PEM file; returns whether it was written.

    It is issued anew when two thirds of its life are over, when it lives longer than `life` says, when it is for
    other names, or when another authority signed it. Raises `MachineError` when the file can't be written.
    """
    current = read_certificate(file)
    if current is not None and not _is_due(current, authority, names, life, now):
        return False
    write_private(file, authority.issue(names, life, now))
    return True


def read_certificate(file: Path) -> x509.Certificate | None:
    """The first certificate in a PEM file; None if there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except _UNREADABLE:
        return None


def served_certificate(address: str, port: int) -> x509.Certificate | None:
    """The certificate that is shown there, whoever signed it; None without an answer. Nothing is sent."""
    try:
        with _connected(address, port) as secured:
            shown = secured.getpeercert(binary_form=True)
        return None if shown is None else x509.load_der_x509_certificate(shown)
    except _UNREADABLE:
        return None


def speaks_plainly(address: str, port: int) -> bool:
    """Whether something listens there that doesn't speak TLS."""
    try:
        with _connected(address, port):
            return False
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return False  # it ended the connection, and said nothing
    except ssl.SSLError:
        return True
    except OSError:
        return False


@contextmanager
def _connected(address: str, port: int) -> Iterator[ssl.SSLSocket]:
    """A connection with whoever listens there, after its handshake. Raises `OSError`."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, port), _SECONDS) as plain, anybody.wrap_socket(plain) as secured:
        yield secured


def _is_due(
    current: x509.Certificate, authority: PartsAuthority, names: Sequence[str], life: timedelta, now: datetime
) -> bool:
    left = current.not_valid_after_utc - now
    return left <= life / 3 or left > life or not authority.signed(current) or _names(current) != sorted(names)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return sorted([*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))])
