"""What the calendar does to an environment, and why, in the words of every front end."""

from collections.abc import Callable
from datetime import datetime

from environments.domain.timing import Because, Obstacle, Prevented, Source, TimedAction

WHAT: dict[TimedAction, str] = {
    TimedAction.DESTROY: "is destroyed",
    TimedAction.STOP: "is stopped",
    TimedAction.START: "is started",
    TimedAction.WARN: "its owner is warned",
}


def reason(because: Because) -> str:
    """One sentence without a full stop."""
    match because.source:
        case Source.LIFETIME:
            return "the default lifetime of its template is over"
        case Source.PERSON:
            return f"{because.by} set this deadline"
        case Source.TEMPLATE:
            return f"rule {because.rule!r} of {because.place}" if because.rule else because.place
        case Source.ENVIRONMENT:
            return f"rule {because.rule!r}, set by {because.by}"
        case Source.MAXIMUM:
            return "its template allows no longer life"
        case Source.PIN:
            return f"the pin of {because.by} ends"
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY if not because.rule:
            return f"the policy for {because.place} allows no longer life"
        case Source.OWNER_POLICY | Source.TEMPLATE_POLICY:
            return f"rule {because.rule!r} of the policy for {because.place}"
        case Source.DEFAULT:
            return "a tenth of the time before, at most an hour"
        case Source.UNKNOWN:
            return "set before the service recorded why"


def why_not(prevented: Prevented, told: Callable[[datetime], str]) -> str:
    """What prevents something, as a sentence without a full stop; `told` writes a moment."""
    until = "" if prevented.until is None else told(prevented.until)
    match prevented.obstacle:
        case Obstacle.HOLIDAY:
            return f"the day is in the holiday calendar {prevented.name}"
        case Obstacle.PIN:
            return f"{prevented.by} pinned it until {until}: {prevented.reason}"
        case Obstacle.EXTENSION:
            return f"rules count from {until} on, because somebody moved the deadline"
        case Obstacle.SET_LATER:
            return f"the rule applies since {until}"
        case Obstacle.DEADLINE:
            return f"it is destroyed before, at {until}"
