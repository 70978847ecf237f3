"""What the tests of the image web give to its program: a certificate and variables."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificate() -> tuple[int, str]:
    """The serial number of a self-signed certificate for localhost, and its PEM, followed by that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    return made.serial_number, (made.public_bytes(encoding) + private).decode()


def write_certificate(file: Path) -> None:
    """Writes such a certificate and its key."""
    file.write_text(make_certificate()[1])


def variables(folder: Path, port: int) -> dict[str, str]:
    """The environment that a job gives the service."""
    return {
        "WEB_ADDRESS": "127.0.0.1",
        "WEB_PORT": str(port),
        "WEB_CERTIFICATE_FILE": str(folder / "web.pem"),
        "WEB_KEY_FILE": str(folder / "web.pem"),
        "WEB_MESSAGE_FILE": str(folder / "message"),
        "WEB_SECRET_FILE": str(folder / "secret"),
        "WEB_ENVIRONMENT": "blue",
        "WEB_BRANCH": "feature/<x>",
        "WEB_INSTANCE": "one",
    }
