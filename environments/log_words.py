"""Events as lines of an environment's log, in the words of every front end."""

from collections.abc import Callable
from dataclasses import dataclass

from environments.domain.environment import Event, EventType
from environments.words import Mood, clean, one_line

_QUIET = frozenset({EventType.RESOURCE_STATUS})
"""Events that the log omits: the list of resources shows them."""

_ALARMING = frozenset(
    {
        EventType.ENVIRONMENT_WARNING,
        EventType.ENVIRONMENT_INCIDENT,
        EventType.ENVIRONMENT_NOT_SWITCHED,
        EventType.ENVIRONMENT_DEGRADED,
    }
)


@dataclass(frozen=True)
class LogLine:
    """What an event says in the log. `step`: the one that wrote it; empty for what the service tells."""

    step: str
    text: str
    mood: Mood


def log_line(event: Event, tidy: Callable[[str], str] = clean) -> LogLine | None:
    """The event as a line, or as several; None if it is shown elsewhere. `tidy` removes control characters."""
    if event.type in _QUIET:
        return None
    message = tidy(event.message).rstrip("\n")
    step = one_line(event.step or "")
    if event.type is EventType.LOG:
        return LogLine(step, message, "plain")
    state = one_line(str(event.data.get("state", ""))).replace("_", " ")
    said = message or f"{step} {state}".strip() or event.type.value.replace(".", " ")
    failed = "failed" in state or event.type in _ALARMING
    good = state in ("ready", "done", "succeeded") or event.type is EventType.ENVIRONMENT_RECOVERED
    return LogLine("", said, "bad" if failed else "good" if good else "gone")
