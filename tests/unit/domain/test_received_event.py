"""Fields of events are bounded data, whatever strangers send."""

from datetime import UTC, datetime

from environments.domain.received_event import (
    KINDS,
    LONGEST_FIELD,
    MOST_ENTRIES,
    MOST_FIELDS,
    NewReceivedEvent,
    Source,
    fields_of,
)


def test_every_source_has_kinds() -> None:
    assert set(KINDS) == set(Source)


def test_fields_are_bounded() -> None:
    given = {f"f{number}": "x" * 5000 for number in range(200)}
    fields = fields_of({"labels": ["l"] * 5000, **given})
    assert len(fields) == MOST_FIELDS
    assert fields["labels"] == ("l",) * MOST_ENTRIES
    assert fields["f1"] == "x" * LONGEST_FIELD


def test_what_can_not_be_a_field_is_left_out() -> None:
    given = {"": 1, "a b": 1, "é": 1, "a.b": 1, "none": None, "table": {"a": 1}, "n": 10**400, "fine-1": 1, "f": 1.5}
    assert fields_of(given) == {"fine-1": 1, "f": "1.5"}


def test_control_characters_and_halves_of_characters_are_taken_out() -> None:
    fields = fields_of({"title": "a\x00b\x1b[31mc\u202ed\r\n\ne\ud800f", "l": ["\x07x", {"a": 1}, 3, True]})
    assert fields == {"title": "abcd e?f", "l": ("x", "3", "true")}


def test_an_event_bounds_what_it_is_made_of() -> None:
    event = NewReceivedEvent(
        source=Source.WEBHOOK,
        kind="received",
        origin="hook",
        delivery="d" * 5000,
        subject="s\n" * 5000,
        fields={"a": "x" * 5000},
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert event.delivery.startswith("sha256:")
    assert len(event.subject) == 500
    assert event.fields == {"a": "x" * LONGEST_FIELD}
