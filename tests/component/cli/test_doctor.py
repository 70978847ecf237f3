"""What `calvinverse doctor` says of the service: whether one is there comes first, then whether it knows the caller."""

from pathlib import Path

import pytest

from environments.cli.program import run
from environments.context import Context, write_context
from images import machine
from tests.support.command_line import CommandLine
from tests.support.service_process import free_port


@pytest.fixture(autouse=True)
def _well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "examine", lambda deployed: [machine.Check("docker", "ok", "It answers.")])


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where nothing listens, as the command line finds it without any token."""
    found = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path))
    monkeypatch.setenv("CALVINVERSE_ADDRESS", found)
    monkeypatch.delenv("CALVINVERSE_TOKEN_FILE", raising=False)
    return found


def test_a_machine_without_a_service_is_told_how_to_start_one(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert f"The service at {address} can't be reached." in said
    assert "! warning" in said
    assert "→ Start it with `calvinverse serve` or `doit deploy`" in said
    assert "token" not in said


def test_a_service_that_was_there_is_missed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CALVINVERSE_ADDRESS")
    write_context(tmp_path, Context(address=address, token_file=tmp_path / "gone"))
    assert run(["doctor"]) == 9
    said = capsys.readouterr().out
    assert f"The service at {address} can't be reached." in said
    assert "✗ wrong" in said


def test_a_service_that_answers_wants_a_token(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALVINVERSE_TOKEN_FILE")
    ended = cli("doctor")
    assert ended.status == 9
    assert f"There is no token for the service at {cli.api.address}." in ended.out
    assert "--token-file" in ended.out
