"""Destroys by the clock that look wrong are held until an admin decides; all others go on."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog import PrintLogger, make_filtering_bound_logger, wrap_logger
from structlog.testing import LogCapture

from environments.domain.environment import Environment, EventType
from environments.domain.errors import Forbidden, NotAllowedNow, NotFound, StorageError
from environments.domain.holds import ClockTrouble, Hold, HoldDecision, HoldKind, HoldLimits
from environments.domain.lifecycle import State
from environments.domain.timing import Holiday, PastAction, Scope, TimedAction
from environments.engine import clock_check
from environments.engine.clock_check import ClockCheck, Told, Witness
from environments.service import expiry, holding, retiming
from environments.service.authorization import Principal
from environments.service.calendars import Calendars
from environments.service.expiry import Expiry
from environments.service.holding import HoldDetails, Holding
from environments.service.looking_back import Past, what_happened
from environments.service.policies import Policies
from environments.service.retiming import Retiming
from environments.service.time_edits import TimeEdits
from environments.timing_words import happened_because
from tests.support.decisions.running import ADMIN
from tests.support.decisions.world import World
from tests.support.engine_harness import DATABASES, TEMPLATE, EngineHarness, open_harness

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
USER = Principal("grace", "user", "tok-2")
WRONG = [ClockTrouble("ahead of the clock of Nomad, 1h and more", "The machine's clock is 1h ahead.")]


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE.replace('maximum = "14d"', 'maximum = "10h"'))
    yield setting
    setting.database.close()


def _create(setting: EngineHarness, count: int, ttl: str = "2h") -> list[str]:
    names = [f"many-{number}" for number in range(count)]
    for name in names:
        setting.create(name, parameters={"code": "swordfish"}, ttl=ttl)
    return names


def _open(setting: EngineHarness) -> list[HoldDetails]:
    return list(_holding(setting).list(ADMIN))


def _holding(setting: EngineHarness) -> Holding:
    return Holding(setting.database, setting.clock)


def _told(setting: EngineHarness, name: str) -> tuple[Past, ...]:
    """What `env explain` tells of the past, newest first."""
    with setting.database.read() as tx:
        return what_happened(tx, setting.environment(name), 10)


def _states(setting: EngineHarness, names: Sequence[str]) -> set[State]:
    return {setting.environment(name).state for name in names}


def test_many_that_become_due_without_a_warning_are_held_and_their_owners_can_read_why(setting: EngineHarness) -> None:
    names = _create(setting, 11)
    setting.clock.ahead += 3 * HOUR
    assert setting.expiry.destroy_due() == []
    (hold,) = _open(setting)
    assert hold.hold.kind is HoldKind.TOO_MANY
    assert hold.environments == 11
    assert "11 of 11" in hold.hold.reason
    assert "person of ada" in hold.hold.reason
    assert _states(setting, names) == {State.REQUESTED}
    environment = setting.environment(names[0])
    with setting.database.read() as tx:
        told = tx.events.after(0, environment_id=environment.id, limit=100)
        assert tx.environments.next_moment(setting.clock()) is None
    assert told[-1].type is EventType.ENVIRONMENT_HELD
    assert told[-1].data["hold"] == hold.hold.id == environment.hold_id
    assert "11 of 11" in told[-1].message
    assert "ada" not in told[-1].message, "somebody else's deadlines may be among them"


def test_ten_go_without_an_admin(setting: EngineHarness) -> None:
    names = _create(setting, 10)
    setting.clock.ahead += 3 * HOUR
    assert len(setting.expiry.destroy_due()) == 10
    assert _states(setting, names) == {State.DESTROYING}


def test_those_that_trickle_within_the_hour_are_counted_together(setting: EngineHarness) -> None:
    first, second = _create(setting, 10), ["later-0", "later-1"]
    for name in second:
        setting.create(name, parameters={"code": "swordfish"}, ttl="2h30m")
    setting.clock.ahead += 2 * HOUR + MINUTE
    assert set(setting.expiry.destroy_due()) == set(first)
    setting.clock.ahead += 30 * MINUTE
    assert setting.expiry.destroy_due() == []
    assert [hold.environments for hold in _open(setting)] == [2]


def test_a_warned_deadline_is_never_held_also_after_the_service_was_away(setting: EngineHarness) -> None:
    names = _create(setting, 12)
    setting.clock.ahead += timedelta(hours=1, minutes=50)
    setting.scheduler.tick()  # warns
    setting.clock.ahead += 3 * DAY
    assert len(setting.expiry.destroy_due()) == 12
    assert _open(setting) == []
    assert _states(setting, names) == {State.DESTROYING}


def test_a_short_lifetime_needs_no_more_than_half_of_its_usual_notice(setting: EngineHarness) -> None:
    _create(setting, 12, "20m")
    setting.clock.ahead += timedelta(minutes=18, seconds=5)
    setting.scheduler.tick()  # warns
    setting.clock.ahead += 2 * MINUTE
    assert len(setting.expiry.destroy_due()) == 12
    assert _open(setting) == []


def test_a_warning_is_no_notice_of_a_deadline_that_moved_since(setting: EngineHarness) -> None:
    names = _create(setting, 12)
    setting.clock.ahead += timedelta(hours=1, minutes=50)
    setting.scheduler.tick()
    for name in names:
        setting.requests.extend(ADMIN, name, ttl="8h")
    setting.clock.ahead += 9 * HOUR
    assert setting.expiry.destroy_due() == []
    assert [hold.environments for hold in _open(setting)] == [12]


def test_a_released_hold_destroys_and_says_who_said_so(setting: EngineHarness) -> None:
    names = _create(setting, 11)
    setting.clock.ahead += 3 * HOUR
    setting.expiry.destroy_due()
    (hold,) = _open(setting)
    with pytest.raises(Forbidden):
        _holding(setting).release(USER, hold.hold.id, "mine")
    with pytest.raises(NotFound):
        _holding(setting).release(ADMIN, "hold-nothing", "why not")
    done = _holding(setting).release(ADMIN, hold.hold.id, "it is Monday")
    assert (done.hold.decision, done.hold.decided_by) == (HoldDecision.RELEASED, "ada")
    with pytest.raises(NotAllowedNow):
        _holding(setting).cancel(ADMIN, hold.hold.id, "no")
    assert len(setting.expiry.destroy_due()) == 11
    with setting.database.read() as tx:
        (deployment, _) = tx.deployments.of(setting.environment(names[0]).id)
    assert f"ada released {hold.hold.id}: it is Monday" in deployment.reason
    destroy, held, *_ = _told(setting, names[0])
    assert (destroy.action, destroy.by) == (PastAction.DESTROY, "clock")
    assert destroy.because is not None
    shown = happened_because(destroy.action, destroy.because, destroy.reason)
    assert shown.startswith("ada set this deadline; its deadline was at ")
    assert shown.endswith(f"ada released {hold.hold.id}: it is Monday")
    assert (held.action, held.by) == (PastAction.HELD, "clock")
    assert hold.hold.id in held.reason
    assert "11 of 11" in held.reason


def test_a_release_is_of_what_the_admin_saw(setting: EngineHarness) -> None:
    first = _create(setting, 11)
    setting.create("one-more", parameters={"code": "swordfish"}, ttl="3h")
    setting.clock.ahead += 2 * HOUR + MINUTE
    setting.expiry.destroy_due()
    (seen,) = _open(setting)
    setting.clock.ahead += HOUR
    setting.expiry.destroy_due()  # this one joins them
    with pytest.raises(NotAllowedNow, match="12 environments by now, and 11"):
        _holding(setting).release(ADMIN, seen.hold.id, "they are over", seen.environments)
    assert setting.expiry.destroy_due() == []
    _holding(setting).release(ADMIN, seen.hold.id, "all of them", 12)
    assert set(setting.expiry.destroy_due()) == {*first, "one-more"}


def test_a_release_of_many_shows_each_deadline_again(setting: EngineHarness) -> None:
    names = _create(setting, 11, "9h")
    _move_by_hand(setting, "many-1")
    setting.clock.ahead += 9 * HOUR + MINUTE
    setting.expiry.destroy_due()
    (many,) = _open(setting)
    _holding(setting).release(ADMIN, many.hold.id, "they are over")
    assert set(setting.expiry.destroy_due()) == {*names} - {"many-1"}
    (hold,) = _open(setting)
    assert (hold.hold.kind, hold.names) == (HoldKind.UNPROVEN, ("many-1",))
    _holding(setting).release(ADMIN, hold.hold.id, "that one, too")
    assert setting.expiry.destroy_due() == ["many-1"]


def test_a_cancelled_hold_keeps_them_past_the_maximum_and_warns_again(setting: EngineHarness) -> None:
    names = _create(setting, 11)
    setting.clock.ahead += 20 * HOUR
    setting.expiry.destroy_due()
    (hold,) = _open(setting)
    _holding(setting).cancel(ADMIN, hold.hold.id, "a mistake", "5h")
    assert setting.expiry.destroy_due() == []
    assert _open(setting) == []
    environment = setting.environment(names[0])
    assert environment.deadline is not None
    assert timedelta(hours=4, minutes=50) < environment.deadline - setting.clock() <= 5 * HOUR
    assert environment.pin is not None
    assert (environment.pin.end, environment.pin.reason) == (
        environment.deadline,
        f"cancelled {hold.hold.id}: a mistake",
    )
    extend, held, *_ = _told(setting, names[0])
    assert (extend.action, extend.by, held.action) == (PastAction.EXTEND, "ada", PastAction.HELD)
    assert f"ada cancelled its destroy ({hold.hold.id}: a mistake)" in extend.reason
    assert environment.deadline_because is not None
    assert environment.deadline_because.by == "ada"
    assert (environment.warned, environment.hold_id) == (False, None)
    setting.clock.ahead += timedelta(hours=4, minutes=30)
    setting.scheduler.tick()
    assert setting.environment(names[0]).warned


def test_an_owner_can_extend_or_destroy_what_is_held(setting: EngineHarness) -> None:
    names = _create(setting, 11)
    setting.clock.ahead += 3 * HOUR
    setting.expiry.destroy_due()
    setting.requests.extend(ADMIN, names[0], ttl="1h")
    for name in names[1:]:
        setting.requests.destroy(ADMIN, name)
    setting.expiry.destroy_due()
    assert _open(setting) == []
    assert setting.environment(names[0]).hold_id is None
    (ended,) = _holding(setting).list(ADMIN, ended=True)
    assert ended.hold.decision is HoldDecision.ENDED


def _move_by_hand(setting: EngineHarness, name: str) -> Environment:
    """Something other than the service writes a deadline into the database."""
    with setting.database.write() as tx:
        environment = tx.environments.named(name)
        assert environment is not None
        tx.environments.change(environment.id, deadline=setting.clock() + MINUTE, warn_at=None)
        return environment


def test_a_deadline_that_does_not_follow_from_what_is_stored_is_held_alone(setting: EngineHarness) -> None:
    _create(setting, 2, "9h")
    environment = _move_by_hand(setting, "many-1")
    setting.clock.ahead += HOUR
    assert setting.expiry.destroy_due() == []
    (hold,) = _open(setting)
    assert hold.hold.kind is HoldKind.UNPROVEN
    assert hold.names == ("many-1",)
    _holding(setting).cancel(ADMIN, hold.hold.id, "what was stored is right", "1h")
    assert setting.environment("many-1").deadline == environment.set_deadline


def _at(moment: datetime) -> str:
    """A rule that fires at that moment, to the minute."""
    return f"{moment.minute} {moment.hour} {moment.day} {moment.month} * UTC"


def _policies(setting: EngineHarness) -> Policies:
    return Policies(setting.database, setting.clock, _retiming(setting))


def _retiming(setting: EngineHarness) -> Retiming:
    return Retiming(setting.database, setting.clock, lambda: "2026a")


def _wrong_policy(setting: EngineHarness) -> list[str]:
    """Eleven environments, which a policy ends in some minutes, by the clock of a while later."""
    names = _create(setting, 11, "9h")
    setting.clock.ahead += 5 * HOUR
    rule = _at(setting.clock() + 4 * MINUTE)
    _policies(setting).set(ADMIN, Scope.OWNER, "ada", [(TimedAction.DESTROY, rule)], None)
    setting.scheduler.tick()  # warns at once, and that is too late
    setting.clock.ahead += 5 * MINUTE
    return names


def test_young_environments_that_a_wrong_policy_ends_within_minutes_are_held(setting: EngineHarness) -> None:
    names = _create(setting, 11, "9h")
    setting.clock.ahead += 20 * MINUTE
    rule = _at(setting.clock() + 4 * MINUTE)
    _policies(setting).set(ADMIN, Scope.OWNER, "ada", [(TimedAction.DESTROY, rule)], None)
    setting.scheduler.tick()  # warns: early enough for the 24 minutes that were left to them, if they had been meant so
    setting.clock.ahead += 5 * MINUTE
    setting.scheduler.tick()
    assert [(hold.hold.kind, hold.environments) for hold in _open(setting)] == [(HoldKind.TOO_MANY, 11)]
    assert _states(setting, names) == {State.REQUESTED}


def test_what_a_wrong_policy_ends_within_minutes_is_held_and_lives_on_without_it(setting: EngineHarness) -> None:
    names = _wrong_policy(setting)
    set_until = setting.environment(names[0]).set_deadline
    setting.scheduler.tick()
    (hold,) = _open(setting)
    assert (hold.hold.kind, hold.environments) == (HoldKind.TOO_MANY, 11)
    assert "11 by owner policy of ada" in hold.hold.reason
    _policies(setting).remove(ADMIN, Scope.OWNER, "ada")
    environment = setting.environment(names[0])
    assert environment.deadline == set_until
    assert (environment.hold_id, environment.hold_released, environment.warned_at) == (None, False, None)
    setting.scheduler.tick()
    assert _open(setting) == []
    assert _states(setting, names) == {State.REQUESTED}


def test_a_cancelled_hold_keeps_what_a_policy_allows_no_longer_life(setting: EngineHarness) -> None:
    names = _create(setting, 11, "9h")
    _policies(setting).set(ADMIN, Scope.OWNER, "ada", [], "6h")
    setting.clock.ahead += 3 * DAY
    assert setting.expiry.destroy_due() == []
    (hold,) = _open(setting)
    _holding(setting).cancel(ADMIN, hold.hold.id, "the policy was a mistake", "2d")
    setting.clock.ahead += DAY
    assert setting.expiry.destroy_due() == []
    assert _open(setting) == []
    assert _states(setting, names) == {State.REQUESTED}


def test_what_waits_to_be_computed_again_is_neither_held_nor_destroyed(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _wrong_policy(setting)
    monkeypatch.setattr(retiming, "PAGE", 1)
    _policies(setting).remove(ADMIN, Scope.OWNER, "ada")
    now = setting.clock()
    overdue = [name for name in names if (found := setting.environment(name).deadline) and found < now]
    assert len(overdue) == 10, "one was computed with the edit"
    assert setting.expiry.destroy_due() == []
    assert setting.expiry.destroy_due(WRONG) == []
    assert [hold.environments for hold in _open(setting)] == [0], "only the clocks are held, and nothing with them"
    assert _retiming(setting).settle() >= 10
    assert setting.expiry.destroy_due() == []
    assert _states(setting, names) == {State.REQUESTED}


def test_a_pin_ends_the_hold_of_an_environment(setting: EngineHarness) -> None:
    names = _wrong_policy(setting)
    setting.scheduler.tick()
    edits = TimeEdits(setting.database, setting.clock)
    for name in names:
        edits.pin(ADMIN, name, "still needed", ttl="2h")
    assert {setting.environment(name).hold_id for name in names} == {None}
    setting.scheduler.tick()
    assert _open(setting) == []
    assert _states(setting, names) == {State.REQUESTED}


def test_a_pinned_environment_with_a_deadline_of_nobody_is_not_destroyed(setting: EngineHarness) -> None:
    (name,) = _create(setting, 1, "9h")
    TimeEdits(setting.database, setting.clock).pin(ADMIN, name, "still needed", ttl="5h")
    with setting.database.write() as tx:
        tx.environments.change(setting.environment(name).id, deadline=setting.clock() + MINUTE, warn_at=None)
    setting.clock.ahead += HOUR
    assert setting.expiry.destroy_due() == []
    assert [hold.hold.kind for hold in _open(setting)] == [HoldKind.UNPROVEN]


def _by_rule_of_policy(setting: EngineHarness) -> None:
    rule = _at(setting.clock() + 3 * HOUR)
    _policies(setting).set(ADMIN, Scope.OWNER, "ada", [(TimedAction.DESTROY, rule)], None)


def _by_maximum_of_policy(setting: EngineHarness) -> None:
    _policies(setting).set(ADMIN, Scope.TEMPLATE, "things", [], "2h")


def _by_rule_with_holidays(setting: EngineHarness) -> None:
    at = setting.clock() + 3 * HOUR
    Calendars(setting.database, setting.clock, _retiming(setting)).set(ADMIN, "off", [Holiday(day=at.date())])
    rule = f"{at.minute} {at.hour} * * * UTC except off"
    TimeEdits(setting.database, setting.clock).add_rule(ADMIN, "many-0", TimedAction.DESTROY, rule)


def _by_end_of_pin(setting: EngineHarness) -> None:
    TimeEdits(setting.database, setting.clock).pin(ADMIN, "many-0", "still needed", ttl="30h")


@pytest.mark.parametrize("by", [_by_rule_of_policy, _by_maximum_of_policy, _by_rule_with_holidays, _by_end_of_pin])
def test_a_deadline_by_policy_calendar_or_pin_follows_from_what_is_stored(
    setting: EngineHarness, by: Callable[[EngineHarness], None]
) -> None:
    setting.push(TEMPLATE.replace('maximum = "14d"', 'maximum = "13d"'))
    _create(setting, 1, "1h" if by is _by_end_of_pin else "12d")
    chosen = setting.environment("many-0").deadline
    by(setting)
    environment = setting.environment("many-0")
    assert environment.deadline is not None
    assert environment.deadline != chosen
    setting.clock.ahead = environment.deadline - setting.clock() + setting.clock.ahead - MINUTE
    setting.scheduler.tick()
    assert setting.environment("many-0").state is State.REQUESTED
    setting.clock.ahead += 2 * MINUTE
    assert setting.expiry.destroy_due() == ["many-0"]
    assert _open(setting) == []


def test_a_deadline_that_can_not_be_computed_any_more_is_held(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    _create(setting, 1)
    setting.clock.ahead += 3 * HOUR

    def gone(*_: Any) -> None:
        raise LookupError("no time zone found with key Europe/Nowhere")

    monkeypatch.setattr(expiry, "provable", gone)
    assert setting.expiry.destroy_due() == []
    (hold,) = _open(setting)
    assert hold.hold.kind is HoldKind.UNPROVEN
    assert "Europe/Nowhere" in hold.hold.reason
    assert "many-0" not in hold.hold.reason, "everybody reads it"
    monkeypatch.setattr(holding, "timed", gone)
    _holding(setting).cancel(ADMIN, hold.hold.id, "still needed", "5h")
    environment = setting.environment("many-0")
    assert environment.pin is not None
    assert environment.deadline == environment.pin.end > setting.clock()
    assert (environment.hold_id, environment.warned) == (None, False)


def test_a_wrong_clock_holds_all_until_the_clocks_agree(setting: EngineHarness) -> None:
    _create(setting, 2)
    setting.clock.ahead += timedelta(hours=1, minutes=50)
    setting.scheduler.tick()
    setting.clock.ahead += HOUR
    assert setting.expiry.destroy_due(WRONG) == []
    (hold,) = _open(setting)
    assert (hold.hold.kind, hold.environments) == (HoldKind.CLOCK, 2)
    assert len(setting.expiry.destroy_due()) == 2
    assert _open(setting) == []


def test_those_that_are_not_read_at_once_count_too(setting: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    names = _create(setting, 11)
    setting.clock.ahead += 3 * HOUR
    monkeypatch.setattr(expiry, "_READ_AT_ONCE", 6)
    assert setting.expiry.destroy_due() == []
    assert setting.expiry.destroy_due() == []
    assert [hold.environments for hold in _open(setting)] == [11]
    assert _states(setting, names) == {State.REQUESTED}


def test_what_clocks_held_is_judged_when_an_admin_accepts_them(setting: EngineHarness) -> None:
    _create(setting, 11)
    setting.clock.ahead += 3 * HOUR
    setting.expiry.destroy_due(WRONG)
    (hold,) = _open(setting)
    _holding(setting).release(ADMIN, hold.hold.id, "our clock is right")
    assert setting.expiry.destroy_due() == []
    assert [(hold.hold.kind, hold.environments) for hold in _open(setting)] == [(HoldKind.TOO_MANY, 11)]


def test_a_cancelled_hold_lets_go_of_a_deadline_that_is_late_enough(setting: EngineHarness) -> None:
    (name,) = _create(setting, 1, "9h")
    deadline = setting.environment(name).deadline
    setting.clock.ahead += DAY
    setting.expiry.destroy_due(WRONG)
    setting.clock.ahead -= DAY
    (hold,) = _open(setting)
    _holding(setting).cancel(ADMIN, hold.hold.id, "the clock was wrong", "1h")
    environment = setting.environment(name)
    assert (environment.deadline, environment.pin, environment.hold_id) == (deadline, None, None)


def test_only_what_is_still_due_is_held(setting: EngineHarness) -> None:
    names = _create(setting, 2)
    ids = [setting.environment(name).id for name in names]
    setting.clock.ahead += 3 * HOUR
    setting.requests.extend(ADMIN, names[0], ttl="1h")
    with setting.database.write() as tx:
        assert tx.holds.hold(ids, "hold-1", setting.clock()) == {ids[1]}
    assert setting.environment(names[0]).hold_id is None


def test_open_holds_come_in_pages(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        for number, kind in enumerate([HoldKind.CLOCK, HoldKind.RESTORED, HoldKind.UNPROVEN]):
            opened = setting.clock() + number * MINUTE
            tx.holds.add(Hold(id=f"hold-{number}", kind=kind, opened_at=opened, reason="why"))
        tx.holds.decide("hold-1", HoldDecision.ENDED, "clock", setting.clock(), "gone")
    first = _holding(setting).list(ADMIN, limit=1)
    assert [details.hold.id for details in first] == ["hold-2"]
    assert [details.hold.id for details in _holding(setting).list(ADMIN, before="hold-2")] == ["hold-0"]


def test_what_is_due_at_once_is_queued_in_the_order_of_deadlines_and_a_few_at_a_time(setting: EngineHarness) -> None:
    names = [f"many-{number}" for number in range(9)]
    for number, name in enumerate(reversed(names)):
        setting.create(name, parameters={"code": "swordfish"}, ttl=f"{60 + number}m")
    setting.clock.ahead += 3 * HOUR
    few = Expiry(setting.database, setting.clock, setting.new_id, HoldLimits(at_once=4))
    assert few.destroy_due() == list(reversed(names))[:4]
    assert few.destroy_due() == []
    assert _open(setting) == []


def test_a_hold_survives_a_new_process(setting: EngineHarness) -> None:
    _create(setting, 11)
    setting.clock.ahead += 3 * HOUR
    setting.expiry.destroy_due()
    setting.database.close()
    setting.open()
    assert setting.expiry.destroy_due() == []
    assert [hold.environments for hold in _open(setting)] == [11]


def _world(count: int = 3, *, remote: bool = False) -> World:
    world = World(remote)
    for number in range(count):
        world.create(f"demo-{number}", 5 * HOUR)
    world.tick()
    return world


def _kinds(world: World) -> list[str]:
    return [details.hold.kind.value for details in world.holding.list(ADMIN)]


@pytest.mark.parametrize("by", [6 * HOUR, -6 * HOUR])
def test_a_clock_that_jumps_holds_everything_until_it_is_set(by: timedelta) -> None:
    world = _world()
    world.now += MINUTE
    world.leader.ahead = by
    world.restart()
    world.tick()
    assert _kinds(world) == ["clock"]
    assert "timedatectl" in world.holding.list(ADMIN)[0].hold.reason
    world.leader.ahead = timedelta(0)
    world.now += MINUTE
    world.tick()
    assert _kinds(world) == []
    assert len(world.oracle.living()) == 3


def test_a_clock_that_stops_to_answer_ends_no_hold() -> None:
    world = _world(remote=True)
    world.nomad_ahead = 7 * MINUTE
    world.now += 2 * MINUTE
    world.tick()
    world.nomad_answers = False
    for _ in range(2):
        world.restart()
        world.now += 2 * MINUTE
        world.tick()
        assert _kinds(world) == ["clock"]
    world.nomad_answers, world.nomad_ahead = True, timedelta(0)
    world.now += 2 * MINUTE
    world.tick()
    assert _kinds(world) == []


def _restarted_with_a_wrong_clock() -> World:
    """Another start of the machine with a clock that is days ahead, which only Nomad can tell, and Nomad is silent."""
    world = _world(remote=True)
    world.now += MINUTE
    world.nomad_answers, world.server_ahead = False, 9 * DAY
    world.reboot(9 * DAY)
    return world


def test_nothing_is_destroyed_before_each_clock_has_answered_once() -> None:
    world = _restarted_with_a_wrong_clock()
    for _ in range(11):
        world.tick()
        world.now += timedelta(seconds=10)
    assert _kinds(world) == []
    world.nomad_answers = True
    world.tick()
    assert _kinds(world) == ["clock"]
    assert len(world.oracle.living()) == 3


def test_a_clock_that_is_silent_is_awaited_for_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of its own: a logger that was used before keeps what was configured then.
    logs = LogCapture()
    every = make_filtering_bound_logger(0)
    monkeypatch.setattr(clock_check, "log", wrap_logger(PrintLogger(), processors=[logs], wrapper_class=every))
    world = _world(remote=True)
    world.nomad_answers = False
    world.now += 6 * HOUR
    world.restart()
    for _ in range(12):
        world.tick()
        assert len(world.oracle.living()) == 3
        world.now += timedelta(seconds=10)
    world.tick()
    world.tick()
    away = [line for line in logs.entries if line["event"] == "clock.away"]
    assert [line["clock"] for line in away] == ["the clock of Nomad"]
    assert world.oracle.living() == []


def test_a_clock_that_can_not_be_read_is_asked_again_within_seconds() -> None:
    world = _world(remote=True)
    world.now += 6 * HOUR
    world.restart()
    failing = [StorageError("The database doesn't answer.")] * 2

    def server() -> Told:
        if failing:
            raise failing.pop()
        return Told(world.now, elsewhere=True)

    steady = [0.0]
    witnesses = [Witness("the database", server)]
    check = ClockCheck(
        world.database, world.clock, witnesses=witnesses, steady=lambda: steady[0], later=lambda run: run()
    )
    awaited = []
    for steady[0] in (0.0, 4.0, 5.0, 9.0, 10.0, 11.0):
        assert check.look() == []
        awaited.append(bool(check.awaits()))
    assert awaited == [True, True, True, True, False, False]


def test_a_clock_that_is_not_configured_is_not_awaited() -> None:
    world = _world(remote=False)
    world.now += 6 * HOUR
    world.restart()
    world.tick()
    assert world.oracle.living() == []


def test_a_jump_that_another_start_of_the_machine_hides_waits_for_an_admin() -> None:
    world = _world()
    world.now += MINUTE
    world.leader.ahead = 9 * DAY
    world.tick()
    world.reboot(9 * DAY)
    for _ in range(2):
        world.now += MINUTE
        world.tick()
        assert _kinds(world) == ["clock"]
    world.leader.ahead = timedelta(0)
    world.holding.release(ADMIN, world.holding.list(ADMIN)[0].hold.id, "it is set")
    world.now += MINUTE
    world.tick()
    assert _kinds(world) == []
    assert len(world.oracle.living()) == 3


def test_clocks_that_could_not_be_asked_first_are_asked_before_anything_is_decided() -> None:
    world = _world()
    answers: list[Told | StorageError] = [StorageError("The database is away."), Told(world.now, elsewhere=True)]

    def told() -> Told:
        answer = answers.pop(0)
        if isinstance(answer, StorageError):
            raise answer
        return answer

    steady = [0.0]
    check = ClockCheck(
        world.database,
        lambda: world.now + HOUR,
        witnesses=[Witness("the database", told)],
        steady=lambda: steady[0],
        later=lambda run: run(),
    )
    assert check.look() == []
    assert check.awaits() == ["the database"]
    steady[0] += 5
    assert [trouble.cause for trouble in check.look()] == ["ahead of the clock of the database, 1h and more"]


def test_small_jumps_add_up() -> None:
    world = _world()
    for _ in range(4):
        world.now += 10 * MINUTE
        world.leader.ahead += 2 * MINUTE
        world.tick()
    assert _kinds(world) == ["clock"]


def test_a_clock_that_another_machine_confirms_was_corrected() -> None:
    world = World(remote=True)
    world.leader.ahead = -9 * HOUR
    world.nomad_ahead = world.server_ahead = -9 * HOUR
    world.tick()
    world.now += HOUR
    world.leader.ahead = world.nomad_ahead = world.server_ahead = timedelta(0)
    world.tick()
    assert _kinds(world) == []


@pytest.mark.parametrize("which", ["nomad_ahead", "server_ahead"])
def test_another_clock_that_disagrees_holds_everything_until_an_admin_accepts_it(which: str) -> None:
    world = _world(remote=True)
    setattr(world, which, 7 * MINUTE)
    world.now += 2 * MINUTE
    world.tick()
    (details,) = world.holding.list(ADMIN)
    assert details.hold.kind.value == "clock"
    world.holding.release(ADMIN, details.hold.id, "our clock is right")
    for _ in range(5):
        world.now += 2 * MINUTE
        world.tick()
    assert _kinds(world) == []
    world.now += DAY
    world.tick()
    assert _kinds(world) == ["clock"]  # accepted for a day


@pytest.mark.parametrize("remote", [False, True])
def test_what_a_restored_database_makes_due_is_held(remote: bool) -> None:
    world = _world(remote=remote)
    copied = world.copy()
    world.now += 2 * MINUTE
    world.tick()
    for id in world.oracle.living():
        assert world.extend(id, world.now + 2 * DAY)
    world.now += 6 * HOUR
    world.tick()
    world.restore(copied)
    world.tick()
    assert [details.hold.kind.value for details in world.holding.list(ADMIN, ended=True)] == ["restored"]
    assert len(world.oracle.living()) == 3
