"""One environment: as it happens, with secrets kept back and a log that can be read."""

import asyncio
from datetime import timedelta

import pytest

from environments.domain.environment import EventType
from environments.domain.lifecycle import DeploymentState, State, StepState
from environments.wire.environments import OutputView
from tests.fakes.plans import NOW
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import URL, deploying, everything, ready
from tests.support.views import WEB, environment_id
from tui import environment_detail, log
from tui.dialogs import RevealDialog
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.log import LogPanel


async def _closed(driver: Driver) -> None:
    await driver.app.pop_screen()


async def _open(driver: Driver, name: str) -> None:
    driver.app.open_detail(next(view for view in driver.app.known.values() if view.name == name))
    await driver.until_screen(DetailScreen)


def test_steps_resources_and_log_are_shown_and_follow_what_happens() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "branch-418")
        await driver.until_text("◐ running app")
        await driver.until_text("◌ intended")
        await driver.until_text("Registered the job web")
        view = deploying()
        assert view.deployment is not None
        steps = [
            step.model_copy(update={"state": StepState.DONE, "started_at": NOW, "ended_at": NOW + timedelta(seconds=2)})
            for step in view.deployment.steps
        ]
        deployment = view.deployment.model_copy(update={"steps": tuple(steps), "state": DeploymentState.SUCCEEDED})
        driver.client.put(
            view.model_copy(
                update={"state": State.READY, "deployment": deployment, "outputs": {"url": OutputView(value=URL)}}
            )
        )
        driver.client.tell(EventType.LOG, "branch-418", "GET /health answered 200", step="answers")
        driver.client.tell(EventType.ENVIRONMENT_STATE, "branch-418", data={"state": "ready"})
        await driver.until_text("create ✓ succeeded, 5 of 5")
        await driver.until_text(URL)
        await driver.until_text("GET /health answered 200")

    drive(script, everything(), size=(120, 40))


def test_seconds_pass_while_it_is_opened_and_closed() -> None:
    async def script(driver: Driver) -> None:
        app = driver.app
        view = next(view for view in app.known.values() if view.name == "branch-418")
        for _ in range(3):
            app.open_detail(view)
            screen = app.screen
            assert isinstance(screen, DetailScreen)
            while not screen.is_drawn:
                app.tick()
                await asyncio.sleep(0)
            app.tick()
            closed = asyncio.ensure_future(_closed(driver))
            while not closed.done():
                app.tick()
                await asyncio.sleep(0)

    drive(script, everything())


def test_the_deadline_has_its_zone_and_a_failure_its_hint() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "shop")
        header = driver.static("#header")
        assert "Wed 25 Nov 13:00 CET" in header
        assert "the task exited with 1" in header
        assert "fix the cause" in header
        assert "✗ failed" in header

    drive(script, everything())


def test_secrets_stay_masked_until_somebody_says_yes_and_are_forgotten_after() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.until_text("••••••••")
        await driver.press("v")
        await driver.until_screen(RevealDialog)
        await driver.press("enter")  # the careful answer has the focus
        await driver.until_screen(DetailScreen)
        assert "correct horse" not in driver.text()
        await driver.press("v")
        await driver.until_screen(RevealDialog)
        await driver.press("shift+tab", "enter")
        await driver.until_text("correct horse")
        await driver.press("escape")
        await driver.until_screen(ListScreen)
        await _open(driver, "checkout-fix")
        await driver.until_text("••••••••")
        assert "correct horse" not in driver.text()

    drive(script, everything())


def test_the_log_pauses_when_scrolled_up_and_follows_again() -> None:
    async def script(driver: Driver) -> None:
        for number in range(200):
            driver.client.tell(EventType.LOG, "checkout-fix", f"line {number}", step="app")
        await _open(driver, "checkout-fix")
        await driver.press("l")
        log = driver.screen.query_one(LogPanel)
        await driver.until_text("line 199")
        await driver.press("pageup")
        await driver.until(lambda: not log.following, "the pause")
        top = log.scroll_offset.y
        driver.client.tell(EventType.LOG, "checkout-fix", "line 200", step="app")
        await driver.until(lambda: log.last == len(driver.client.stored), "the line")
        assert log.scroll_offset.y == top
        assert "line 200" not in driver.text()
        await driver.press("f")
        await driver.until_text("line 200")
        assert log.following

    drive(script, everything(), size=(80, 24))


def test_each_event_is_written_once_though_it_comes_from_store_and_stream() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        for number in range(30):
            driver.client.tell(EventType.LOG, "checkout-fix", f"unique-{number:02}", step="app")
        await driver.press("l")
        await driver.until_text("unique-29")
        log = driver.screen.query_one(LogPanel)
        written = [one.text for one in log._entries if one.text.startswith("unique")]
        assert written == [f"unique-{number:02}" for number in range(30)]

    drive(script, everything(), size=(80, 50))


def test_logs_from_the_list_open_over_the_whole_screen() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("l")
        await driver.until_screen(DetailScreen)
        await driver.until_text("Registered the job web")
        assert not driver.screen.query_one("#facts").display
        await driver.press("l")
        assert driver.screen.query_one("#facts").display

    drive(script, everything(), size=(80, 24))


def test_it_says_when_the_environment_is_gone() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        driver.client.put(
            ready().model_copy(update={"state": State.DESTROYED, "destroyed_at": NOW, "state_since": NOW})
        )
        driver.client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "destroyed"})
        await driver.until_text("○ destroyed")

    drive(script, everything())


def test_what_it_was_made_with_is_shown() -> None:
    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        assert "replicas  1" in driver.static("#parameters")
        assert "branch    main" in driver.static("#parameters")

    drive(script, everything())


def test_a_newer_version_of_the_template_is_told_and_goes_with_the_update() -> None:
    client = everything()
    newer = client.push_template(WEB.replace('version = "1"', 'version = "7"'))

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.until(lambda: "newest: 7" in driver.static("#header"), "the newer version")
        view = driver.app.known[environment_id("checkout-fix")]
        driver.client.put(view.model_copy(update={"bundle": newer, "template_version": "7"}))
        driver.client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
        await driver.until(lambda: "newest" not in driver.static("#header"), "the header without it")

    drive(script, client)


@pytest.mark.parametrize("log_only", [True, False])
def test_the_log_is_at_its_end_when_it_opens_and_shows_the_newest(
    monkeypatch: pytest.MonkeyPatch, log_only: bool
) -> None:
    """Also where there is more than is kept."""
    for module in (environment_detail, log):
        monkeypatch.setattr(module, "LONGEST", 300)
    client = everything()
    for number in range(700):
        client.tell(EventType.LOG, "branch-418", f"line {number}", step="app")

    async def script(driver: Driver) -> None:
        view = driver.app.known[environment_id("branch-418")]
        driver.app.open_detail(view, log_only=log_only)
        await driver.until_screen(DetailScreen)
        await driver.until_text("line 699")

    drive(script, client, size=(80, 24))
