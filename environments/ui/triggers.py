"""Triggers, previews, and a dry run."""

import json
import tomllib
from typing import Any

from starlette.responses import Response

from environments.domain.errors import InvalidInput
from environments.domain.json_values import parse_json
from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.listing import (
    Button,
    Cell,
    Choice,
    Column,
    Facts,
    Link,
    Table,
    Text,
    place,
    sign,
    table,
    to_environment,
    told,
)
from environments.ui.received_events import FIRINGS
from environments.ui.visit import Visit
from environments.wire.previews import PreviewView
from environments.wire.triggers import TriggerState, TriggerTestRequest, TriggerTestView, TriggerView
from environments.words import STATES, Mood, Sign

_EXAMPLE = """\
name = "rest-at-night"
on = "idle"
for = "2h"
cpu = 20
action = "stop"
"""
_MOODS: dict[TriggerState, Mood] = {
    TriggerState.ACTIVE: "good",
    TriggerState.PAUSED: "gone",
    TriggerState.STOPPED: "bad",
}


def _place(one: TriggerView) -> Link | str:
    return to_environment(one.environment) or (f"template {one.template}" if one.template else "alone")


def _state(one: TriggerView) -> Sign:
    return sign(one.state.value, _MOODS[one.state])


TRIGGERS: tuple[Column[TriggerView], ...] = (
    Column("Name", lambda one: Link(one.name, f"/triggers/{one.id}")),
    Column("On", lambda one: one.on.value),
    Column("Does", lambda one: one.action.value),
    Column("Stands", _place),
    Column("For", lambda one: one.owner),
    Column("State", _state),
    Column("Why", lambda one: one.reason),
)
"""A trigger in a list."""

_PREVIEWS: tuple[Column[PreviewView], ...] = (
    Column("Pull request", lambda one: f"{one.repository}#{one.number}"),
    Column("Environment", lambda one: to_environment(one.environment)),
    Column("State", lambda one: None if one.state is None else STATES[one.state]),
    Column("Fault", lambda one: one.fault),
    Column("Why", lambda one: one.because),
    Column("Until", lambda one: one.end_at),
    Column("Ended", lambda one: one.ended_at),
)


def show(visit: Visit) -> Response:
    """All that act for the caller; to admins all."""
    return told(
        visit,
        "Triggers",
        [table(TRIGGERS, visit.client.triggers(), "There are no triggers that act for you.")],
        intro="A trigger does something to environments when something happens elsewhere.",
        beside=rooms.EVENTS,
        buttons=[Button("Add a trigger", "/triggers/new"), Button("Try an event", "/triggers/test")],
    )


def show_one(visit: Visit) -> Response:
    """One with its definition and what it did last."""
    one = visit.client.trigger(visit.params["id"])
    path = f"/triggers/{one.id}"
    rests = one.state is TriggerState.PAUSED
    fixed = "it stands in a template; change the template" if one.template else ""
    return told(
        visit,
        one.name,
        [
            Facts(
                [
                    ("State", _state(one)),
                    ("Why", one.reason),
                    ("Stands", _place(one)),
                    ("Acts for", one.owner),
                    ("Made by", one.created_by),
                    ("Made", one.created_at),
                ]
            ),
            Text(json.dumps(one.definition, indent=2, ensure_ascii=False), "Definition"),
            table(FIRINGS, one.firings, "It has done nothing yet that you may see.", "What it did"),
        ],
        up=Link("Triggers", "/triggers"),
        buttons=[
            Button("Resume", f"{path}/resume", fixed) if rests else Button("Pause", f"{path}/pause", fixed),
            Button("Remove", f"{path}/remove", fixed, danger=True),
        ],
    )


def _named(visit: Visit) -> TriggerView:
    return visit.client.trigger(visit.params["id"])


def _pausing(visit: Visit) -> Ask:
    one = _named(visit)
    return Ask("trigger.pause", f"Pause {one.name}", ["It does nothing until it is resumed."], f"/triggers/{one.id}")


def _pause(visit: Visit) -> None:
    visit.client.change_trigger(visit.params["id"], paused=True)


def _resuming(visit: Visit) -> Ask:
    one = _named(visit)
    said = "It acts again; what happened meanwhile is past."
    return Ask("trigger.resume", f"Resume {one.name}", [said], f"/triggers/{one.id}")


def _resume(visit: Visit) -> None:
    visit.client.change_trigger(visit.params["id"], paused=False)


