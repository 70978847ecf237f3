"""The main screens as pictures: same clock, zone and size everywhere, so a difference is a change that somebody made.

After a change that is wanted: `pytest tests/snapshots --snapshot-update`, and look at what has become of them.
"""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import until
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.tui_scenes import drift_away, everything, make_app
from tests.support.tui_time_scenes import put_channels, put_hold, put_policies, put_rules
from tui.add_trigger_dialog import AddTriggerDialog
from tui.app import CalvinverseApp
from tui.calendars import CalendarsScreen
from tui.channels import ChannelsScreen
from tui.create import CreateScreen
from tui.dialogs import DestroyDialog
from tui.environment_detail import DetailScreen
from tui.fields import FormField
from tui.help import HelpScreen
from tui.holds import HoldsScreen
from tui.plan_dialog import PlanDialog
from tui.policies import PoliciesScreen
from tui.policy_dialogs import PolicyDialog
from tui.previews import PreviewsScreen
from tui.received_event_dialogs import EventDialog
from tui.received_events import EventsScreen
from tui.rules import RulesScreen
from tui.triggers import EnvironmentTriggersScreen

README_PICTURE = Path(__file__).parents[2] / "docs" / "images" / "tui.svg"
Prepare = Callable[[CalvinverseApp, InProcessClient, Pilot[Any]], Awaitable[None]]
Compare = Callable[..., bool]
Put = Callable[[InProcessClient], None]

PUT: dict[Prepare, tuple[Put, ...]] = {}
"""What is in the service before the TUI asks it for the first time; what is put in later may be in one picture and not
in the next."""


def given(*puts: Put) -> Callable[[Prepare], Prepare]:
    """Notes what must be in the service for a scene."""

    def noted(prepare: Prepare) -> Prepare:
        PUT[prepare] = puts
        return prepare

    return noted


async def as_it_starts(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: app.connection.here and app.known and app.me and app.role)


