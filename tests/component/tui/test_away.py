"""The service comes and goes; the TUI says so, keeps what it knows, and goes on by itself."""

import threading
import time

from environments.client import Client
from environments.domain.environment import EventType
from environments.domain.errors import ServiceUnavailable, Unauthenticated
from environments.domain.lifecycle import State
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive, until
from tests.support.tui_scenes import clock, everything
from tests.support.views import environment_view
from tui import live
from tui.app import CalvinverseApp
from tui.bars import AwayBanner
from tui.create import CreateScreen
from tui.environment_list import ListScreen
from tui.fields import FormField


def test_away_says_why_since_when_and_keeps_what_is_known() -> None:
    async def script(driver: Driver) -> None:
        driver.client.go_away()
        await driver.until(lambda: driver.screen.query_one(AwayBanner).display, "the banner")
        banner = driver.static("#away")
        assert "The service at http://127.0.0.1:8400 can't be reached." in banner
        assert "Away since 10:00:00" in banner
        assert "retrying" in banner
        assert "may have changed" in banner
        assert "✗ away" in driver.text()
        assert "checkout-fix" in driver.text()

    drive(script, everything())


def test_it_recovers_by_itself_and_shows_what_happened_meanwhile() -> None:
    async def script(driver: Driver) -> None:
        driver.client.go_away()
        await driver.until(lambda: driver.app.connection.away, "being away")
        driver.client.put(environment_view("meanwhile", State.READY))
        driver.client.come_back()
        await driver.until_text("meanwhile")
        assert not driver.screen.query_one(AwayBanner).display
        assert "The service is back." in driver.said()

    drive(script, everything())


def test_actions_answer_while_it_is_away() -> None:
    async def script(driver: Driver) -> None:
        driver.client.go_away()
        await driver.until(lambda: driver.app.connection.away, "being away")
        await driver.press("D")
        assert isinstance(driver.screen, ListScreen)
        assert driver.said()[-1].startswith(
            "There is no connection (The service at http://127.0.0.1:8400 can't be reached)"
        )
        await driver.press("d")
        await driver.until(lambda: "branch-418" in driver.static("#header"), "the detail")
        assert "(as last heard)" in driver.static("#header")

    drive(script, everything())


def test_a_form_waits_for_the_service_and_sends_nothing_while_it_is_away() -> None:
    async def script(driver: Driver) -> None:
        driver.client.go_away()
        await driver.until(lambda: driver.app.connection.away, "being away")
        await driver.press("c")
        await driver.until_screen(CreateScreen)
        await driver.until_text("can't be reached")
        driver.client.come_back()
        await driver.until(lambda: len(driver.screen.query(FormField)) == 7, "the fields")
        driver.app.draft.name = "kept"
        driver.client.go_away()
        await driver.until(lambda: driver.app.connection.away, "being away")
        fields = {found.key: found for found in driver.screen.query(FormField)}
        fields["name"].control().value = "kept"
        fields["parameter.branch"].control().value = "main"
        await driver.pilot.pause()
        await driver.press("ctrl+s")
        await driver.until(lambda: "What you typed is kept." in driver.static("#problem"), "the word")
        assert fields["name"].value == "kept"
        assert not [call for call in driver.client.calls if call[0] == "create"]

    drive(script, everything(), size=(100, 40))


def test_a_fault_of_the_service_is_told_though_events_flow() -> None:
    async def script(driver: Driver) -> None:
        driver.client.away = ServiceUnavailable("The database is locked.")
        driver.client.tell(EventType.ENVIRONMENT_STATE, "shop")
        await driver.until(lambda: driver.app.connection.away, "being away")
        assert "The database is locked." in driver.static("#away")
        driver.client.away = None
        await driver.until(lambda: driver.app.connection.here, "its return")

    live.RECONNECT, before = 0.05, live.RECONNECT
    try:
        drive(script, everything())
    finally:
        live.RECONNECT = before


def test_without_a_token_it_says_so_and_connects_once_there_is_one() -> None:
    import asyncio

    client = everything()
    ready = threading.Event()

    def connect() -> Client:
        if not ready.is_set():
            raise Unauthenticated("There is no token for the service.")
        return client

    async def run() -> None:
        app = CalvinverseApp(connect, clock=clock(), make_key=lambda: "key", where="meta", animate=False)
        async with app.run_test(size=(90, 24), notifications=True) as pilot:
            await until(pilot, lambda: app.connection.away, "the refusal")
            assert "There is no token" in app.why_unavailable()  # type: ignore[operator]  # it is away
            ready.set()
            await until(pilot, lambda: app.connection.here, "the connection")
            assert len(app.known) == 8

    live.RECONNECT, before = 0.05, live.RECONNECT
    try:
        asyncio.run(run())
    finally:
        live.RECONNECT = before


def test_a_service_that_moved_is_followed() -> None:
    import asyncio

    old = everything()
    new = InProcessClient(environment_view("at-the-new-place"), address="http://127.0.0.1:9999")
    current: list[Client] = [old]

    async def run() -> None:
        app = CalvinverseApp(lambda: current[0], clock=clock(), make_key=lambda: "key", animate=False)
        async with app.run_test(size=(90, 24), notifications=True) as pilot:
            await until(pilot, lambda: app.connection.here, "the connection")
            current[0] = new
            old.go_away()
            await until(
                pilot, lambda: [view.name for view in app.known.values()] == ["at-the-new-place"], "the new one"
            )

    asyncio.run(run())


def test_leaving_does_not_wait_for_a_call_that_hangs() -> None:
    hanging, let_go = threading.Event(), threading.Event()

    class Hanging(InProcessClient):
        def retry(self, name: str) -> None:  # type: ignore[override]  # it never answers
            hanging.set()
            let_go.wait(60)

    client = Hanging(*everything().views.values())
    started = 0.0

    async def script(driver: Driver) -> None:
        nonlocal started
        await driver.press("slash")
        await driver.write("shop")
        await driver.press("enter", "r")
        await driver.until(hanging.is_set, "the call")
        started = time.monotonic()

    drive(script, client)
    assert time.monotonic() - started < 30
    let_go.set()


def test_a_second_that_passes_while_it_ends_shows_nothing() -> None:
    apps: list[CalvinverseApp] = []

    async def script(driver: Driver) -> None:
        apps.append(driver.app)

    drive(script, everything())
    assert apps[0].screen_stack == []
    apps[0].tick()
