"""The TUI says which context it uses, reaches its service as the commands do, and stays with it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tui.app
from environments import named_contexts
from environments.cli.program import run
from environments.client import Client
from environments.named_contexts import NamedContext
from tests.fakes.service import listening, make_service
from tests.support.authorities import make_authority
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import everything
from tui.bars import TopBar


def test_it_uses_the_current_context_and_stays_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = make_authority()
    service = make_service(tmp_path / "service")
    opened: list[tuple[str, Callable[[], Client]]] = []
    state = tmp_path / "state"
    monkeypatch.setenv("CALVINVERSE_STATE", str(state))
    for variable in ("CALVINVERSE_ADDRESS", "CALVINVERSE_TOKEN_FILE", "CALVINVERSE_CONTEXT", "CALVINVERSE_CA_FILE"):
        monkeypatch.delenv(variable, raising=False)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)

    def open_it(connect: Callable[[], Client], where: str) -> None:
        opened.append((where, connect))
        named_contexts.use(state, "test")
        client = connect()
        assert isinstance(client, Client)
        with client:
            assert (client.address, client.info().owner) == (address, "ada")

    monkeypatch.setattr(tui.app, "run", open_it)
    with listening(service, tls=authority.sign(tmp_path / "tls.pem", "calvinverse.localhost")) as loopback:
        address = loopback.replace("127.0.0.1", "calvinverse.localhost")
        token = service.tokens.first_token("ada", "test")
        named_contexts.store(state, "prod", NamedContext(address=address, authority=authority.pem), token)
        named_contexts.store(state, "test", NamedContext(address="https://test.example.org"), "cv_other")
        named_contexts.use(state, "prod")
        assert run(["tui"]) == 0
        assert run(["tui", "--context", "prod"]) == 0
    service.database.close()
    assert [where for where, _ in opened] == ["prod", "prod"]


def test_the_top_line_names_the_context() -> None:
    async def script(driver: Driver) -> None:
        assert driver.app.where in str(driver.screen.query_one(TopBar).render())

    drive(script, everything())
