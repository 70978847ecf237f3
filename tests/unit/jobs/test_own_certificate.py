"""A certificate of the user's own is checked before the edge gets it: each fault has its sentence."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from environments.domain.errors import InvalidInput
from jobs.own_certificate import OwnCertificate, read_own_certificate
from tests.support.authorities import DAY, MadeAuthority, make_authority

NAME = "calvinverse.example.org"
ROOT = make_authority("root", ends=timedelta(days=100))
BETWEEN = make_authority("between", ends=timedelta(days=50), signed_by=ROOT)
FOREIGN = make_authority("foreign")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What clients pin."""
    file = tmp_path / "root.pem"
    file.write_text(ROOT.pem)
    return file


def read(certificate: Path, root: Path | None, key: Path | None = None) -> OwnCertificate:
    return read_own_certificate(certificate, key or certificate, NAME, datetime.now(UTC), root)


def with_chain(file: Path, *chain: MadeAuthority) -> Path:
    """Appends certificates of authorities."""
    file.write_text(file.read_text() + "".join(authority.pem for authority in chain))
    return file


@pytest.mark.parametrize("names", [(NAME,), ("other.example.org", NAME), ("*.example.org",)])
def test_a_good_one_is_what_clients_need_and_no_more(tmp_path: Path, root: Path, names: tuple[str, ...]) -> None:
    # The root may be there, and the order of what vouches for it doesn't matter.
    own = read(with_chain(BETWEEN.sign(tmp_path / "own.pem", *names), ROOT, BETWEEN), root)
    shown = x509.load_pem_x509_certificates(own.chain.encode())
    assert [found.subject.rfc4514_string() for found in shown] == ["CN=server", "CN=between"]
    assert "PRIVATE" not in own.chain
    assert own.key.startswith("-----BEGIN PRIVATE KEY-----")
    assert own.key.strip() not in repr(own)
    assert own.valid_until == shown[0].not_valid_after_utc


def test_an_own_root_in_the_file_needs_no_other_word(tmp_path: Path) -> None:
    own = read(with_chain(ROOT.sign(tmp_path / "own.pem", NAME), ROOT), None)
    assert own.chain.count("BEGIN CERTIFICATE") == 1


def test_rsa_is_as_good(tmp_path: Path, root: Path) -> None:
    ROOT.sign(tmp_path / "own.pem", NAME, key=rsa.generate_private_key(65537, 2048))
    assert read(tmp_path / "own.pem", root).key


def of(names: tuple[str, ...] = (NAME,), begins: timedelta = -DAY, ends: timedelta = DAY) -> Callable[[Path], object]:
    return lambda file: ROOT.sign(file, *names, begins=begins, ends=ends)


def weak(file: Path) -> None:
    ROOT.sign(file, NAME, key=rsa.generate_private_key(65537, 1024))  # noqa: S505  # that it is weak is the point


def rare(file: Path) -> None:
    ROOT.sign(file, NAME, key=ed25519.Ed25519PrivateKey.generate())


def another_curve(file: Path) -> None:
    ROOT.sign(file, NAME, key=ec.generate_private_key(ec.SECP521R1()))


def gap(file: Path) -> None:
    BETWEEN.sign(file, NAME)


def foreign(file: Path) -> None:
    with_chain(FOREIGN.sign(file, NAME), FOREIGN)


def unrelated(file: Path) -> None:
    with_chain(ROOT.sign(file, NAME), FOREIGN)


def late_chain(file: Path) -> None:
    over = make_authority("over", begins=-2 * DAY, ends=-DAY, signed_by=ROOT)
    with_chain(over.sign(file, NAME), over)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (of(("other.example.org",)), "isn't for calvinverse.example.org: it names other.example.org"),
        (of(("*.calvinverse.example.org", "*.org")), "isn't for calvinverse.example.org"),
        (of(("192.0.2.1",)), "it names no host"),
        (of(begins=-2 * DAY, ends=-DAY), "The certificate CN=server in .* expired on"),
        (of(begins=DAY, ends=2 * DAY), "isn't valid before"),
        (late_chain, "The certificate CN=over in .* expired on"),
        (weak, "has an RSA key of 1024 bits"),
        (rare, "has a key of a kind that not all clients know"),
        (another_curve, "has a key of a kind that not all clients know"),
        (gap, "has a gap: CN=server isn't signed by the authority that you named"),
        (foreign, "has a gap: CN=foreign isn't signed by the authority that you named"),
        (unrelated, "isn't part of the chain: CN=foreign"),
        (lambda file: file.write_text("nothing"), "holds no certificate in PEM"),
        (lambda file: None, "can't be read"),
        (lambda file: file.write_bytes(b"x" * 300_000), "is larger than 256 KiB"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, root: Path, make: Callable[[Path], object], said: str) -> None:
    make(tmp_path / "own.pem")
    with pytest.raises(InvalidInput, match=said) as refused:
        read(tmp_path / "own.pem", root)
    assert refused.value.hint


def test_without_a_named_authority_the_chain_leads_to_one_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="an authority that this machine trusts") as refused:
        read(ROOT.sign(tmp_path / "own.pem", NAME), None)
    assert "--edge-ca" in refused.value.hint


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, root: Path) -> None:
    one, other = ROOT.sign(tmp_path / "one.pem", NAME), ROOT.sign(tmp_path / "other.pem", NAME)
    with pytest.raises(InvalidInput, match="isn't that of the first certificate"):
        read(one, root, other)


def test_an_encrypted_key_is_refused_with_what_to_do(tmp_path: Path, root: Path) -> None:
    one = ROOT.sign(tmp_path / "one.pem", NAME)
    key = load_pem_private_key(one.read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))
    (tmp_path / "key.pem").write_bytes(locked)
    with pytest.raises(InvalidInput, match="is encrypted") as refused:
        read(one, root, tmp_path / "key.pem")
    assert "openssl pkey" in refused.value.hint
    (tmp_path / "key.pem").write_text(ROOT.pem)
    with pytest.raises(InvalidInput, match="holds no private key"):
        read(one, root, tmp_path / "key.pem")


def _damaged(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def damage(der: bytes) -> bytes:
        assert old in der
        return der.replace(old, new)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        # The curve P-256 becomes one that nobody knows, and the version another one.
        _damaged(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")),
        _damaged(bytes.fromhex("a003020102"), bytes.fromhex("a00302016b")),
        # The constraints get the number of the alternative names, which are there already.
        _damaged(bytes.fromhex("0603551d13"), bytes.fromhex("0603551d11")),
    ],
)
def test_a_certificate_that_cannot_be_read_has_a_sentence_too(
    tmp_path: Path, root: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = BETWEEN.sign(tmp_path / "own.pem", NAME)
    (key := tmp_path / "own.key").write_bytes(file.read_bytes())
    leaf = x509.load_pem_x509_certificate(file.read_bytes())
    text = base64.b64encode(damage(leaf.public_bytes(Encoding.DER))).decode()
    file.write_text(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n{BETWEEN.pem}")
    with pytest.raises(InvalidInput):
        read(file, root, key)
