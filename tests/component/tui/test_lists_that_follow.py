"""Lists of what triggers do ask again when something has happened to an environment, and not because of a log."""

import pytest

from environments.domain.environment import EventType
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.tui_scenes import ready
from tui import things
from tui.policies import PoliciesScreen
from tui.previews import PreviewsScreen
from tui.received_events import EventsScreen
from tui.things import ThingsScreen
from tui.triggers import EnvironmentTriggersScreen, TriggersScreen


@pytest.mark.parametrize("kind", [PreviewsScreen, EventsScreen, TriggersScreen, EnvironmentTriggersScreen])
def test_they_ask_again_after_something_has_happened(
    kind: type[ThingsScreen[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(things, "RARE", 10**9)

    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role and driver.app.known, "the role")
        screen = EnvironmentTriggersScreen(ready()) if kind is EnvironmentTriggersScreen else kind()
        driver.app.push_screen(screen)
        await driver.until_screen(kind)
        await driver.until(lambda: screen.things and not screen._asking, "the list")
        first = screen.things
        driver.client.tell(EventType.ENVIRONMENT_STATE, "shop-pr-12", "ready")
        await driver.until(lambda: screen.things is not first, "the list as it is now")

    client = InProcessClient(ready())
    put_events(client)
    put_previews(client)
    drive(script, client)


def test_logs_and_other_lists_cause_no_request() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.role and driver.app.known, "the role")
        client = driver.client
        client.tell(EventType.LOG, "checkout-fix", "a line")
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", "ready")
        log, state = client.stored[-2:]
        previews, policies = PreviewsScreen(), PoliciesScreen()
        previews.happened([log])
        policies.happened([log, state])
        assert not previews._outdated
        assert not policies._outdated
        previews.happened([log, state])
        assert previews._outdated

    drive(script, InProcessClient(ready()))
