"""What triggers, firings and received events are called and how they are written, in every front end."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.received_event import FieldValue, ReceivedState
from environments.domain.trigger import FiringState
from environments.domain.trigger_values import as_text
from environments.wire.triggers import TriggerState, TriggerView
from environments.words import Sign

TRIGGERS: Mapping[TriggerState, Sign] = {
    TriggerState.ACTIVE: Sign("●", "active", "good"),
    TriggerState.PAUSED: Sign("◻", "paused", "gone"),
    TriggerState.STOPPED: Sign("✗", "stopped", "bad"),
}

FIRINGS: Mapping[FiringState, Sign] = {
    FiringState.PENDING: Sign("◌", "pending", "busy"),
    FiringState.DONE: Sign("✓", "done", "good"),
    FiringState.LEFT_OUT: Sign("-", "left out", "gone"),
    FiringState.REFUSED: Sign("✗", "refused", "bad"),
    FiringState.FAILED: Sign("✗", "failed", "bad"),
}

RECEIVED: Mapping[ReceivedState, Sign] = {
    ReceivedState.WAITING: Sign("◌", "waiting", "busy"),
    ReceivedState.DONE: Sign("✓", "done", "good"),
    ReceivedState.REFUSED: Sign("✗", "refused", "bad"),
}


def stands(one: TriggerView) -> str:
    """Where a trigger stands."""
    if one.template:
        return f"in the template {one.template}"
    return f"on {one.environment}" if one.environment else "alone"


def definition_lines(definition: Mapping[str, Any]) -> Iterator[str]:
    """A definition as TOML: what `trigger set` reads."""
    tables = {key: value for key, value in definition.items() if isinstance(value, Mapping)}
    for key, value in definition.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        yield ""
        yield f"[{_key(key)}]"
        yield from (f"{_key(name)} = {_value(part)}" for name, part in value.items() if part is not None)


def field_lines(fields: Mapping[str, FieldValue]) -> list[str]:
    """The fields of an event, one per line."""
    return [f"{name}: {as_text(value)}" for name, value in fields.items()]


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    """A JSON value as TOML in one line. Its texts are written as JSON's, which TOML reads the same way."""
    if isinstance(value, Mapping):
        parts = (f"{_key(name)} = {_value(part)}" for name, part in value.items() if part is not None)
        return f"{{ {', '.join(parts)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(part) for part in value if part is not None)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
