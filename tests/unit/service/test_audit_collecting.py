"""The first of equal refusals is told at once, the rest by their number, and a flood stays small."""

from datetime import datetime, timedelta

from environments.service import audit_collecting
from environments.service.audit_collecting import EACH, MOST_ADDRESSES, OTHERS, AuditCollector
from environments.service.storage.audit import AuditEntry
from tests.fakes.plans import NOW


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def refusal(name: str = "demo", actor: str = "ada", code: str = "forbidden") -> AuditEntry:
    return AuditEntry(
        "environment:destroy",
        actor,
        token_id=f"tok-{actor}",
        object_kind="environment",
        object_name=name,
        outcome="refused",
        code=code,
        request="DELETE /v1/environments/{name}",
    )


def test_the_first_is_told_at_once_and_the_rest_by_number() -> None:
    clock = Clock()
    collector = AuditCollector(clock)
    for _ in range(5):
        assert collector.note(refusal())
    (first,) = collector.take()
    assert (first.count, first.at) == (1, NOW)
    clock.later(30)
    assert collector.note(refusal())
    assert collector.take() == []
    clock.later(31)
    (rest,) = collector.take()
    assert (rest.count, rest.object_name, rest.at) == (5, "demo", NOW)
    clock.later(120)
    assert collector.take() == []


def test_after_its_minute_it_begins_again_and_nothing_is_lost() -> None:
    clock = Clock()
    collector = AuditCollector(clock)
    total = 0
    for _ in range(200):
        assert collector.note(refusal())
        clock.later(7)
        total += sum(entry.count for entry in collector.take())
    total += sum(entry.count for entry in collector.take(all=True))
    assert total == 200


def test_different_ones_are_told_apart() -> None:
    collector = AuditCollector(Clock())
    for entry in (refusal("a"), refusal("b"), refusal("a", "grace"), refusal("a", code="unknown_environment")):
        assert collector.note(entry)
    assert len(collector.take()) == 4


def test_guesses_at_ever_new_names_become_few_entries() -> None:
    clock = Clock()
    collector = AuditCollector(clock)
    for number in range(10_000):
        assert collector.note(refusal(f"guess-{number}"))
        clock.later(0.001)
    taken = [*collector.take(), *collector.take(all=True)]
    assert len(taken) == EACH + 1
    assert sum(entry.count for entry in taken) == 10_000
    assert taken[-1].object_name == ""
    assert taken[-1].request == "DELETE /v1/environments/{name}"


def test_many_callers_who_flood_become_few_entries() -> None:
    collector = AuditCollector(Clock(), most_waiting=10**9)
    for number in range(3 * audit_collecting.MOST_CALLERS):
        assert collector.note(refusal("demo", f"p{number}"))
    taken = [*collector.take(), *collector.take(all=True)]
    assert len(taken) == audit_collecting.MOST_CALLERS + 1
    assert taken[-1].actor == OTHERS
    assert sum(entry.count for entry in taken) == 3 * audit_collecting.MOST_CALLERS


def test_unknown_callers_are_counted_by_address_and_minute() -> None:
    clock = Clock()
    collector = AuditCollector(clock)
    for number in range(5 * MOST_ADDRESSES):
        collector.note_unknown(f"192.0.2.{number}", "GET", "unauthenticated")
        collector.note_unknown("192.0.2.0", "GET", "unauthenticated")
    assert collector.take() == []
    clock.later(61)
    taken = collector.take()
    assert len(taken) == MOST_ADDRESSES + 1
    assert sum(entry.count for entry in taken) == 10 * MOST_ADDRESSES
    assert (taken[0].address, taken[0].count, taken[0].outcome) == ("192.0.2.0", 5 * MOST_ADDRESSES + 1, "refused")
    assert taken[-1].address == OTHERS


def test_with_too_many_waiting_the_next_has_to_come_again() -> None:
    collector = AuditCollector(Clock(), most_waiting=2)
    assert collector.note(refusal("a"))
    assert collector.note(refusal("b"))
    assert collector.note(refusal("a"))  # only counted
    assert not collector.note(refusal("c"))
    taken = collector.take()
    assert collector.note(refusal("c"))
    collector.put_back(taken)
    assert [entry.object_name for entry in collector.take()] == ["a", "b", "c"]
