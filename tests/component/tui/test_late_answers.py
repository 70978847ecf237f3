"""An answer that comes after what it answers has changed brings nothing back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from environments.domain.environment import Drift, EventType
from tests.fakes.plans import NOW, plan_steps
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import deploying, queued, ready
from tests.support.views import environment_id
from tui.environment_detail import DetailScreen


async def _open(driver: Driver, name: str) -> DetailScreen:
    driver.app.open_detail(next(view for view in driver.app.known.values() if view.name == name))
    await driver.until_screen(DetailScreen)
    assert isinstance(driver.screen, DetailScreen)
    return driver.screen


def _held_back(monkeypatch: pytest.MonkeyPatch, screen: DetailScreen, ask: Callable[[], None]) -> Callable[[], None]:
    """Asks now; what is returned delivers the answer."""
    answers: list[Callable[[], None]] = []

    def hold(call: Callable[[], Any], then: Callable[[Any], None], _: object) -> None:
        found = call()
        answers.append(lambda: then(found))

    with monkeypatch.context() as patch:
        patch.setattr(screen, "ask", hold)
        ask()
    (answer,) = answers
    return answer


def test_what_runs_by_now_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    client = InProcessClient(queued())

    async def script(driver: Driver) -> None:
        screen = await _open(driver, "patient")
        await driver.until(lambda: screen.query_one("#why").display, "why")
        late = _held_back(monkeypatch, screen, screen._ask_why)
        client.put(deploying().model_copy(update={"id": environment_id("patient"), "name": "patient"}))
        client.tell(EventType.ENVIRONMENT_STATE, "patient", data={"state": "deploying"})
        await driver.until(lambda: not screen.query_one("#why").display, "the end of waiting")
        late()
        assert not screen.query_one("#why").display

    drive(script, client, size=(120, 40))


def test_a_drift_of_before_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    client = InProcessClient(ready())
    client.observed["checkout-fix"] = Drift(observed_at=NOW, steps=plan_steps()[:1])

    async def script(driver: Driver) -> None:
        screen = await _open(driver, "checkout-fix")
        await driver.until(lambda: screen.query_one("#drift").display, "the drift")
        await driver.until(lambda: screen.current().deployment is not None, "the deployment")
        known = screen._drift_of
        late = _held_back(monkeypatch, screen, lambda: screen._ask_drift(screen.id_of, known))
        del client.observed["checkout-fix"]
        client.put(ready().model_copy(update={"state_since": NOW + timedelta(seconds=1)}))
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
        await driver.until(lambda: "not observed" in driver.static("#drift-title"), "the other observation")
        late()
        assert "not observed" in driver.static("#drift-title")

    drive(script, client, size=(120, 40))
