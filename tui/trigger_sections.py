"""Triggers, what they did, and received events as styled text, without widgets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from textual.content import Content

from environments.domain.received_event import FieldValue
from environments.domain.trigger import FiringState
from environments.trigger_words import FIRINGS, definition_lines, field_lines
from environments.wire.triggers import FiringView
from environments.words import one_line
from tui.clock import Clock
from tui.sections import STYLES, shorten

NOTHING_DONE = "No trigger has done anything because of it."


def firing(one: FiringView, clock: Clock, *, event: bool = False) -> Content:
    """What a trigger did, to what, and why not; `event`: with the event that led to it, else with the trigger."""
    sign = FIRINGS[one.state]
    of = f"because of {one.event_id}" if event else f"by {one_line(one.trigger)}"
    to = f" {one_line(one.environment)}" if one.environment else ""
    parts: list[tuple[str, str]] = [
        (f"{sign!s:<10} ", STYLES[sign.mood]),
        (f"{one.action.value}{to}", "bold"),
        (f"  {of}, {clock.moment(one.done_at or one.created_at)}", "$faint"),
    ]
    why = _why(one, clock)
    if why:
        parts.append((f"\n  └ {why}", ""))
    return Content.assemble(*parts)


def _why(one: FiringView, clock: Clock) -> str:
    reason = shorten(one_line(one.reason))
    if one.state is FiringState.PENDING and one.due_at is not None:
        again = f"tried {'again ' if one.attempts else ''}at {clock.moment(one.due_at)}"
        return f"{reason} ({again})" if reason else again
    return reason


def firings(found: Sequence[FiringView], clock: Clock, most: int, more: int = 0, *, event: bool = False) -> Content:
    """The first firings; the others are counted."""
    lines = [firing(one, clock, event=event) for one in found[:most]]
    left = max(len(found) - most, 0) + more
    if left:
        lines.append(Content.assemble((f"and {left} more", "$faint")))
    return Content("\n").join(lines)


def section(title: str, body: Content) -> Content:
    """A title, and below it what it is about."""
    return Content.assemble((title, "bold $accent"), "\n", body)


def definition(found: Mapping[str, Any]) -> Content:
    """A definition as `trigger set` reads it."""
    return Content("\n".join(_cleaned(definition_lines(found))))


def fields(found: Mapping[str, FieldValue]) -> Content:
    """What an event says: texts of strangers, each in a line of its own."""
    return Content("\n".join(_cleaned(field_lines(found)))) if found else Content.assemble(("None.", "$faint"))


def _cleaned(lines: Iterable[str]) -> Iterator[str]:
    return (one_line(line) for line in lines)
