"""The registry of actions, and that keys, screens, help and docs follow it."""

from collections import Counter
from pathlib import Path

import pytest
from textual.binding import Binding

from environments.actions.action import Action, Place, Risk
from environments.actions.refusal import NEEDS, beyond_role, refusal
from environments.actions.registry import ACTIONS, action, at, commands, for_command
from environments.domain.access import EnvironmentRole
from environments.domain.lifecycle import State
from environments.service.roles import ON_ENVIRONMENTS, actions_of, short
from environments.service.roles import Action as ServiceAction
from tests.contract.action_table import takes
from tests.support.views import environment_view
from tui.calendars import CalendarsScreen
from tui.channels import ChannelsScreen
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.holds import HoldsScreen
from tui.keys import bindings, handler, written
from tui.policies import PoliciesScreen
from tui.previews import PreviewsScreen
from tui.received_events import EventsScreen
from tui.rules import RulesScreen
from tui.triggers import TriggersScreen

DOCS = Path(__file__).parents[2] / "docs"
SCREENS = {
    Place.LIST: ListScreen,
    Place.DETAIL: DetailScreen,
    Place.RULES: RulesScreen,
    Place.POLICIES: PoliciesScreen,
    Place.CALENDARS: CalendarsScreen,
    Place.CHANNELS: ChannelsScreen,
    Place.HOLDS: HoldsScreen,
    Place.TRIGGERS: TriggersScreen,
    Place.EVENTS: EventsScreen,
    Place.PREVIEWS: PreviewsScreen,
}


def test_ids_and_commands_are_unique() -> None:
    assert max(Counter(act.id for act in ACTIONS).values()) == 1
    assert max(Counter(act.command for act in commands()).values()) == 1
    assert for_command("env", "destroy") is action("environment.destroy")


@pytest.mark.parametrize("place", Place)
def test_a_key_means_one_thing_on_a_screen(place: Place) -> None:
    keys = Counter(key for act in at(place) for key in act.keys)
    assert max(keys.values()) == 1


@pytest.mark.parametrize("place", Place)
def test_every_action_of_a_screen_can_be_done_there(place: Place) -> None:
    for act in at(place):
        assert callable(getattr(SCREENS[place], f"action_{handler(act)}", None)), act.id


@pytest.mark.parametrize("place", Place)
def test_the_bottom_line_fits_into_eighty_cells(place: Place) -> None:
    shown = [binding for binding in bindings(place) if isinstance(binding, Binding) and binding.show]
    width = sum(len(f"{binding.key_display} {binding.description} ") for binding in shown)
    assert width <= 81


@pytest.mark.parametrize("act", ACTIONS, ids=lambda act: act.id)
def test_an_action_says_what_it_does_in_one_sentence(act: Action) -> None:
    assert act.help.endswith(".")
    assert ". " not in act.help
    assert len(act.help) <= 110
    assert act.command or act.places, "nobody could do it"
    assert not (act.risk is Risk.DESTRUCTIVE and act.keys and act.keys[0].islower()), "one slip of a finger"


ONLY_COMMANDS = {"trigger.set", "trigger.test"}
"""Actions on triggers, received events and previews that read a file: the TUI's palette copies the command."""


def test_all_that_triggers_events_and_previews_can_do_is_in_the_terminal_ui_or_reads_a_file() -> None:
    of_events = [act for act in ACTIONS if act.group in ("trigger", "event", "preview")]
    assert {act.id for act in of_events if not act.places} == ONLY_COMMANDS
    assert all(act.keys for act in of_events if act.places)


def test_what_can_be_done_follows_the_state_and_the_owner() -> None:
    ready, failed = environment_view(state=State.READY), environment_view(state=State.FAILED)
    gone = environment_view(state=State.DESTROYED)
    outside = environment_view(managed_by="doit")
    assert refusal(action("environment.retry"), failed) is None
    assert refusal(action("environment.retry"), ready) == "demo is ready: retry isn't possible now."
    assert refusal(action("environment.destroy"), ready) is None
    assert refusal(action("environment.destroy"), gone) is not None
    assert "managed from outside" in str(refusal(action("environment.destroy"), outside))
    assert refusal(action("environment.show"), outside) is None
    assert refusal(action("environment.logs"), gone) is None


def test_what_a_role_does_not_allow_is_refused_before_it_is_asked_for() -> None:
    for id, (name, needed) in NEEDS.items():
        takes = ON_ENVIRONMENTS[ServiceAction(f"environment:{name}")]
        assert needed.split(",")[0] == takes.value
        for role in EnvironmentRole:
            may = tuple(map(short, actions_of(role)))
            why_not = beyond_role(action(id), environment_view(role=role, may=may))
            assert (why_not is None) == role.covers(takes)
            assert why_not is None or f"you are {role.value} of demo, and this takes the role {takes.value}" in why_not
    limited = environment_view(role=EnvironmentRole.OWNER, may=("read",))
    assert "your token isn't for this" in str(refusal(action("environment.destroy"), limited))


def reference() -> str:
    """docs/reference/actions.md as the registry has it."""
    lines = [
        "# Actions",
        "",
        "Everything a person can do, made from the one registry that the command line, the terminal UI's keys, its",
        "palette and its help read (`environments/actions`). Risk: *read* changes nothing, *change* can be undone",
        "or done again, *destructive* asks first.",
        "",
        "Takes: the role on the environment or on the service, or what else is needed; who else may see and do what,",
        "route by route: [access by route](access-by-route.md). Empty: the service decides nothing.",
        "",
        "| what | command | key in the terminal UI | risk | takes |",
        "|---|---|---|---|---|",
    ]
    for act in ACTIONS:
        keys = " ".join(f"`{written(key)}`" for key in act.keys)
        where = f" ({act.only_in})" if act.only_in else ""
        command = f"`{act.command_line}`" if act.command else ""
        lines.append(
            f"| **{act.title}**: {act.help} | {command} | {keys}{where} | {act.risk.value} | {takes(act.id)} |"
        )
    return "\n".join(lines) + "\n"


def test_the_reference_says_what_the_registry_says() -> None:
    """To write it anew: `python -c "from tests.unit.test_actions import write; write()"`."""
    assert (DOCS / "reference" / "actions.md").read_text(encoding="utf-8") == reference()


def write() -> None:
    """Writes the reference."""
    (DOCS / "reference").mkdir(parents=True, exist_ok=True)
    (DOCS / "reference" / "actions.md").write_text(reference(), encoding="utf-8")


def test_the_guide_names_every_key() -> None:
    guide = (DOCS / "how-to" / "tui.md").read_text(encoding="utf-8")
    for act in ACTIONS:
        if act.places and act.keys:
            assert f"`{written(act.keys[0])}`" in guide, act.id
