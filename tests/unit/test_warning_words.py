"""How the delivery of a warning is told in every front end."""

from datetime import UTC, datetime, timedelta

import pytest

from environments.moments import moment
from environments.warning_words import delivery
from environments.wire.warnings import WarningView

AT = datetime(2026, 11, 27, 9, tzinfo=UTC)
LATER = AT + timedelta(minutes=4)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"delivered_at": LATER, "attempts": 1}, "✓ delivered"),
        ({"fault": "the deadline moved"}, "not delivered: the deadline moved"),
        ({"next_try": AT}, "… being delivered"),
        ({"next_try": LATER, "attempts": 1}, "… being delivered"),
        ({"next_try": LATER}, "09:04"),
        ({"next_try": LATER}, "because one of another deadline was sent before"),
        ({"next_try": LATER, "attempts": 2, "fault": "no route"}, "2 attempts"),
    ],
)
def test_each_state_has_its_words(more: dict[str, object], told: str) -> None:
    facts = {"deadline": LATER, "queued_at": AT, "channel": "email", "attempts": 0} | more
    assert told in delivery(WarningView.model_validate(facts), lambda at: moment(at, UTC))
