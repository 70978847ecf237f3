"""The key that signs images, in a real OpenBao: who made what, and that nobody else can say so."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.errors import BackendDenied, BackendError
from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust.cluster import Trust
from images.catalogue.attestation import BuildFacts, encode, envelope, statement, subjects, verify
from images.catalogue.transit import KEY, MOUNT, TransitSigner, find_signer
from images.errors import (
    ImageMismatch,
    ImageSignerUnknown,
    ImageTampered,
    ImageUnsigned,
    SignerUnavailable,
)
from tests.fakes.signer import MemorySigner
from tests.support.cluster import Cluster

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
MADE = BuildFacts(
    image="web",
    name="calvinverse/web",
    reference="calvinverse/web:0123456789ab",
    image_id="sha256:" + "ab" * 32,
    build="20261101T120000-0123456789ab-0f0f",
    key="0123456789ab",
    version="0.1.0",
    started=NOON,
    finished=NOON,
    files={"packages.tsv": "1" * 64},
)
ABOUT = subjects(MADE.name, MADE.image_id, MADE.files)
PAYLOAD = encode(statement(MADE))


@pytest.fixture(scope="module")
def vault(cluster: Cluster) -> Iterator[Caller]:
    """The admin's; afterwards there is a new mount with a new key, as the trust makes them."""
    vault = cluster.connections.caller("vault")
    yield vault
    vault.call("DELETE", f"/v1/sys/mounts/{MOUNT}")
    Trust(cluster.connections).apply()


@pytest.fixture(scope="module")
def signer(cluster: Cluster, vault: Caller) -> TransitSigner:
    return find_signer(cluster.state, {}).required()


@pytest.fixture(scope="module")
def signed(signer: TransitSigner) -> str:
    return envelope(PAYLOAD, signer)


def test_what_it_signed_holds(signer: TransitSigner, signed: str) -> None:
    found = verify(signed, signer.public_keys(), ABOUT)
    assert found.statement == statement(MADE)
    assert json.loads(signed)["signatures"][0]["keyid"] == found.keyid


def test_what_was_changed_or_is_of_something_else_does_not(signer: TransitSigner, signed: str) -> None:
    keys = signer.public_keys()
    payload = json.loads(signed)
    payload["payload"] = base64.b64encode(PAYLOAD.replace(b"ab" * 32, b"cd" * 32)).decode()
    with pytest.raises(ImageTampered):
        verify(json.dumps(payload), keys, ABOUT)
    with pytest.raises(ImageMismatch):
        verify(signed, keys, ABOUT | {"packages.tsv": "2" * 64})
    with pytest.raises(ImageUnsigned):
        verify(envelope(PAYLOAD, None), keys, ABOUT)
    with pytest.raises(ImageSignerUnknown):
        verify(envelope(PAYLOAD, MemorySigner()), keys, ABOUT)
    with pytest.raises(ImageSignerUnknown):
        verify(signed, MemorySigner().public_keys(), ABOUT)


def test_after_a_rotation_old_and_new_signatures_hold(signer: TransitSigner, vault: Caller, signed: str) -> None:
    before = signer.public_keys()
    vault.call("POST", f"/v1/{MOUNT}/keys/{KEY}/rotate")
    again = envelope(PAYLOAD, signer)
    now = signer.public_keys()
    assert set(before) < set(now)
    assert verify(signed, now, ABOUT).keyid in before
    assert verify(again, now, ABOUT).keyid not in before
    with pytest.raises(ImageSignerUnknown):
        verify(again, before, ABOUT)


def test_the_key_never_leaves(vault: Caller) -> None:
    with pytest.raises(BackendError):
        vault.call("GET", f"/v1/{MOUNT}/export/signing-key/{KEY}")
    with pytest.raises(BackendError):
        vault.call("GET", f"/v1/{MOUNT}/backup/{KEY}")


def test_without_its_token_or_with_another_nobody_signs(cluster: Cluster, vault: Caller, tmp_path: Path) -> None:
    vault_endpoint = cluster.connections.endpoint("vault")
    where = {"address": vault_endpoint.address, "ca_file": str(vault_endpoint.ca_file)}
    where["server_name"] = vault_endpoint.server_name
    made = vault.call("POST", "/v1/auth/token/create", {"policies": ["default"], "ttl": "60s"})
    (tmp_path / "token").write_text(made["auth"]["client_token"])
    document = {"vault": {**where, "authentication": {"token_file": "token"}}}
    (tmp_path / "connections.json").write_text(json.dumps(document))
    found = find_signer(tmp_path, {})
    assert found.signer is None
    assert "denies the use of" in found.reason
    with pytest.raises(BackendDenied):
        Caller("vault", vault_endpoint.address, ca_file=vault_endpoint.ca_file).call(
            "POST", f"/v1/{MOUNT}/sign/{KEY}", {"input": ""}
        )


@pytest.mark.parametrize("path", [f"/v1/{MOUNT}/keys/{KEY}", f"/v1/sys/mounts/{MOUNT}"])
def test_a_cluster_of_others_may_do_without_and_is_told(
    cluster: Cluster, vault: Caller, signer: TransitSigner, path: str
) -> None:
    trust = Trust(cluster.connections)
    vault.call("POST", f"/v1/{MOUNT}/keys/{KEY}/config", {"deletion_allowed": True})
    vault.call("DELETE", path)

    said: list[str] = []
    assert trust.establish((), log=said.append) == []
    assert any(f"lacks the key {KEY}" in line and "stay unsigned" in line for line in said)
    assert all(fault.optional for fault in trust.verify())
    reason = find_signer(cluster.state, {}).reason
    assert f"has no key {MOUNT}/{KEY}" in reason
    with pytest.raises(SignerUnavailable):
        envelope(PAYLOAD, signer)

    assert trust.establish(["vault"]) == []
    assert trust.verify() == []
    again = envelope(PAYLOAD, signer)
    assert json.loads(again)["signatures"][0]["keyid"] == verify(again, signer.public_keys(), ABOUT).keyid


def test_a_key_that_could_leave_is_not_ours(cluster: Cluster, vault: Caller) -> None:
    vault.call("POST", f"/v1/{MOUNT}/keys/{KEY}/config", {"exportable": True})
    (fault,) = Trust(cluster.connections).verify()
    assert fault.what.startswith(f"the key {KEY}")
