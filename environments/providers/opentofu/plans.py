"""A plan of tofu, as `tofu show -json` tells it, read into changes; without anything sensitive."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from environments.domain.cleaning import Cleaner
from environments.domain.plan import Action, Change
from environments.providers.opentofu.ports import OUTPUT_KIND, RESOURCE_KIND

MOST_DETAILS = 20
"""Lines of one change; the rest is counted."""

LONGEST_VALUE = 60
"""Characters of a value that are shown."""

_SENSITIVE = "(sensitive)"
_UNKNOWN = "(known later)"
_ABSENT = "(none)"


def changes(document: Mapping[str, Any], cleaner: Cleaner) -> list[Change]:
    """Every managed resource that will be created, changed, replaced or destroyed, in tofu's order; then outputs.

    `cleaner` knows the secrets that tofu was given.
    """
    drifted = {found["address"] for found in document.get("resource_drift", ())}
    resources = [
        _change(found, action, found["address"] in drifted, cleaner)
        for found in document.get("resource_changes", ())
        if found.get("mode") == "managed" and (action := _action(found["change"]["actions"])) is not None
    ]
    return [*resources, *_outputs(document.get("output_changes") or {}, cleaner)]


def _action(actions: Sequence[str]) -> Action | None:
    match list(actions):
        case ["create"]:
            return Action.CREATE
        case ["update"]:
            return Action.CHANGE
        case ["delete"]:
            return Action.DESTROY
        case ["delete", "create"] | ["create", "delete"]:
            return Action.REPLACE
        case _:
            return None


def _change(found: Mapping[str, Any], action: Action, drifted: bool, cleaner: Cleaner) -> Change:
    change = found["change"]
    before = hide(change.get("before"), change.get("before_sensitive", False))
    after = hide(change.get("after"), change.get("after_sensitive", False))
    unknown = change.get("after_unknown", False)
    facts = [found["address"], found.get("type"), change["actions"], before, after, unknown]
    lines = [] if action is Action.DESTROY else list(_differences(before or {}, after or {}, unknown or {}, cleaner))
    if change.get("replace_paths"):
        reasons = ", ".join(sorted(".".join(map(str, path)) for path in change["replace_paths"]))
        lines.insert(0, f"replaced because of {reasons}")
    if drifted:
        what = "removed" if action is Action.CREATE else "changed"
        lines.insert(0, f"was {what} outside of Calvinverse")
    if len(lines) > MOST_DETAILS:
        lines = [*lines[:MOST_DETAILS], f"and {len(lines) - MOST_DETAILS} more"]
    return Change(
        kind=RESOURCE_KIND,
        address=found["address"],
        action=action,
        details=tuple(lines),
        fingerprint=hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
    )


def _outputs(found: Mapping[str, Any], cleaner: Cleaner) -> Iterator[Change]:
    """Outputs that will differ, none that is sensitive.

    An output that is known later isn't reported: it follows from resources, which are, or differs each time.
    """
    for name, told in sorted(found.items()):
        hidden = told.get("before_sensitive") or told.get("after_sensitive")
        action = _action(told["actions"])
        if action is None or hidden or told.get("after_unknown") or told.get("before") == told.get("after"):
            continue
        facts = [name, told.get("before"), told.get("after")]
        yield Change(
            kind=OUTPUT_KIND,
            address=name,
            action=action,
            details=tuple(_differences({name: told.get("before")}, {name: told.get("after")}, {}, cleaner)),
            fingerprint=hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest(),
        )


def hide(value: Any, sensitive: Any) -> Any:
    """The value with all that `sensitive` marks (true, or the same structure with true in it) left out."""
    if sensitive is True:
        return _SENSITIVE
    if isinstance(value, Mapping) and isinstance(sensitive, Mapping):
        return {name: hide(item, sensitive.get(name, False)) for name, item in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[False] * (len(value) - len(sensitive))]
        return [hide(item, mark) for item, mark in zip(value, marks, strict=False)]
    return value


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], unknown: Mapping[str, Any], cleaner: Cleaner
) -> Iterator[str]:
    for name in sorted({*before, *after, *unknown}):
        was = before.get(name)
        if unknown.get(name) is True:
            now: Any = _UNKNOWN
        elif name in after:
            now = after[name]
        elif name in unknown and name not in before:
            continue
        else:
            now = None
        if was != now and not (was is None and now is None):
            then = _shown(now, cleaner)
            yield f"{name}: {_shown(was, cleaner)} → {then}" if before else f"{name}: {then}"


def _shown(value: Any, cleaner: Cleaner) -> str:
    if value is None:
        return _ABSENT
    text = cleaner.clean(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
