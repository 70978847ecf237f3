"""The file that says where the cluster is: what is wrong with it is told by line or key, without values."""

import json
from pathlib import Path

import pytest

from environments.domain.errors import MachineError, UnsafeAddress
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.local_cluster.agents.host import LocalCluster


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{\n  "consul": {"address" "secret"}\n}', "line 2, column 24: expecting ':' delimiter"),
        (b"", "line 1, column 1: expecting value"),
        (b"[]", "it must be an object"),
        (b'{"consul": "secret"}', "consul: it must be an object"),
        (b'{"consul": {"address": "secret"}}', "consul.authentication: it is missing"),
        (
            b'{"nomad": {"address": 1, "authentication": {"token_file": "secret"}}, "vualt": {}}',
            "nomad.address: it must be a text; vualt: there is no such key",
        ),
        (
            b'{"vault": {"address": "a", "authentication": {"jwt_file": "secret"}}}',
            "vault.authentication.method: it is missing",
        ),
        (
            b'{"vault": {"address": "a", "authentication": {"token_flie": "secret"}}}',
            "vault.authentication.token_file: it is missing; vault.authentication.token_flie: there is no such key",
        ),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_a_file_without_connections_says_why(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "connections.json"
    path.write_bytes(content)
    with pytest.raises(MachineError) as caught:
        Connections.load(path)
    assert caught.value.message == f"The file {path} doesn't hold connections: {told}."
    assert "secret" not in caught.value.message
    assert (caught.value.hint or "").startswith("Correct it")
    assert Connections.kept(path) == Connections()


def test_a_file_that_is_no_text_says_why(tmp_path: Path) -> None:
    path = tmp_path / "connections.json"
    path.write_bytes(b'{"consul": "\xff"}')
    with pytest.raises(MachineError, match=r"connections\.json: it isn't UTF-8\."):
        Connections.load(path)
    assert Connections.kept(path) == Connections()


@pytest.mark.parametrize(
    "address", ["http://consul.example:8500", "HTTP://192.0.2.1:8500", "http://[2001:db8::1]:8500"]
)
def test_plain_http_beyond_loopback_is_refused(tmp_path: Path, address: str) -> None:
    path = tmp_path / "connections.json"
    path.write_text(json.dumps({"consul": {"address": address, "authentication": {"token_file": "token"}}}))
    with pytest.raises(MachineError, match=r"consul\.address: over plain HTTP beyond loopback, tokens could be"):
        Connections.load(path)
    with pytest.raises(UnsafeAddress, match="is not used: over plain HTTP") as refused:
        LocalCluster(tmp_path).adopt("consul", address, str(tmp_path / "token"), "")
    assert "https:// address" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "address", ["https://consul.example:8501", "http://127.0.0.1:8500", "http://[::1]:8500", "http://localhost:8500"]
)
def test_tls_and_loopback_are_used_as_they_are(address: str, tmp_path: Path) -> None:
    assert Endpoint(address=address, authentication=TokenFile(token_file=tmp_path / "token")).address == address


def test_a_folder_that_was_moved_has_its_connections_still(tmp_path: Path) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere.token"
    inside = Endpoint(
        address="https://127.0.0.1:8500",
        authentication=TokenFile(token_file=state / "credentials" / "consul.token"),
        ca_file=state / "credentials" / "authority.pem",
    )
    outside = Endpoint(address="https://nomad.example:4646", authentication=TokenFile(token_file=elsewhere))
    Connections(consul=inside, nomad=outside).save(state / "connections.json")
    assert str(state) not in (state / "connections.json").read_text()
    moved = Connections.load(state.rename(tmp_path / "moved") / "connections.json")
    assert moved.consul is not None
    assert moved.consul.ca_file == tmp_path / "moved" / "credentials" / "authority.pem"
    assert moved.consul.authentication == TokenFile(token_file=tmp_path / "moved" / "credentials" / "consul.token")
    assert moved.nomad == outside
