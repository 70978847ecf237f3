"""How the delivery of a warning goes, in the words of every front end."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from environments.words import clean

if TYPE_CHECKING:  # the command line shouldn't have to wait for pydantic
    from environments.wire.warnings import WarningView


def delivery(warning: "WarningView", told: Callable[[datetime], str]) -> str:
    """How it goes, with a sign in front; `told` writes a moment."""
    if warning.delivered_at is not None:
        return f"✓ delivered {told(warning.delivered_at)}"
    if warning.next_try is None:
        return f"■ not delivered: {clean(warning.fault)}"
    if not warning.attempts and warning.next_try > warning.queued_at:
        return f"… waits until {told(warning.next_try)}, because one of another deadline was sent before"
    if not warning.fault:
        return "… being delivered"
    attempts = "1 attempt" if warning.attempts == 1 else f"{warning.attempts} attempts"
    return f"✗ {attempts}, next {told(warning.next_try)}: {clean(warning.fault)}"