async def detail(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("enter")
    await until(
        pilot,
        lambda: (
            isinstance(app.screen, DetailScreen)
            and app.screen.is_mounted
            and app.screen._resources
            and app.screen._view.deployment
            and app.screen.access
        ),
    )
    await until(pilot, lambda: app.screen.query_one("#log").last)  # type: ignore[attr-defined]  # the log panel
    await until(pilot, lambda: app.screen._drawn_for == app.screen._width())  # type: ignore[attr-defined]  # as above


async def create_with_errors(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("c")
    await until(
        pilot,
        lambda: (
            isinstance(app.screen, CreateScreen) and app.screen.is_mounted and len(app.screen.query(FormField)) == 7
        ),
    )
    fields = {found.key: found for found in app.screen.query(FormField)}
    fields["name"].control().value = "My_Shop"
    fields["parameter.replicas"].control().value = "50"
    await pilot.pause()
    await pilot.press("ctrl+s")
    await until(pilot, lambda: "3 fields" in str(app.screen.query_one("#problem").content))  # type: ignore[attr-defined]  # a Static


async def destroy(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("down", "D")
    await until(pilot, lambda: isinstance(app.screen, DestroyDialog) and app.screen.is_mounted)
    await pilot.press(*"check")


async def away(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    client.go_away()
    await until(pilot, lambda: app.connection.away)


async def helping(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("question_mark")
    await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen.is_mounted)


async def planned(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("down", "R")
    await until(
        pilot,
        lambda: (
            isinstance(app.screen, PlanDialog) and app.screen.is_mounted and not app.screen.query_one("#go").disabled
        ),
    )


@given(drift_away)
async def drifted(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("down", "enter")
    await until(
        pilot,
        lambda: (
            isinstance(app.screen, DetailScreen)
            and app.screen.is_mounted
            and app.screen._resources
            and app.screen._view.deployment
            and app.screen.drift
            and app.screen.access
        ),
    )
    await until(pilot, lambda: app.screen.query_one("#log").last)  # type: ignore[attr-defined]  # the log panel
    await until(pilot, lambda: app.screen._drawn_for == app.screen._width())  # type: ignore[attr-defined]  # as above
    app.screen.query_one("#drift-title").scroll_visible(animate=False, top=True, immediate=True)


@given(put_rules)
async def ruling(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("down", "W")
    await until(pilot, lambda: isinstance(app.screen, RulesScreen) and app.screen.is_mounted and app.screen.things)


@given(put_rules, put_policies)
async def policies(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("P")
    await until(pilot, lambda: isinstance(app.screen, PoliciesScreen) and app.screen.is_mounted and app.screen.things)
    await pilot.press("down")


@given(put_rules, put_policies)
async def policy_effect(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await policies(app, client, pilot)
    await pilot.press("E")
    await until(pilot, lambda: isinstance(app.screen, PolicyDialog) and app.screen.is_mounted)
    fields = {found.key: found for found in app.screen.query(FormField)}
    fields["destroy"].control().value = "0 12 * * 1 Europe/Berlin"
    await until(pilot, lambda: not app.screen.query_one("#go").disabled)
    await pilot.press("enter")
    await until(pilot, lambda: app.screen.query("#name"))


@given(put_policies)
async def calendars(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("H")
    await until(pilot, lambda: isinstance(app.screen, CalendarsScreen) and app.screen.is_mounted and app.screen.things)


@given(put_channels)
async def channels(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("C")
    await until(pilot, lambda: isinstance(app.screen, ChannelsScreen) and app.screen.is_mounted and app.screen.things)
    await pilot.press("down")


@given(put_hold)
async def holds(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("h")
    await until(pilot, lambda: isinstance(app.screen, HoldsScreen) and app.screen.is_mounted and app.screen.things)


@given(put_events)
async def triggers(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("down", "F")
    await until(
        pilot, lambda: isinstance(app.screen, EnvironmentTriggersScreen) and app.screen.is_mounted and app.screen.things
    )
    await pilot.press("down")
    await until(pilot, lambda: app.screen.details(app.screen.selected))  # type: ignore[attr-defined]  # see above


@given(put_events)
async def adding_a_trigger(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await triggers(app, client, pilot)
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.screen, AddTriggerDialog) and app.screen.is_mounted)
    fields = {found.key: found for found in app.screen.query(FormField)}
    for key, value in {"name": "rest", "on": 4, "does": 2, "for": "soon", "cpu": "20"}.items():
        fields[key].control().value = value
    await until(pilot, lambda: fields["for"].has_class("-wrong"))


@given(put_events)
async def events(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("L")
    await until(pilot, lambda: isinstance(app.screen, EventsScreen) and app.screen.is_mounted and app.screen.things)
    await pilot.press("down")
    await until(pilot, lambda: app.screen.details(app.screen.selected))  # type: ignore[attr-defined]  # see above


@given(put_events)
async def one_event(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await events(app, client, pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, EventDialog) and app.screen.is_mounted)
    await until(pilot, lambda: "What triggers did" in str(app.screen.query_one("#told").content))  # type: ignore[attr-defined]  # a Static


@given(put_previews)
async def previews(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("V")
    await until(pilot, lambda: isinstance(app.screen, PreviewsScreen) and app.screen.is_mounted and app.screen.things)
    await pilot.press("down")


async def no_previews(app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
    await as_it_starts(app, client, pilot)
    await pilot.press("V")
    await until(
        pilot, lambda: isinstance(app.screen, PreviewsScreen) and app.screen.is_mounted and app.screen.things == []
    )


@pytest.mark.parametrize(
    ("prepare", "size"),
    [
        (as_it_starts, (80, 24)),
        (as_it_starts, (140, 30)),
        (detail, (80, 24)),
        (detail, (120, 34)),
        (create_with_errors, (100, 30)),
        (destroy, (90, 28)),
        (away, (90, 24)),
        (helping, (100, 40)),
        (planned, (80, 24)),
        (planned, (120, 34)),
        (drifted, (80, 24)),
        (drifted, (120, 34)),
        (ruling, (80, 24)),
        (ruling, (120, 34)),
        (policies, (80, 24)),
        (policy_effect, (80, 24)),
        (calendars, (80, 24)),
        (channels, (80, 24)),
        (holds, (80, 24)),
        (triggers, (80, 24)),
        (triggers, (120, 34)),
        (adding_a_trigger, (80, 24)),
        (events, (80, 24)),
        (events, (120, 34)),
        (one_event, (80, 24)),
        (one_event, (120, 34)),
        (previews, (80, 24)),
        (previews, (120, 34)),
        (no_previews, (80, 24)),
    ],
    ids=lambda value: value.__name__ if callable(value) else f"{value[0]}x{value[1]}",
)
def test_screen(prepare: Prepare, size: tuple[int, int], snap_compare: Compare) -> None:
    client = everything()
    for put in PUT.get(prepare, ()):
        put(client)
    app = make_app(client)

    async def before(pilot: Pilot[Any]) -> None:
        await prepare(app, client, pilot)
        app.screen.set_focus(None)  # a cursor that blinks is there in one picture and not in the next
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


def picture() -> str:
    """The picture of the README: one environment being made."""
    from textual._doc import take_svg_screenshot

    client = everything()
    app = make_app(client)

    async def before(pilot: Pilot[Any]) -> None:
        await detail(app, client, pilot)
        await pilot.pause()

    return re.sub(
        r"\bterminal-\d+-", "terminal-", take_svg_screenshot(app=app, terminal_size=(120, 34), run_before=before)
    )


def test_the_picture_of_the_readme_is_what_the_tui_looks_like() -> None:
    """To make it anew: `python -c "from tests.snapshots.test_tui_screens import draw; draw()"`."""
    assert README_PICTURE.read_text(encoding="utf-8") == picture()


def draw() -> None:
    """Makes the picture of the README."""
    README_PICTURE.parent.mkdir(parents=True, exist_ok=True)
    README_PICTURE.write_text(picture(), encoding="utf-8")
