"""Certificate authorities for tests, and what they sign."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

DAY = timedelta(days=1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
"""Kinds of keys that are certified here."""

_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class MadeAuthority:
    """An authority with its key. `pem` is its certificate."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def context(self) -> ssl.SSLContext:
        """Trusts this authority alone."""
        return ssl.create_default_context(cadata=self.pem)

    def sign(
        self,
        file: Path,
        *names: str,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        key: PrivateKey | None = None,
    ) -> Path:
        """Writes a certificate for host names and addresses, and its key, into one PEM file, in one step."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder("server", self.certificate.subject, key, begins, ends)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        new = file.with_suffix(".new")
        new.write_bytes(_private(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return new.replace(file)

    def sign_request(self, request: str, names: tuple[str, ...], ends: timedelta = DAY) -> str:
        """A certificate for these names and the key of a certificate request, with the authority's own (PEM)."""
        key = x509.load_pem_x509_csr(request.encode()).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificate = (
            _builder("an entry point", self.certificate.subject, key, -DAY, ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode() + self.pem


def make_authority(
    name: str = "an authority",
    *,
    begins: timedelta = -DAY,
    ends: timedelta = DAY,
    signed_by: MadeAuthority | None = None,
) -> MadeAuthority:
    """An authority, signed by itself or by another one; `begins` and `ends` count from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name(name) if signed_by is None else signed_by.certificate.subject
    certificate = (
        _builder(name, issuer, key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNS, critical=True)
        .sign(key if signed_by is None else signed_by.key, hashes.SHA256())
    )
    return MadeAuthority(certificate, key)


def _builder(
    name: str, issuer: x509.Name, key: PrivateKey | ec.EllipticCurvePublicKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key if isinstance(key, ec.EllipticCurvePublicKey) else key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: PrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
