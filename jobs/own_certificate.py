"""The user's own certificate for the edge: read from files, and checked before anything is changed."""

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from environments.domain.errors import InvalidInput

LARGEST = 256 * 1024
"""Bytes of a file that are read."""

SHORTEST_RSA = 2048
"""Bits of an RSA key."""

CURVES = ("secp256r1", "secp384r1")
"""Curves of keys that all clients know: P-256 and P-384."""

BROKEN_HASHES = ("md5", "sha1")


@dataclass(frozen=True)
class OwnCertificate:
    """A checked certificate for the edge. `chain` has it, and then those that vouch for it; `key` is its key (PEM)."""

    chain: str
    key: str = field(repr=False)
    valid_until: datetime


def read_own_certificate(
    certificate: Path, key: Path, address: str, now: datetime, authority: Path | None = None
) -> OwnCertificate:
    """A certificate with its chain, and its key, for the edge at the host name `address`.

    `authority` has the certificates that clients pin or trust; without it the chain must lead to an authority that this
    machine trusts, or hold its own root. Raises `InvalidInput` for files that can't be read, a key of another
    certificate, another name, a time that isn't now, a chain with a gap, and keys or signatures that are too weak.
    """
    try:
        return _checked(certificate, key, address, now, authority)
    except _UNREADABLE as error:
        raise InvalidInput(
            f"A certificate in {certificate} is damaged, or of a kind that isn't known here.",
            hint=f"See what it is: `openssl x509 -in {certificate} -noout -text`.",
        ) from error


_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What parts of a certificate raise that are read when they are asked for: its key, its names, its extensions."""


def _checked(certificate: Path, key: Path, address: str, now: datetime, authority: Path | None) -> OwnCertificate:
    found = _certificates(certificate)
    private = _key(key)
    leaf = found[0]
    if _raw(private.public_key()) != _raw(leaf.public_key()):
        raise InvalidInput(
            f"The key in {key} isn't that of the first certificate in {certificate}.",
            hint="Give the key that the certificate was made for, and put the certificate first in its file.",
        )
    _check_names(leaf, certificate, address)
    chain = _chain(found, certificate, () if authority is None else _certificates(authority))
    for one in chain:
        _check_time(one, certificate, now)
        _check_strength(one, certificate)
    _check_use(leaf, certificate)
    # Clients have the root themselves.
    shown = [one for number, one in enumerate(chain) if number == 0 or one.subject != one.issuer]
    return OwnCertificate(
        chain="".join(one.public_bytes(Encoding.PEM).decode() for one in shown),
        key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        valid_until=min(one.not_valid_after_utc for one in chain),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror or error}.", hint="Check its path.") from error
    if len(text) > LARGEST:
        raise InvalidInput(f"{path} is larger than {LARGEST // 1024} KiB.", hint="Give a file in PEM.")
    return text


def _certificates(path: Path) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        raise InvalidInput(
            f"{path} holds no certificate in PEM.", hint="`-----BEGIN CERTIFICATE-----` begins one."
        ) from error


def _key(path: Path) -> PrivateKeyTypes:
    text = _read(path)
    try:
        return load_pem_private_key(text, None)
    except TypeError as error:
        raise InvalidInput(
            f"The key in {path} is encrypted.", hint=f"Decrypt it first: `openssl pkey -in {path} -out …`."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(
            f"{path} holds no private key in PEM that can be read.", hint="`-----BEGIN PRIVATE KEY-----` begins one."
        ) from error


def _raw(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_names(leaf: x509.Certificate, path: Path, address: str) -> None:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    except (x509.ExtensionNotFound, ValueError):
        known = []
    if address not in known and f"*.{address.partition('.')[2]}" not in known:
        told = f"it names {', '.join(known[:10])}" if known else "it names no host"
        raise InvalidInput(
            f"The certificate in {path} isn't for {address}: {told}.",
            hint="Get one for that name, or choose the name with --address. The common name doesn't count.",
        )


def _chain(
    found: Sequence[x509.Certificate], path: Path, named: Sequence[x509.Certificate]
) -> Sequence[x509.Certificate]:
    """The certificates from the first one up to the last that is in the file. Raises `InvalidInput` for a gap."""
    chain, rest = [found[0]], list(found[1:])
    while (issuer := _issuer(chain[-1], rest)) is not None:
        rest.remove(issuer)
        chain.append(issuer)
    top = chain[-1]
    if rest:
        raise InvalidInput(
            f"{path} holds a certificate that isn't part of the chain: {_name(rest[0])}.",
            hint="Put the certificate first, then the one that signed it, and so on; nothing else.",
        )
    authorities = named or _trusted_here(top.issuer)
    if top in authorities or _issuer(top, authorities) is not None or (not named and _signed(top, top)):
        return chain
    where = "the authority that you named" if named else "an authority that this machine trusts"
    raise InvalidInput(
        f"The chain in {path} has a gap: {_name(top)} isn't signed by {where}.",
        hint="Append the certificates that came with it. Name an authority of your own with --edge-ca.",
    )


def _issuer(certificate: x509.Certificate, among: Iterable[x509.Certificate]) -> x509.Certificate | None:
    return next((other for other in among if other != certificate and _signed(certificate, other)), None)


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _trusted_here(name: x509.Name) -> Sequence[x509.Certificate]:
    """The authorities of that name that this machine trusts. Others aren't read: some are older than the rules."""
    wanted = name.public_bytes()
    ders = ssl.create_default_context().get_ca_certs(binary_form=True)
    return [x509.load_der_x509_certificate(der) for der in ders if wanted in der]


def _check_time(one: x509.Certificate, path: Path, now: datetime) -> None:
    if one.not_valid_after_utc <= now:
        raise InvalidInput(
            f"{_subject(one)} in {path} expired on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC.",
            hint="Get a new certificate from its authority.",
        )
    if one.not_valid_before_utc > now:
        raise InvalidInput(
            f"{_subject(one)} in {path} isn't valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.",
            hint="Check the clock of this machine.",
        )


def _check_strength(one: x509.Certificate, path: Path) -> None:
    key = one.public_key()
    weak = ""
    if isinstance(key, rsa.RSAPublicKey):
        weak = f"an RSA key of {key.key_size} bits" if key.key_size < SHORTEST_RSA else ""
    elif not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        weak = "a key of a kind that not all clients know"
    algorithm = one.signature_hash_algorithm
    if not weak and one.subject != one.issuer and algorithm is not None and algorithm.name in BROKEN_HASHES:
        weak = f"a signature with {algorithm.name.upper()}"
    if weak:
        raise InvalidInput(
            f"{_subject(one)} in {path} has {weak}.",
            hint=f"Use RSA with at least {SHORTEST_RSA} bits, P-256 or P-384; and SHA-256 or better to sign.",
        )


def _check_use(leaf: x509.Certificate, path: Path) -> None:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        raise InvalidInput(
            f"{_subject(leaf)} in {path} isn't for servers.", hint="Get one with the extended key usage serverAuth."
        )


def _subject(certificate: x509.Certificate) -> str:
    return f"The certificate {_name(certificate)}"


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a subject"
