"""The TUI over HTTP, with a real service that has no cluster: create, failure with a hint, restart, destroy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from environments.client import connect
from environments.context import Context
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.moments import local_zone
from tests.support.service_process import ServiceProcess
from tests.support.tui_driver import until
from tui.app import CalvinverseApp
from tui.clock import Clock, utc_now
from tui.create import CreateScreen
from tui.dialogs import DestroyDialog
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.fields import FormField

WEB = Path(__file__).parents[2] / "environments" / "templates" / "web"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path / "state")
    running.start()
    files = {str(path.relative_to(WEB)): path.read_bytes() for path in WEB.rglob("*") if path.is_file()}
    running.client.push(make_bundle(files))
    yield running
    running.stop()


def test_a_life_without_a_cluster(service: ServiceProcess) -> None:
    token = service.state / "service" / "token"

    async def run() -> None:
        app = CalvinverseApp(
            lambda: connect(Context(address=service.address, token_file=token)),
            clock=Clock(now=utc_now, zone=local_zone()),
            make_key=lambda: "one-key",
            animate=False,
        )
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until(pilot, lambda: app.connection.here, "the service")
            await pilot.press("c")
            await until(pilot, lambda: isinstance(app.screen, CreateScreen) and app.screen.query(FormField), "the form")
            name = next(found for found in app.screen.query(FormField) if found.key == "name")
            name.query_one(Input).value = "lonely"
            await pilot.pause()
            await pilot.press("ctrl+s")
            await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the detail")
            await until(pilot, lambda: _state(app, "lonely") is State.FAILED, "the failure")
            view = next(iter(app.known.values()))
            assert view.failure is not None
            assert view.failure.hint

            service.kill()
            await until(pilot, lambda: app.connection.away, "being away")
            service.start()
            await until(pilot, lambda: app.connection.here, "its return")

            await pilot.press("D")
            await until(pilot, lambda: isinstance(app.screen, DestroyDialog), "the question")
            await pilot.press(*"lonely", "enter")
            # Without a cluster nobody can look whether something is left, so it isn't called destroyed.
            await until(pilot, lambda: _state(app, "lonely") is State.DESTROY_FAILED, "the attempt")
            assert next(iter(app.known.values())).destroy_again_at is not None
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, ListScreen), "the list")

    asyncio.run(run())


def _state(app: CalvinverseApp, name: str) -> State | None:
    return next((view.state for view in app.known.values() if view.name == name), None)
