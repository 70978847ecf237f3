"""The file that says where the cluster is: what is wrong with it is told by line or key, without values."""

from pathlib import Path

import pytest

from environments.domain.errors import MachineError
from environments.providers.backend.connections import Connections


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
        (b'{"consul": "\xff"}', "it is not UTF-8"),
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
