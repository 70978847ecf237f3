"""A command line and the service that it talks to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.service import Served, served
from tests.support.command_line import CommandLine


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for all tests; each uses environments of its own names."""
    with served(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def cli(
    api: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    token = tmp_path / "token"
    token.write_text(api.token)
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CALVINVERSE_ADDRESS", api.address)
    monkeypatch.setenv("CALVINVERSE_TOKEN_FILE", str(token))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    return CommandLine(api, capsys)
