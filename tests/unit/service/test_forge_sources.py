"""What a forge is asked before a trigger acts on its event."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from environments.domain.received_event import NewReceivedEvent, ReceivedEvent
from environments.service.forge_sources import ForgeSources
from tests.fakes.forge import MemoryForge, away


def received(event: NewReceivedEvent) -> ReceivedEvent:
    return ReceivedEvent.model_validate({**dict(event), "id": "evt-1", "received_at": datetime(2027, 1, 1, tzinfo=UTC)})


@pytest.mark.parametrize(
    ("act", "undo"),
    [
        (lambda forge: forge.close(12), lambda forge: forge.reopen(12)),
        (lambda forge: forge.close(12, merged=True), lambda forge: forge.reopen(12)),
        (lambda forge: forge.push(12, "b2"), lambda forge: forge.push(12, "c3")),
        (lambda forge: forge.push(12, "b2"), lambda forge: forge.close(12)),
        (lambda forge: forge.label(12, "x"), lambda forge: forge.unlabel(12, "x")),
        (lambda forge: forge.delete_branch(12), lambda forge: forge.push(12, "a1")),
    ],
)
def test_what_was_undone_is_not_so_any_more(
    act: Callable[[MemoryForge], NewReceivedEvent], undo: Callable[[MemoryForge], NewReceivedEvent]
) -> None:
    forge = MemoryForge()
    forge.open(12, head="a1")
    event = received(act(forge))
    sources = ForgeSources(forge)

    assert sources.still(event) is True
    undo(forge)
    assert sources.still(event) is False


def test_a_forge_that_is_away_says_nothing() -> None:
    forge = MemoryForge()
    event = received(forge.open(12))
    forge.fault = away()

    assert ForgeSources(forge).still(event) is None
