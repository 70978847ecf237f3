"""The authority of the parts of a local cluster: it signs the certificates of agents, and nothing for environments.

OpenBao's mount `pki` signs what jobs of environments ask for, with any name. So nothing verifies a part with that one:
parts trust this authority alone, whose key no agent and no job can read.

Needs neither a running agent nor a network. Time is passed in.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from environments.domain.errors import MachineError
from environments.kept_files import NotKept, read_kept
from environments.private_files import locked, write_private

AUTHORITY_LIFE = timedelta(days=3653)
CERTIFICATE_LIFE = timedelta(days=30)
"""How long the certificate of a part is valid; it is renewed after two thirds of that."""

SERVER_NAMES = {
    "consul": "consul.calvinverse.internal",
    "openbao": "openbao.calvinverse.internal",
    "nomad": "nomad.calvinverse.internal",
}
"""The name in each agent's certificate, by the name of the agent. No certificate of another part has it."""

_BACKDATED = timedelta(minutes=5)
"""Clocks that run behind by that much accept a new certificate."""

_AGENTS_ALONE = (*SERVER_NAMES.values(), "consul", "nomad")
"""Names below these are for agents: their HTTP interfaces, `server.dc1.consul`, `server.global.nomad`."""


@dataclass(frozen=True)
class PartsAuthority:
    """The authority with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """Its certificate."""
        return _text(self.certificate)

    def issue(self, names: Sequence[str], life: timedelta, now: datetime) -> str:
        """A new key and the certificate for it, in one PEM text: written in one step, they always belong together.

        `names` are host names and IP addresses; the first one is the subject. The certificate is for servers and
        for clients, as the RPC of Consul and Nomad needs both.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(names[0]), self.certificate.subject, key.public_key(), now, life)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(self._identifier(), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _private(key) + _text(certificate)

    def sign_intermediate(self, request: str, life: timedelta, now: datetime) -> str:
        """The certificate (PEM) of an authority below this one, for its signing request (PEM).

        It signs no further authority, and no certificate with a name of an agent. Raises `ValueError` for what is no
        valid request.
        """
        asked = x509.load_pem_x509_csr(request.encode())
        if not asked.is_signature_valid:
            raise ValueError("the signature of the request is wrong")
        excluded = [x509.DNSName(name) for name in _AGENTS_ALONE]
        certificate = (
            _builder(asked.subject, self.certificate.subject, asked.public_key(), now, life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=excluded), critical=True)
            .add_extension(self._identifier(), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _text(certificate)

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether it signed that certificate itself."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


def authority_file(credentials: Path) -> Path:
    """The certificate of the authority (PEM), in the folder `credentials` of a state folder."""
    return credentials / "parts-ca.pem"


def authority_key_file(credentials: Path) -> Path:
    """Its private key (PEM)."""
    return credentials / "parts-ca.key"


def keep_authority(credentials: Path, now: datetime) -> PartsAuthority:
    """The authority of that folder, made now if there is none. Both files are for their owner alone.

    The key is written first: after a crash in between, the next call makes the certificate for it. Raises
    `MachineError` for a file that is damaged, and for a certificate without its key.
    """
    certificate_file, key_file = authority_file(credentials), authority_key_file(credentials)
    with locked(credentials / "parts-ca.lock"):
        if not key_file.exists():
            if certificate_file.exists():
                raise _damaged(key_file, "is missing")
            write_private(key_file, _private(ec.generate_private_key(ec.SECP256R1())))
        key = _read_key(key_file)
        if not certificate_file.exists():
            write_private(certificate_file, _text(_own_certificate(key, now)))
        return PartsAuthority(_read_certificate(certificate_file, key), key)


def _own_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name(f"Calvinverse parts {x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]}")
    return (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_kept(path).encode(), None)
    except (NotKept, ValueError, TypeError) as error:
        raise _damaged(path, "is damaged") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _damaged(path, "holds another kind of key")
    return key


def _read_certificate(path: Path, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(read_kept(path).encode())
    except (NotKept, ValueError) as error:
        raise _damaged(path, "is damaged") from error
    if certificate.public_key() != key.public_key():
        raise _damaged(path, "doesn't belong to its key")
    return certificate


def _damaged(path: Path, fault: str) -> MachineError:
    return MachineError(
        f"The file {path} of the authority of the parts {fault}.",
        hint="Restore it from a copy, or run `doit undeploy --force` and deploy again.",
    )
