"""Builds the changes of executors' plans, with lines for people and a fingerprint for machines."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from environments.domain.plan import Action, Change
from environments.steps.base import Owner, StepRun

LONGEST_VALUE_SHOWN = 60
"""Characters of a value that a line of a plan shows."""

LINES = 20
"""Maximum lines of one change; further ones are counted."""


class OwnThingsOnly:
    """For step kinds that write nothing into shared resources."""

    def plan_removal(self, step: str, owner: Owner) -> Sequence[Change]:
        """None: everything that such a step makes is in the inventory as its own."""
        return ()

    def remove(self, step: str, owner: Owner, run: StepRun) -> None:
        """Does nothing."""


def change(
    action: Action,
    kind: str,
    address: str,
    *,
    before: Any = None,
    after: Any = None,
    details: Iterable[str] = (),
) -> Change:
    """A change from `before` to `after`: JSON values that have everything that decides it, and no secret."""
    lines = tuple(details)
    if len(lines) > LINES:
        lines = (*lines[: LINES - 1], f"and {len(lines) - LINES + 1} more")
    mark = fingerprint([action.value, before, after])
    return Change(kind=kind, address=address, action=action, details=lines, fingerprint=mark)


def fingerprint(content: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def moved(name: str, before: Any, after: Any) -> str:
    """`name: before → after`, on one line and shortened."""
    return f"{name}: {shown(before)} → {shown(after)}"


def shown(value: Any) -> str:
    """A value as a plan shows it: plain texts unquoted, other values as JSON, bytes as their text."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return f"({len(value)} bytes)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text == "" or text != text.strip() or not text.isprintable():
        text = json.dumps(text, ensure_ascii=False)
    if len(text) <= LONGEST_VALUE_SHOWN:
        return text
    # The end is kept too, because digests and numbered names differ there.
    return f"{text[: LONGEST_VALUE_SHOWN - 20]}…{text[-19:]}"
