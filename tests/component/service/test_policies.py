"""Policies and holiday calendars: what an edit moves is shown before, stored with it, and told by events."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from environments.api import presenting_timing
from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment, EventType
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    InvalidLifetime,
    InvalidTemplate,
    NotAllowedNow,
    NotFound,
)
from environments.domain.holds import HoldKind
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.domain.timing import Holiday, HolidayCalendar, Obstacle, Scope, Source, TimedAction
from environments.service import calendars, pages, retiming
from environments.service.authorization import Principal
from environments.service.policies import Policies
from environments.service.retiming import Retiming
from tests.component.service.test_deadlines import ruled
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")
BOB = Principal("bob", "user", "tok-bob")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENING = [(TimedAction.DESTROY, "0 19 * * 1-5 UTC")]


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.requests.create(ADA, CreateEnvironment(name="hers", template="web", ttl="10d"))
    service.requests.create(BOB, CreateEnvironment(name="his", template="web", ttl="9d"))
    yield service
    service.database.close()


def shown(service: FakeService, name: str) -> Environment:
    return service.reading.environment(service.admin, name).environment


def moves(service: FakeService, name: str) -> list[str]:
    found = service.reading.events(service.admin, name)
    return [event.message for event in found if event.type is EventType.ENVIRONMENT_DEADLINE]


def test_a_policy_for_an_owner_moves_what_is_there_and_what_comes(service: FakeService) -> None:
    done = service.policies.set(service.admin, Scope.OWNER, "ada", EVENING, None)
    assert (done.applied, done.preview.concerned, done.preview.moved) == (True, 1, 1)
    assert shown(service, "hers").deadline == MONDAY + 10 * HOUR
    assert shown(service, "his").deadline == MONDAY + 9 * DAY
    assert moves(service, "hers") == [
        "the deadline of hers moved from 2027-03-11 09:00:00 UTC to 2027-03-01 19:00:00 UTC: "
        "root set the policy for owner ada"
    ]
    service.requests.create(ADA, CreateEnvironment(name="new", template="web", ttl="10d"))
    new = shown(service, "new")
    assert new.deadline == MONDAY + 10 * HOUR
    assert new.deadline_because is not None
    assert (new.deadline_because.source, new.deadline_because.place) == (Source.OWNER_POLICY, "owner ada")


def test_a_dry_run_tells_what_would_move_and_stores_nothing(service: FakeService) -> None:
    would = service.policies.set(service.admin, Scope.TEMPLATE, "web", EVENING, "1d", dry_run=True)
    assert (would.applied, would.preview.concerned, would.preview.computed, would.preview.moved) == (False, 2, 2, 2)
    assert {move.environment.name: move.deadline for move in would.preview.moves} == {
        "hers": MONDAY + 10 * HOUR,
        "his": MONDAY + 10 * HOUR,
    }
    assert service.policies.policies(service.admin) == []
    assert shown(service, "hers").deadline == MONDAY + 10 * DAY


def test_a_policy_that_is_removed_gives_deadlines_back(service: FakeService) -> None:
    service.policies.set(service.admin, Scope.OWNER, "ada", EVENING, None)
    would = service.policies.remove(service.admin, Scope.OWNER, "ada", dry_run=True)
    assert would.preview.moved == 1
    service.policies.remove(service.admin, Scope.OWNER, "ada")
    assert shown(service, "hers").deadline == MONDAY + 10 * DAY
    assert moves(service, "hers")[-1].endswith("root removed the policy for owner ada")


def test_a_maximum_ends_nothing_within_a_day(service: FakeService, clock: SetClock) -> None:
    clock.now = MONDAY + 5 * DAY
    service.policies.set(service.admin, Scope.TEMPLATE, "web", [], "2d")
    found = shown(service, "hers")
    assert found.deadline == clock.now + DAY
    assert found.maximum_deadline == found.deadline
    assert found.deadline_because is not None
    assert found.deadline_because.source is Source.TEMPLATE_POLICY
    with pytest.raises(InvalidLifetime):
        service.requests.extend(ADA, "hers", by="1d")
    with pytest.raises(InvalidLifetime):
        service.time_edits.pin(ADA, "hers", "a demonstration", ttl="3d")
    with pytest.raises(InvalidLifetime):
        service.requests.create(ADA, CreateEnvironment(name="long", template="web", ttl="3d"))
    service.requests.create(ADA, CreateEnvironment(name="short", template="web", ttl="1d"))


def test_a_preview_tells_which_stops_and_starts_move(service: FakeService, clock: SetClock) -> None:
    def previewed(*rules: tuple[TimedAction, str]) -> list[tuple[str, str, datetime | None, datetime | None]]:
        found = service.policies.set(service.admin, Scope.TEMPLATE, "web", rules, None, dry_run=True).preview
        assert found.switches_moved == len(found.switch_moves)
        return [(move.environment.name, move.action.value, move.before, move.at) for move in found.switch_moves]

    service.time_edits.add_rule(ADA, "hers", TimedAction.STOP, "0 18 * * * UTC")
    hours = [(TimedAction.STOP, "0 19 * * 1-5 UTC"), (TimedAction.START, "0 8 * * 1-5 UTC")]
    tomorrow = MONDAY + 23 * HOUR
    found = previewed(*hours)
    assert found[0] == ("his", "stop", None, MONDAY + 10 * HOUR), "the soonest first"
    assert sorted(found[1:]) == [("hers", "start", None, tomorrow), ("his", "start", None, tomorrow)]
    assert shown(service, "his").switch_at is None
    service.policies.set(service.admin, Scope.TEMPLATE, "web", hours, None)
    gone = service.policies.remove(service.admin, Scope.TEMPLATE, "web", dry_run=True).preview
    assert {(move.environment.name, move.action.value, move.at) for move in gone.switch_moves} == {
        ("hers", "start", None),
        ("his", "start", None),
        ("his", "stop", None),
    }
    assert gone.moved == 0
    holiday = service.calendars.set(service.admin, "nl", [Holiday(day=MONDAY.date())], dry_run=True).preview
    assert holiday.switch_moves == ()


def test_a_rule_that_stays_in_a_policy_goes_on(service: FakeService, clock: SetClock) -> None:
    service.policies.set(service.admin, Scope.OWNER, "ada", EVENING, None)
    clock.now = MONDAY + HOUR
    service.policies.set(service.admin, Scope.OWNER, "ada", EVENING, "13d")
    (policy,) = service.policies.policies(ADA)
    assert policy.rules[0].since == MONDAY
    assert service.policies.policies(BOB) == []


def test_who_may_and_what_a_policy_needs(service: FakeService) -> None:
    with pytest.raises(Forbidden, match="Only an admin"):
        service.policies.set(ADA, Scope.OWNER, "ada", EVENING, None)
    with pytest.raises(Forbidden, match="Only an admin"):
        service.calendars.set(ADA, "nl", [Holiday(day=date(2027, 4, 27))])
    with pytest.raises(InvalidInput, match="a rule or a maximum"):
        service.policies.set(service.admin, Scope.OWNER, "ada", [], None)
    with pytest.raises(InvalidInput, match="meta"):
        service.policies.set(service.admin, Scope.TEMPLATE, "meta", EVENING, None)
    with pytest.raises(InvalidLifetime, match="holiday calendar"):
        service.policies.set(
            service.admin, Scope.OWNER, "ada", [(TimedAction.DESTROY, "0 19 * * * UTC except x")], None
        )


def test_what_one_transaction_leaves_is_computed_later_and_not_destroyed_before(
    service: FakeService, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.policies.set(service.admin, Scope.TEMPLATE, "web", EVENING, None)
    clock.now = MONDAY + 11 * HOUR
    monkeypatch.setattr(retiming, "PAGE", 1)
    service.policies.remove(service.admin, Scope.TEMPLATE, "web")
    deadlines = {shown(service, name).deadline for name in ("hers", "his")}
    assert MONDAY + 10 * HOUR in deadlines, "one is left, overdue by a policy that is gone"
    assert service.expiry.destroy_due() == []
    assert service.retiming.settle() == 1
    assert service.expiry.destroy_due() == []
    assert shown(service, "hers").deadline == MONDAY + 10 * DAY
    assert shown(service, "his").deadline == MONDAY + 9 * DAY


def unreadable(bundle: Bundle) -> Template:
    raise InvalidTemplate("A later version of the service wrote it.")


def test_without_its_template_an_admin_decides_at_the_deadline_that_it_had(
    service: FakeService, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.catalogue.push(service.admin, ruled("0 19 * * 3 UTC"))
    service.requests.create(ADA, CreateEnvironment(name="ruled", template="web", ttl="10d"))
    monkeypatch.setattr(Bundle, "template", unreadable)
    service.policies.set(service.admin, Scope.OWNER, "ada", [(TimedAction.DESTROY, "0 12 * * 4 UTC")], None)
    clock.now = MONDAY + 2 * DAY + 10 * HOUR
    assert service.expiry.destroy_due() == [], "its rule can't be shown again"
    (hold,) = service.holding.list(service.admin)
    assert (hold.hold.kind, hold.names) == (HoldKind.UNPROVEN, ("ruled",))
    service.holding.release(service.admin, hold.hold.id, "it is over")
    assert service.expiry.destroy_due() == ["ruled"]


def test_without_its_template_a_deadline_stays_and_is_computed_once_it_can_be_read(
    service: FakeService, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.catalogue.push(service.admin, ruled("0 19 * * 3 UTC"))
    service.requests.create(ADA, CreateEnvironment(name="ruled", template="web", ttl="10d"))
    wednesday = MONDAY + 2 * DAY + 10 * HOUR
    assert shown(service, "ruled").deadline == wednesday
    others = [(TimedAction.DESTROY, "0 12 * * 4 UTC")]
    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "template", unreadable)
        retiming = Retiming(service.database, clock, lambda: "2027a")
        policies = Policies(service.database, clock, retiming)
        change = policies.set(service.admin, Scope.OWNER, "ada", others, None)
        assert change.preview.moved == 0
        assert shown(service, "ruled").deadline == wednesday
        retiming.settle()
        assert retiming.settle() == 0, "it is not tried again and again"
        service.time_edits.add_rule(ADA, "ruled", TimedAction.DESTROY, "0 12 * * 5")
        assert shown(service, "ruled").deadline == wednesday, "no other edit moves it to a later moment either"
    assert Retiming(service.database, clock, lambda: "2027a").settle() == 2, "a new process reads it"
    assert shown(service, "ruled").deadline == wednesday
    assert shown(service, "hers").deadline == MONDAY + 3 * DAY + 3 * HOUR
    assert Retiming(service.database, clock, lambda: "2027a").settle() == 0


def test_days_of_a_holiday_calendar_are_left_out_and_an_edit_of_it_moves_deadlines(service: FakeService) -> None:
    service.calendars.set(service.admin, "nl", [Holiday(day=date(2027, 3, 1), title="a holiday")])
    service.time_edits.add_rule(ADA, "hers", TimedAction.DESTROY, "0 19 * * 1-5 UTC except nl")
    assert shown(service, "hers").deadline == MONDAY + DAY + 10 * HOUR
    left = service.reading.explain(ADA, "hers", 5, why_not=True).left_out
    monday = next(one for one in left if one.at == MONDAY + 10 * HOUR)
    assert (monday.prevented.obstacle, monday.prevented.name) == (Obstacle.HOLIDAY, "nl")
    days = [Holiday(day=date(2027, 3, day)) for day in (1, 2)]
    would = service.calendars.set(service.admin, "nl", days, dry_run=True)
    assert would.preview.moved == 1
    service.calendars.set(service.admin, "nl", days)
    assert shown(service, "hers").deadline == MONDAY + 2 * DAY + 10 * HOUR
    assert moves(service, "hers")[-1].endswith("root changed the holiday calendar nl")


def test_a_holiday_that_is_taken_away_destroys_nothing_in_the_past(service: FakeService, clock: SetClock) -> None:
    service.calendars.set(service.admin, "nl", [Holiday(day=date(2027, 3, 1)), Holiday(day=date(2027, 12, 25))])
    service.time_edits.add_rule(ADA, "hers", TimedAction.DESTROY, "0 19 * * 1-5 UTC except nl")
    clock.now = MONDAY + 12 * HOUR
    service.calendars.set(service.admin, "nl", [Holiday(day=date(2027, 12, 25))])
    assert shown(service, "hers").deadline == MONDAY + DAY + 10 * HOUR


def test_a_calendar_that_rules_refer_to_stays(service: FakeService) -> None:
    with pytest.raises(InvalidTemplate):
        service.catalogue.push(service.admin, ruled("0 19 * * 1-5 UTC except nl"))
    service.calendars.set(service.admin, "nl", [Holiday(day=date(2027, 4, 27))])
    service.catalogue.push(service.admin, ruled("0 19 * * 1-5 UTC except nl"))
    service.policies.set(service.admin, Scope.OWNER, "ada", [(TimedAction.DESTROY, "0 19 * * * UTC except nl")], None)
    with pytest.raises(NotAllowedNow, match="policy for owner ada, template web"):
        service.calendars.remove(service.admin, "nl")
    service.calendars.set(service.admin, "unused", [Holiday(day=date(2027, 4, 27))])
    service.calendars.remove(service.admin, "unused")
    assert [calendar.name for calendar in service.calendars.calendars()] == ["nl"]


def test_another_zone_database_has_everything_computed_again(service: FakeService, clock: SetClock) -> None:
    assert Retiming(service.database, clock, lambda: "2026a").settle() == 0
    assert Retiming(service.database, clock, lambda: "2026a").settle() == 0
    assert Retiming(service.database, clock, lambda: "2026b").settle() == 2
    assert moves(service, "hers") == [], "no rule has another moment by it"


def test_calendars_have_limits(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [Holiday(day=date(2027, 1, 1) + timedelta(days=number)) for number in range(5001)]
    with pytest.raises(InvalidInput, match="1 to 5000 days"):
        service.calendars.set(service.admin, "many", days)
    with pytest.raises(InvalidInput, match="title of 2027-01-01 has more than 200"):
        service.calendars.set(service.admin, "many", [days[0].model_copy(update={"title": "x" * 201})])
    service.calendars.set(service.admin, "many", days[:5000])
    monkeypatch.setattr(calendars, "MOST_CALENDARS", 1)
    with pytest.raises(InvalidInput, match="calendars already"):
        service.calendars.set(service.admin, "more", days[:1])
    service.calendars.set(service.admin, "many", days[:1])


def test_a_page_of_calendars_ends_by_its_bytes_and_their_number_is_limited_all_the_same(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [Holiday(day=date(2027, 1, 1) + timedelta(days=number), title="x" * 200) for number in range(50)]
    monkeypatch.setattr(pages, "LARGEST_BYTES", 20_000)
    for name in ("one", "two", "three"):
        service.calendars.set(service.admin, name, days)
    page = service.calendars.calendars(limit=200)
    assert ([one.name for one in page], page.more) == (["one"], True)
    assert [one.name for one in service.calendars.calendars(after="one", limit=200)] == ["three"]
    monkeypatch.setattr(calendars, "MOST_CALENDARS", 3)
    with pytest.raises(InvalidInput, match="calendars already"):
        service.calendars.set(service.admin, "more", days[:1])
    with pytest.raises(NotFound, match="'three'"):
        service.calendars.calendar("thre")


def test_a_title_that_was_stored_without_a_limit_is_shown_cut(service: FakeService, clock: SetClock) -> None:
    days = (Holiday(day=date(2027, 1, 1), title="x" * 9000), Holiday(day=date(2027, 1, 2), title="short"))
    with service.database.write() as tx:
        tx.calendars.put(HolidayCalendar(name="old", days=days, set_by="ada", set_at=clock()))
    shown = presenting_timing.calendar(service.calendars.calendar("old"))
    assert [len(day.title) for day in shown.days] == [200, 5]
