"""The authority of the parts: made once, for parts alone; and the certificates that agents get of it."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from environments.domain.errors import MachineError
from environments.providers.local_cluster.agents.certificates import ensure_certificate, read_certificate
from environments.providers.local_cluster.authority import (
    SERVER_NAMES,
    PartsAuthority,
    authority_file,
    authority_key_file,
    keep_authority,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LIFE = timedelta(hours=3)
NAMES = ("consul.calvinverse.internal", "127.0.0.1")


@pytest.fixture
def authority(tmp_path: Path) -> PartsAuthority:
    return keep_authority(tmp_path / "credentials", NOW)


def verify(authority: PartsAuthority, chain: str, name: str, now: datetime = NOW) -> None:
    """As a client with that authority alone does it, for a DNS name."""
    first, *others = x509.load_pem_x509_certificates(chain.encode())
    builder = PolicyBuilder().store(Store([authority.certificate])).time(now)
    builder.build_server_verifier(x509.DNSName(name)).verify(first, others)


def intermediate(authority: PartsAuthority) -> PartsAuthority:
    """An authority below it, as a mount of OpenBao gets one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "below")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    signed = authority.sign_intermediate(request.public_bytes(serialization.Encoding.PEM).decode(), LIFE, NOW)
    return PartsAuthority(x509.load_pem_x509_certificate(signed.encode()), key)


def test_it_is_made_once_and_its_files_are_for_their_owner_alone(tmp_path: Path, authority: PartsAuthority) -> None:
    folder = tmp_path / "credentials"
    again = keep_authority(folder, NOW + timedelta(days=900))
    assert again.pem == authority.pem == authority_file(folder).read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_after_a_crash_in_between_the_same_key_gets_its_certificate(tmp_path: Path, authority: PartsAuthority) -> None:
    folder = tmp_path / "credentials"
    authority_file(folder).unlink()
    again = keep_authority(folder, NOW)
    assert again.certificate.public_key() == authority.certificate.public_key()


def test_a_certificate_without_its_key_is_not_replaced_by_another_one(
    tmp_path: Path, authority: PartsAuthority
) -> None:
    folder = tmp_path / "credentials"
    authority_key_file(folder).unlink()
    with pytest.raises(MachineError, match=r"parts-ca\.key of the authority of the parts is missing"):
        keep_authority(folder, NOW)
    authority_key_file(folder).write_text("no key")
    with pytest.raises(MachineError, match="is damaged"):
        keep_authority(folder, NOW)
    other = keep_authority(tmp_path / "other", NOW)
    authority_key_file(folder).write_bytes(authority_key_file(tmp_path / "other").read_bytes())
    assert other.pem != authority.pem
    with pytest.raises(MachineError, match="doesn't belong to its key"):
        keep_authority(folder, NOW)


def test_a_certificate_is_for_its_names_and_its_time(authority: PartsAuthority) -> None:
    pem = authority.issue(NAMES, LIFE, NOW)
    verify(authority, pem, NAMES[0])
    with pytest.raises(VerificationError):
        verify(authority, pem, "openbao.calvinverse.internal")
    with pytest.raises(VerificationError):
        verify(authority, pem, NAMES[0], NOW + LIFE + timedelta(seconds=1))


@pytest.mark.parametrize("name", [*SERVER_NAMES.values(), "server.dc1.consul", "server.global.nomad"])
def test_what_an_authority_below_it_signs_is_never_for_an_agent(authority: PartsAuthority, name: str) -> None:
    below = intermediate(authority)
    verify(
        authority, below.issue(["service.calvinverse.internal"], LIFE, NOW) + below.pem, "service.calvinverse.internal"
    )
    with pytest.raises(VerificationError):
        verify(authority, below.issue([name], LIFE, NOW) + below.pem, name)


def test_what_is_no_signing_request_is_refused(authority: PartsAuthority) -> None:
    with pytest.raises(ValueError, match="PEM"):
        authority.sign_intermediate("nonsense", LIFE, NOW)


def test_an_agents_certificate_is_kept_until_two_thirds_of_its_life_are_over(
    tmp_path: Path, authority: PartsAuthority
) -> None:
    file = tmp_path / "server.pem"
    assert ensure_certificate(file, authority, NAMES, LIFE, NOW)
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not ensure_certificate(file, authority, NAMES, LIFE, NOW + LIFE * 0.66)
    assert file.read_text() == first
    assert ensure_certificate(file, authority, NAMES, LIFE, NOW + LIFE * 0.67)
    assert file.read_text() != first
    renewed = read_certificate(file)
    assert renewed is not None
    assert renewed.not_valid_after_utc == NOW + LIFE * 1.67


def test_it_is_issued_anew_for_other_names_by_another_authority_and_when_it_lives_too_long(
    tmp_path: Path, authority: PartsAuthority
) -> None:
    file = tmp_path / "server.pem"
    ensure_certificate(file, authority, NAMES, LIFE, NOW)
    assert ensure_certificate(file, authority, (*NAMES, "server.dc1.consul"), LIFE, NOW)
    other = keep_authority(tmp_path / "other", NOW)
    assert ensure_certificate(file, other, NAMES, LIFE, NOW)
    assert ensure_certificate(file, other, NAMES, LIFE / 2, NOW)
    assert not ensure_certificate(file, other, tuple(reversed(NAMES)), LIFE / 2, NOW)
    file.write_text("damaged")
    assert ensure_certificate(file, other, NAMES, LIFE, NOW)
