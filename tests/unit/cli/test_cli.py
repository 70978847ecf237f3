"""The tree of commands: its help, its examples and its exit statuses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from environments.actions import registry
from environments.actions.action import Risk
from environments.cli.failures import EXIT_STATUSES
from environments.cli.program import build, run
from environments.domain.errors import all_errors
from environments.exit_statuses import exit_status
from tests.fakes.service import FakeService, Served, served


@dataclass
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its data."""
        return json.loads(self.out)


@dataclass
class CommandLine:
    """Runs commands against a service."""

    api: Served
    capture: pytest.CaptureFixture[str]

    @property
    def service(self) -> FakeService:
        """The service behind."""
        return self.api.service

    def __call__(self, *arguments: str) -> Result:
        self.capture.readouterr()
        status = run(arguments)
        return Result(status, *self.capture.readouterr())


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


# --- the tree of commands ---------------------------------------------------------------------------------------------


def tree() -> dict[tuple[str, ...], Any]:
    """Every command by its path."""
    found: dict[tuple[str, ...], Any] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*path, name))
        if not hasattr(command, "commands"):
            found[path] = command

    walk(typer.main.get_command(build()), ())
    return found


def test_the_commands_are_those_of_the_registry() -> None:
    assert set(tree()) == {action.command for action in registry.commands()}


@pytest.mark.parametrize("path", sorted(tree()))
def test_each_help_says_what_it_does_and_how_it_is_used(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*path, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    action = registry.for_command(*path)
    assert action.help in shown
    assert f"Examples: calvinverse {' '.join(path)}" in shown
    assert ("Destructive" in shown) == (action.risk is Risk.DESTRUCTIVE)
    assert "--output" in shown


def test_every_exit_status_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    assert {exit_status(cls) for cls in all_errors()} <= set(EXIT_STATUSES)
    run(["--help"])
    shown = capsys.readouterr().out
    for status, meaning in EXIT_STATUSES.items():
        assert f"{status}  {meaning}" in shown
