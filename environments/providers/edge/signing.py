"""Signs what the edge asks for: it makes the key itself, and sends a certificate request only."""

from collections.abc import Collection

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from environments.domain.errors import InvalidInput
from environments.providers.edge.certificates import check_role, role_name
from environments.providers.vault.ports import CertificateAuthority
from environments.steps.base import Clock, Owner
from environments.steps.entry_points import SignedCertificate


class EdgeCertificates:
    """Implements `environments.steps.entry_points.EntryCertificates`."""

    def __init__(self, authority: CertificateAuthority, clock: Clock) -> None:
        self._authority = authority
        self._clock = clock

    def authority(self) -> str:
        """See `EntryCertificates`."""
        return self._authority.chain()

    def sign(self, owner: Owner, names: Collection[str], request: str) -> SignedCertificate:
        """See `EntryCertificates`."""
        check_role(self._authority, owner)
        chain = self._authority.sign(role_name(owner.name), _checked(request), names)
        leaf = x509.load_pem_x509_certificate(chain.encode())
        return SignedCertificate(chain, (leaf.not_valid_after_utc - self._clock()).total_seconds())


def _checked(request: str) -> str:
    """The request alone (PEM). Raises `InvalidInput` unless it is signed by a key on the curve P-256."""
    try:
        read = x509.load_pem_x509_csr(request.encode())
        key = read.public_key()
        fits = read.is_signature_valid and isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    except ValueError:
        fits = False
    if not fits:
        raise InvalidInput("This is no certificate request with a key on the curve P-256.")
    return read.public_bytes(Encoding.PEM).decode()
