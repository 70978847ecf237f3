"""Rules and pins of one environment: each edit computes its deadline at once, and an event tells of each move."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment, EventType
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    InvalidLifetime,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
)
from environments.domain.timing import Holiday, Obstacle, Source, TimedAction
from environments.service.authorization import Principal
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")
BOB = Principal("bob", "user", "tok-bob")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENING = "0 19 * * 1-5 UTC"
DESTROY = TimedAction.DESTROY


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web", ttl="10d"))
    yield service
    service.database.close()


def shown(service: FakeService, name: str = "demo") -> Environment:
    return service.reading.environment(ADA, name).environment


def told(service: FakeService, kind: EventType, name: str = "demo") -> list[str]:
    return [event.message for event in service.reading.events(ADA, name) if event.type is kind]


def test_a_rule_that_is_added_counts_from_now_on_and_is_told(service: FakeService, clock: SetClock) -> None:
    clock.now = MONDAY + 11 * HOUR
    after = service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    assert after.deadline == MONDAY + DAY + 10 * HOUR
    assert after == shown(service)
    assert told(service, EventType.ENVIRONMENT_RULES) == [f"ada added the rule '{EVENING}' (destroy) to demo"]
    assert told(service, EventType.ENVIRONMENT_DEADLINE) == [
        "the deadline of demo moved from 2027-03-11 09:00:00 UTC to 2027-03-02 19:00:00 UTC: "
        f"ada added the rule '{EVENING}' (destroy)"
    ]


def test_the_same_rule_again_changes_nothing(service: FakeService, clock: SetClock) -> None:
    first = service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    clock.now += HOUR
    assert service.time_edits.add_rule(ADA, "demo", DESTROY, f"  {EVENING} ") == first
    assert len(told(service, EventType.ENVIRONMENT_RULES)) == 1


def test_a_rule_that_is_removed_gives_the_deadline_back(service: FakeService) -> None:
    service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    after = service.time_edits.remove_rule(ADA, "demo", DESTROY, EVENING)
    assert after.deadline == MONDAY + 10 * DAY
    assert after.deadline_because is not None
    assert after.deadline_because.source is Source.PERSON
    assert len(told(service, EventType.ENVIRONMENT_DEADLINE)) == 2
    with pytest.raises(NotFound, match="no rule"):
        service.time_edits.remove_rule(ADA, "demo", DESTROY, EVENING)


def test_rules_have_a_limit_and_must_be_possible(service: FakeService) -> None:
    for minute in range(20):
        service.time_edits.add_rule(ADA, "demo", DESTROY, f"{minute} 19 * * * UTC")
    with pytest.raises(InvalidInput, match="20 rules"):
        service.time_edits.add_rule(ADA, "demo", DESTROY, "59 23 * * * UTC")
    with pytest.raises(InvalidLifetime, match="holiday calendar 'nl'"):
        service.time_edits.add_rule(ADA, "demo", DESTROY, "0 20 * * * UTC except nl")


def test_only_who_may_see_it_edits_it(service: FakeService) -> None:
    with pytest.raises(UnknownEnvironment):
        service.time_edits.add_rule(BOB, "demo", DESTROY, EVENING)
    with pytest.raises(UnknownEnvironment):
        service.time_edits.pin(BOB, "demo", "mine", ttl="1h")
    service.time_edits.add_rule(service.admin, "demo", DESTROY, EVENING)


def test_a_pin_suspends_rules_and_the_lifetime_until_its_end(service: FakeService) -> None:
    service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    pinned = service.time_edits.pin(ADA, "demo", "a demonstration", ttl="12d")
    assert pinned.deadline == MONDAY + 12 * DAY, "its lifetime ended meanwhile"
    assert pinned.deadline_because is not None
    assert pinned.deadline_because.source is Source.PIN
    found = service.reading.explain(ADA, "demo", 3, why_not=True)
    assert found.pin == pinned.pin
    assert found.moments[-1].at == MONDAY + 12 * DAY
    assert {left.prevented.obstacle for left in found.left_out if left.at > MONDAY} == {Obstacle.PIN}
    assert told(service, EventType.ENVIRONMENT_PINNED) == [
        "demo: ada pinned it until 2027-03-13 09:00:00 UTC (a demonstration)"
    ]


def test_a_person_still_destroys_what_is_pinned(service: FakeService) -> None:
    service.time_edits.pin(ADA, "demo", "a demonstration", ttl="12d")
    assert service.requests.destroy(ADA, "demo").deployment_id


def test_a_pin_ends_by_itself(service: FakeService, clock: SetClock) -> None:
    service.time_edits.pin(ADA, "demo", "a demonstration", ttl="12d")
    clock.now = MONDAY + 12 * DAY - HOUR
    assert service.expiry.destroy_due() == []
    clock.now = MONDAY + 12 * DAY
    assert service.expiry.destroy_due() == ["demo"]


def test_a_pin_passes_the_maximum_only_by_an_admin_with_a_reason(service: FakeService) -> None:
    with pytest.raises(InvalidLifetime, match="later than this template allows"):
        service.time_edits.pin(ADA, "demo", "a demonstration", ttl="15d")
    with pytest.raises(Forbidden, match="past its maximum"):
        service.time_edits.pin(ADA, "demo", "a demonstration", ttl="15d", past_maximum=True)
    with pytest.raises(InvalidInput, match="reason"):
        service.time_edits.pin(service.admin, "demo", "  ", ttl="15d", past_maximum=True)
    after = service.time_edits.pin(service.admin, "demo", "an audit", ttl="15d", past_maximum=True)
    assert after.deadline == MONDAY + 15 * DAY


def test_nothing_ends_within_an_hour_of_an_unpin(service: FakeService, clock: SetClock) -> None:
    service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    service.time_edits.pin(ADA, "demo", "a demonstration", ttl="12d")
    clock.now = MONDAY + 11 * DAY
    after = service.time_edits.unpin(ADA, "demo")
    assert after.deadline == clock.now + HOUR
    clock.now += HOUR
    with pytest.raises(NotAllowedNow, match="isn't pinned"):
        service.time_edits.unpin(ADA, "demo")


def test_an_unpin_lets_rules_count_again_and_none_of_the_past(service: FakeService, clock: SetClock) -> None:
    service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    service.time_edits.pin(ADA, "demo", "a demonstration", ttl="8d")
    clock.now = MONDAY + 2 * DAY
    assert service.time_edits.unpin(ADA, "demo").deadline == MONDAY + 2 * DAY + 10 * HOUR


def test_an_environment_that_is_leaving_takes_no_edit(service: FakeService) -> None:
    service.requests.destroy(ADA, "demo")
    with pytest.raises(NotAllowedNow):
        service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    with pytest.raises(NotAllowedNow):
        service.time_edits.pin(ADA, "demo", "too late", ttl="1h")


def test_what_an_extension_leaves_out_is_told(service: FakeService, clock: SetClock) -> None:
    clock.now = MONDAY + 11 * HOUR
    service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)
    service.requests.extend(ADA, "demo", until=MONDAY + 3 * DAY)
    left = service.reading.explain(ADA, "demo", 100, why_not=True).left_out
    assert [(one.at, one.prevented.obstacle) for one in left[:4]] == [
        (MONDAY + 10 * HOUR, Obstacle.SET_LATER),
        (MONDAY + DAY + 10 * HOUR, Obstacle.EXTENSION),
        (MONDAY + 2 * DAY + 10 * HOUR, Obstacle.EXTENSION),
        (MONDAY + 3 * DAY + 10 * HOUR, Obstacle.DEADLINE),
    ]


# --- stops and starts -------------------------------------------------------------------------------------------------


def test_rules_of_its_own_stop_and_start_it(service: FakeService, clock: SetClock) -> None:
    edits = service.time_edits
    stops = edits.add_rule(ADA, "demo", TimedAction.STOP, EVENING)
    assert (stops.switch_at, stops.switch_action) == (MONDAY + 10 * HOUR, TimedAction.STOP)
    assert stops.deadline == MONDAY + 10 * DAY
    both = edits.add_rule(ADA, "demo", TimedAction.START, "0 12 * * *")
    assert (both.switch_at, both.switch_action) == (MONDAY + 3 * HOUR, TimedAction.START)
    with pytest.raises(NotFound):
        edits.remove_rule(ADA, "demo", DESTROY, EVENING)
    left = edits.remove_rule(ADA, "demo", TimedAction.START, "0 12 * * *")
    assert left.switch_at == MONDAY + 10 * HOUR
    assert edits.remove_rule(ADA, "demo", TimedAction.STOP, EVENING).switch_at is None
    assert shown(service).switch_at is None
    with pytest.raises(InvalidInput):
        edits.add_rule(ADA, "demo", TimedAction.WARN, EVENING)


def test_what_a_pin_suspended_is_not_made_up_when_it_is_removed(service: FakeService, clock: SetClock) -> None:
    service.time_edits.add_rule(ADA, "demo", TimedAction.STOP, EVENING)
    pinned = service.time_edits.pin(ADA, "demo", "a demonstration", ttl="2d")
    assert pinned.switch_at == MONDAY + 2 * DAY + 10 * HOUR
    clock.now = MONDAY + 11 * HOUR
    assert service.time_edits.unpin(ADA, "demo").switch_at == MONDAY + DAY + 10 * HOUR


def test_a_stop_that_is_due_stays_due_whatever_else_is_edited(service: FakeService, clock: SetClock) -> None:
    service.time_edits.add_rule(ADA, "demo", TimedAction.STOP, EVENING)
    clock.now = MONDAY + 11 * HOUR
    edited = service.time_edits.add_rule(ADA, "demo", DESTROY, "0 0 1 4 *")
    assert edited.switch_at == MONDAY + 10 * HOUR


def test_rules_that_are_not_set_yet_tell_their_next_moments(service: FakeService, clock: SetClock) -> None:
    clock.now = MONDAY + 11 * HOUR
    root, holiday = Principal("root", "admin", "tok-root"), Holiday(day=(MONDAY + DAY).date())
    service.calendars.set(root, "nl", [holiday])
    asked = [(DESTROY, EVENING), (DESTROY, f"{EVENING} except nl"), (DESTROY, "0 0 31 2 *"), (DESTROY, EVENING)]
    asked += [(DESTROY, f"{EVENING} except be"), (TimedAction.WARN, EVENING)]
    evening, left_out, *others = service.calendars.check_rules(asked)
    assert [at - MONDAY for at in evening.moments] == [days * DAY + 10 * HOUR for days in (1, 2, 3, 4, 7)]
    assert left_out.moments[0] == MONDAY + 2 * DAY + 10 * HOUR
    said = ["" if one.problem is None else one.problem.message for one in others]
    assert "31 2" in said[0]
    assert others[1] == evening
    assert "'be'" in said[2]
    assert "can't warn" in said[3]
    service.time_edits.add_rule(ADA, "demo", DESTROY, EVENING)  # what was told is what is done
    assert shown(service).deadline == evening.moments[0]
