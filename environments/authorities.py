"""Certificate authorities that a context pins: read from PEM, checked, and named by their fingerprints."""

import hashlib
import re
import ssl
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from environments.domain.errors import InvalidInput

if TYPE_CHECKING:
    from cryptography import x509

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_LARGEST = 256 * 1024
"""Bytes of a file of authorities that are read."""


class PinnedAuthority(NamedTuple):
    """The authority (PEM, one or more certificates) that must have signed a service's certificate.

    `context` is the name of the context that pins it.
    """

    pem: str
    context: str


class Authority(NamedTuple):
    """One certificate of an authority. `fingerprint`: SHA-256, as `openssl x509 -fingerprint -sha256` writes it."""

    subject: str
    fingerprint: str
    valid_from: datetime
    valid_until: datetime


def fingerprints(pem: str) -> list[str]:
    """The fingerprint of each certificate, SHA-256 in hexadecimal with colons."""
    return [_fingerprint(ssl.PEM_cert_to_DER_cert(block)) for block in _BLOCK.findall(pem)]


def read_authorities(pem: str) -> list[Authority]:
    """The certificates of a checked PEM text. Raises `InvalidInput` for what can't be read."""
    return [_authority(certificate) for certificate in _certificates(pem, "The pinned authority")]


def read_authority_file(path: Path, now: datetime) -> str:
    """The authorities in a PEM file: their certificates and nothing else.

    Raises `InvalidInput` for a file that can't be read or has none, for a private key, for a certificate that isn't an
    authority's, and for one that isn't valid at `now`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1).decode("ascii")
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror or error}.", hint="Check its path.") from error
    except UnicodeDecodeError as error:
        raise _no_authority(str(path)) from error
    if len(text) > _LARGEST:
        raise _no_authority(str(path))
    return check_authorities(text, str(path), now)


def check_authorities(text: str, where: str, now: datetime) -> str:
    """Likewise for a text; `where` names its source in errors."""
    if "PRIVATE KEY" in text:
        raise InvalidInput(
            f"{where} holds a private key.", hint="Give a file that holds only the certificate of the authority."
        )
    for certificate in _certificates(text, where):
        found = _authority(certificate)
        if not _signs(certificate):
            raise InvalidInput(
                f"{where} holds a certificate that isn't an authority's: {found.subject}.",
                hint="Give the certificate of the authority that signed it.",
            )
        if found.valid_until <= now:
            raise InvalidInput(
                f"The authority {found.subject} in {where} expired on {found.valid_until:%Y-%m-%d}.",
                hint="Ask the operator of the service for the present one.",
            )
        if found.valid_from > now:
            raise InvalidInput(
                f"The authority {found.subject} in {where} isn't valid before {found.valid_from:%Y-%m-%d %H:%M} UTC.",
                hint="Check the clock of this machine.",
            )
    return "".join(f"{block}\n" for block in _BLOCK.findall(text))


def _certificates(text: str, where: str) -> "list[x509.Certificate]":
    from cryptography import x509  # loaded only when somebody adds or shows an authority

    blocks = _BLOCK.findall(text)
    if not blocks:
        raise _no_authority(where)
    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError as error:
        raise _no_authority(where) from error


def _no_authority(where: str) -> InvalidInput:
    return InvalidInput(f"{where} holds no certificate in PEM.", hint="`-----BEGIN CERTIFICATE-----` begins one.")


def _authority(certificate: "x509.Certificate") -> Authority:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Authority(
        certificate.subject.rfc4514_string() or "without a subject",
        _fingerprint(certificate.public_bytes(Encoding.DER)),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _signs(certificate: "x509.Certificate") -> bool:
    """Whether it may sign others, or at least itself, as the certificate of a server without an authority does."""
    from cryptography import x509

    if certificate.subject == certificate.issuer:
        return True
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).digest().hex(":").upper()


def expired(pem: str, now: datetime) -> Authority | None:
    """The first authority that has expired at `now`; None if all are valid."""
    return next((found for found in read_authorities(pem) if found.valid_until <= now), None)