def _removing(visit: Visit) -> Ask:
    one = _named(visit)
    back = f"/triggers/{one.id}"
    return Ask("trigger.remove", f"Remove {one.name}", ["What it has done stays as it is."], back, danger=True)


def _remove(visit: Visit) -> str:
    visit.client.remove_trigger(visit.params["id"])
    return "/triggers"


def _adding(visit: Visit) -> Ask:
    environment = visit.asked("environment")
    return Ask(
        "trigger.add",
        f"Add a trigger to {environment}" if environment else "Add a trigger",
        ["It acts for you, with the rights that you have when it fires."],
        place("environments", environment) if environment else "/triggers",
        [
            Field(
                "definition",
                "Definition (TOML)",
                "lines",
                _EXAMPLE,
                "What it waits for and what it does: docs/how-to/triggers.md has all keys.",
                required=True,
            )
        ],
        "Add",
    )


def _add(visit: Visit) -> str:
    environment = visit.asked("environment") or None
    return f"/triggers/{visit.client.set_trigger(_toml(visit.typed('definition')), environment).id}"


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"This isn't TOML: {error}.", hint="Write one key and its value in each line.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("This holds a number that is too large, or is nested too deeply.") from error


def _testing(visit: Visit) -> Ask:
    return Ask(
        "trigger.test",
        "Try an event",
        ["Nothing happens: you see which triggers would do what, and why others would do nothing."],
        "/triggers",
        [
            Field(
                "event",
                "Event (JSON)",
                "lines",
                '{"event": {"source": "git.branch", "kind": "deleted", "fields": {"branch": "main"}}}',
                "An event, or a recorded delivery, as `calvinverse trigger test` takes it.",
                required=True,
            ),
            Field("only", "Only this environment"),
        ],
        "Try it",
    )


def _test(visit: Visit) -> Response:
    try:
        given = parse_json(visit.typed("event"))
    except ValueError as error:
        raise InvalidInput(f"This isn't an event: {error}.", hint="Give JSON as shown.") from error
    if not isinstance(given, dict):
        raise InvalidInput("This isn't an event: it must be an object.", hint="Give JSON as shown.")
    asked = TriggerTestRequest.model_validate({**given, "only": visit.typed("only").strip() or None})
    found = visit.client.test_triggers(asked)
    return told(visit, "What would happen", _tried(found), up=Link("Triggers", "/triggers"))


def _tried(found: TriggerTestView) -> list[Table | Text]:
    sections: list[Table | Text] = [Text(found.ignored, "It tells of nothing")] if found.ignored else []
    for event in found.events:
        about = f"{event.source.value} {event.kind} {event.subject}".rstrip()
        hits: list[list[Cell]] = [
            [Link(one.trigger, f"/triggers/{one.trigger_id}"), one.action.value, one.environment, one.owner, one.reason]
            for one in event.hits
        ]
        misses: list[list[Cell]] = [
            [Link(one.trigger, f"/triggers/{one.trigger_id}"), one.environment, one.owner, one.reason]
            for one in event.misses
        ]
        more = f", and {event.more_hits} more" if event.more_hits else ""
        titles = ["Trigger", "Would do", "Environment", "For", "Refused, because"]
        sections.append(Table(titles, hits, "Nothing would happen.", f"{about}: what would happen{more}"))
        more = f", and {event.more_misses} more" if event.more_misses else ""
        titles = ["Trigger", "Environment", "For", "Why"]
        sections.append(Table(titles, misses, "There are no others.", f"{about}: what would not{more}"))
    return sections


def previews(visit: Visit) -> Response:
    """Environments of pull requests."""
    found = visit.client.previews(ended=visit.asked("ended") == "1")
    return told(
        visit,
        "Previews",
        [table(_PREVIEWS, found, "There are no previews. A trigger with the action preview makes them.")],
        beside=rooms.EVENTS,
        filters=(Choice("ended", "Which", (("", "that live"), ("1", "also those that have ended"))),),
    )


PAGES = (
    ("GET", "/triggers", show),
    *pages_of("/triggers/new", _adding, _add),
    *pages_of("/triggers/test", _testing, _test),
    ("GET", "/triggers/{id}", show_one),
    *pages_of("/triggers/{id}/pause", _pausing, _pause),
    *pages_of("/triggers/{id}/resume", _resuming, _resume),
    *pages_of("/triggers/{id}/remove", _removing, _remove),
    ("GET", "/previews", previews),
)
