"""Stops and starts by the calendar: each moment once, by whoever leads, and never against what a person asked for."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Deployment, Environment, Event, EventType
from environments.domain.errors import InvalidTemplate, StepFailed
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.domain.timing import Because, Holiday, Obstacle, OwnRule, Scope, Source, TimedAction
from environments.engine import progress
from environments.engine.clock_check import ClockCheck, Told, Witness
from environments.engine.scheduler import Retention, Scheduler
from environments.service.calendars import Calendars
from environments.service.deadlines import read_template, timed
from environments.service.explaining import next_left_out, next_moments
from environments.service.policies import Policies
from environments.service.retiming import Retiming
from environments.service.time_edits import TimeEdits
from tests.support.engine_harness import ADMIN, DATABASES, EngineHarness, open_harness

TEMPLATE = """
[template]
name = "things"
version = "1"
[lifetime]
stop = ["0 19 * * 1-5"]
start = ["0 8 * * 1-5"]
[parameters.word]
type = "string"
default = "hello"
[[steps]]
name = "app"
uses = "test.server"
with = { says = "{{ parameters.word }}" }
"""

FIRST = datetime(2027, 3, 1, 9, tzinfo=UTC)
"""A Monday, after the start."""


@pytest.fixture(params=DATABASES[:1])
def setting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineHarness]:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    go(setting, 0, 9)
    setting.create()
    assert setting.wait_for(State.READY, State.FAILED).state is State.READY
    yield setting
    setting.stop()


def go(setting: EngineHarness, day: int, hour: int, minute: int = 0, second: int = 0) -> None:
    """It is so many days after the first Monday, at this hour (UTC)."""
    then = FIRST + timedelta(days=day, hours=hour - 9, minutes=minute, seconds=second)
    setting.clock.ahead += then - setting.clock()


def tick(setting: EngineHarness) -> State:
    """The leader looks; the environment's state once nothing waits or runs."""
    setting.scheduler.tick()
    setting.until(lambda: not unfinished(setting))
    return setting.environment().state


def unfinished(setting: EngineHarness) -> list[Deployment]:
    with setting.database.read() as tx:
        return tx.deployments.unfinished(setting.environment().id)


def history(setting: EngineHarness) -> list[tuple[DeploymentKind, str]]:
    """The deployments and who asked for each, oldest first, without the create."""
    with setting.database.read() as tx:
        found = tx.deployments.of(setting.environment().id)
    return [(one.kind, one.requested_by) for one in reversed(found)][1:]


def told(setting: EngineHarness, kind: EventType) -> list[Event]:
    with setting.database.read() as tx:
        return [event for event in tx.events.after(0, environment_id=None, limit=10_000) if event.type is kind]


STOP, START = (DeploymentKind.STOP, "clock"), (DeploymentKind.START, "clock")


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_each_moment_happens_once_and_says_because_of_which_rule(setting: EngineHarness) -> None:
    found = setting.environment()
    assert (found.switch_at, found.switch_action) == (FIRST.replace(hour=19), TimedAction.STOP)
    go(setting, 0, 18, 59)
    assert tick(setting) is State.READY
    go(setting, 0, 19)
    assert tick(setting) is State.STOPPED
    assert tick(setting) is State.STOPPED
    found = setting.environment()
    assert (found.switch_at, found.switch_action) == (FIRST.replace(day=2, hour=8), TimedAction.START)
    go(setting, 1, 8, 1)
    assert tick(setting) is State.READY
    assert history(setting) == [STOP, START]

    with setting.database.read() as tx:
        start, stop, _ = tx.deployments.of(setting.environment().id)
    place = "template things, version 1, lifetime.{}[0]".format
    assert stop.because == Because(source=Source.TEMPLATE, rule="0 19 * * 1-5 UTC", place=place("stop"))
    assert start.because == Because(source=Source.TEMPLATE, rule="0 8 * * 1-5 UTC", place=place("start"))
    assert stop.reason == (
        "stopped by the calendar, due at 2027-03-01 19:00 UTC: rule '0 19 * * 1-5 UTC' of template things, version 1, "
        "lifetime.stop[0]"
    )
    asked = [event for event in told(setting, EventType.DEPLOYMENT_REQUESTED) if event.deployment_id == stop.id]
    assert [event.data["because"]["rule"] for event in asked] == ["0 19 * * 1-5 UTC"]


def test_nothing_is_stopped_or_started_while_the_clocks_disagree(setting: EngineHarness) -> None:
    nomad = [timedelta(hours=-7)]
    witness = Witness("Nomad", lambda: Told(setting.clock() + nomad[0], elsewhere=True))
    check = ClockCheck(setting.database, setting.clock, witnesses=[witness], steady=lambda: 0.0)
    parts = (setting.database, setting.expiry, setting.warnings, setting.clock, Retention())
    scheduler = Scheduler(*parts, switching=setting.switching, clock_check=check)
    go(setting, 0, 19)
    scheduler.tick()
    assert unfinished(setting) == []
    nomad[0] = timedelta(0)
    check.ask()
    scheduler.tick()
    assert [one.kind for one in unfinished(setting)] == [DeploymentKind.STOP]
    setting.until(lambda: not unfinished(setting))


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_two_leaders_and_a_restart_fire_a_moment_once(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    other = setting.make_scheduler()
    setting.scheduler.tick()
    other.tick()
    assert tick(setting) is State.STOPPED
    setting.worker.stop()
    setting.database.close()
    setting.open()
    setting.worker.start()
    assert tick(setting) is State.STOPPED
    assert history(setting) == [STOP]


@pytest.mark.parametrize(
    ("day", "hour", "kinds"),
    [(1, 7, [STOP]), (3, 12, []), (5, 12, [STOP]), (12, 12, [STOP]), (14, 9, [])],
    ids=["a night", "till a noon", "till a Saturday", "two weeks, till a Saturday", "two weeks, till a Monday"],
)
def test_after_downtime_only_what_should_hold_now_is_done(
    setting: EngineHarness, day: int, hour: int, kinds: list[tuple[DeploymentKind, str]]
) -> None:
    go(setting, day, hour)
    assert tick(setting) is (State.STOPPED if kinds else State.READY)
    assert history(setting) == kinds


def test_a_start_at_night_does_not_upset_the_next_stop(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    tick(setting)
    go(setting, 1, 2)
    setting.ended(setting.switching.start(ADMIN, "one").deployment_id)
    assert tick(setting) is State.READY
    go(setting, 1, 8)
    assert tick(setting) is State.READY, "it runs already"
    go(setting, 1, 19)
    assert tick(setting) is State.STOPPED
    assert history(setting) == [STOP, (DeploymentKind.START, "ada"), STOP]


def test_a_stop_by_hand_holds_until_the_next_start(setting: EngineHarness) -> None:
    go(setting, 0, 12)
    setting.ended(setting.switching.stop(ADMIN, "one").deployment_id)
    for hour in (13, 19, 23):
        go(setting, 0, hour)
        assert tick(setting) is State.STOPPED
    go(setting, 1, 8)
    assert tick(setting) is State.READY
    assert history(setting) == [(DeploymentKind.STOP, "ada"), START]


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_a_stop_waits_for_the_end_of_a_deployment(setting: EngineHarness) -> None:
    go(setting, 0, 18, 59)
    setting.worker.stop()
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye"}))
    go(setting, 0, 19, 5)
    setting.scheduler.tick()
    assert setting.environment().switch_at == FIRST.replace(hour=19)
    with setting.database.read() as tx:
        (due, *_) = next_moments(tx, setting.environment(), setting.clock(), 3)
        assert tx.environments.next_moment(setting.clock()) is None, "the scheduler isn't kept awake"
    assert (due.at, due.action) == (FIRST.replace(hour=19), TimedAction.STOP)
    setting.database.close()
    setting.open()
    setting.worker.start()
    setting.until(lambda: not unfinished(setting))
    assert tick(setting) is State.STOPPED
    assert history(setting) == [(DeploymentKind.UPDATE, "ada"), STOP]


def test_a_failed_environment_is_left_as_it_is_and_that_is_told(setting: EngineHarness) -> None:
    def before(verb: str, address: str) -> None:
        raise StepFailed("It is glued to the floor.")

    setting.world.before = before
    setting.ended(setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye"})).deployment_id)
    setting.world.before = lambda verb, address: None
    go(setting, 0, 19)
    assert tick(setting) is State.FAILED
    (event,) = told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)
    assert event.message.startswith("one was not stopped by the calendar: Environment 'one' is failed")
    assert event.data["because"]["rule"] == "0 19 * * 1-5 UTC"
    go(setting, 0, 22)
    setting.ended(setting.recovery.repair(ADMIN, "one").deployment_id)
    assert tick(setting) is State.READY, "who mends it at night can use it"


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_rules_that_fire_each_minute_switch_no_more_often_than_every_five_minutes(setting: EngineHarness) -> None:
    rules = ((TimedAction.STOP, "*/2 * * * * UTC"), (TimedAction.START, "1-59/2 * * * * UTC"))
    own = tuple(OwnRule(action=action, rule=rule, since=setting.clock(), by="ada") for action, rule in rules)
    change(setting, lambda found: {"rules": own})
    for minute in range(1, 14):
        go(setting, 0, 10, minute, 2 * minute)
        tick(setting)
    with setting.database.read() as tx:
        moments = [one.requested_at for one in tx.deployments.of(setting.environment().id)][:-1]
    assert 2 <= len(moments) <= 3
    assert all(later - earlier >= timedelta(minutes=5) for later, earlier in pairwise(moments))
    assert history(setting)[:2] == [STOP, START], "the last moment that passed counts"


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_the_same_reason_is_told_once_however_often_rules_fire(setting: EngineHarness) -> None:
    rules = ((TimedAction.STOP, "*/2 * * * * UTC"), (TimedAction.START, "1-59/2 * * * * UTC"))
    own = tuple(OwnRule(action=action, rule=rule, since=setting.clock(), by="ada") for action, rule in rules)
    change(setting, lambda found: {"rules": own})

    def fail() -> None:
        def before(verb: str, address: str) -> None:
            raise StepFailed("It is glued to the floor.")

        setting.world.before = before
        asked = UpdateEnvironment(parameters={"word": f"bye at {setting.clock():%M}"})
        setting.ended(setting.requests.update(ADMIN, "one", asked).deployment_id)
        assert setting.environment().state is State.FAILED
        setting.world.before = lambda verb, address: None

    fail()
    for minute in range(1, 9):
        go(setting, 0, 10, minute, 30)
        assert tick(setting) is State.FAILED
    assert len(told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)) == 2, "of stops, and of starts"
    fail()
    go(setting, 0, 10, 12, 30)
    assert tick(setting) is State.FAILED
    assert len(told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)) == 3, "another deployment failed"


def test_a_start_that_failed_is_stopped_at_night_and_started_again(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    tick(setting)

    def before(verb: str, address: str) -> None:
        if verb == "run":
            raise StepFailed("It is glued to the floor.")

    setting.world.before = before
    go(setting, 1, 8)
    assert tick(setting) is State.FAILED
    setting.world.before = lambda verb, address: None
    go(setting, 1, 19)
    assert tick(setting) is State.STOPPED
    go(setting, 2, 8)
    assert tick(setting) is State.READY


def test_rules_of_the_environment_count_from_when_they_were_made(setting: EngineHarness) -> None:
    go(setting, 0, 12)
    own = OwnRule(action=TimedAction.STOP, rule="0 11,14 * * * UTC", since=setting.clock(), by="ada")
    change(setting, lambda found: {"rules": (own,)})
    assert tick(setting) is State.READY
    go(setting, 0, 14)
    assert tick(setting) is State.STOPPED
    with setting.database.read() as tx:
        newest = tx.deployments.of(setting.environment().id)[0]
    assert newest.because == Because(source=Source.ENVIRONMENT, rule="0 11,14 * * * UTC", by="ada")


def test_a_zone_that_is_gone_keeps_no_other_environment_from_its_hours(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.push(TEMPLATE.replace('name = "things"', 'name = "far"').replace("1-5", "1-5 Europe/Amsterdam"))
    setting.ended(setting.requests.create(ADMIN, CreateEnvironment(template="far", name="two")).deployment_id)

    def without(name: str) -> ZoneInfo:
        if name == "Europe/Amsterdam":
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)

    monkeypatch.setattr("environments.service.cron.ZoneInfo", without)
    go(setting, 0, 19)
    assert tick(setting) is State.STOPPED
    (event,) = told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)
    assert event.message.startswith("two can't follow the calendar: The rule '0 19 * * 1-5 Europe/Amsterdam'")
    assert "there is no time zone 'Europe/Amsterdam'" in event.message
    monkeypatch.undo()
    go(setting, 0, 20, 1)
    setting.scheduler.tick()
    setting.until(lambda: setting.environment("two").state is State.STOPPED)


def test_another_version_brings_its_own_hours(setting: EngineHarness) -> None:
    setting.push(TEMPLATE.replace('version = "1"', 'version = "2"').replace("0 19", "0 21"))
    setting.ended(setting.requests.update(ADMIN, "one", UpdateEnvironment()).deployment_id)
    assert setting.environment().switch_at == FIRST.replace(hour=21)
    go(setting, 0, 19)
    assert tick(setting) is State.READY
    go(setting, 0, 21)
    assert tick(setting) is State.STOPPED


def test_explain_shows_stops_and_starts_that_change_something(setting: EngineHarness) -> None:
    def upcoming() -> list[tuple[str, str]]:
        with setting.database.read() as tx:
            found = next_moments(tx, setting.environment(), setting.clock(), 3)
        return [(f"{due.at:%a %H:%M}", due.action.value) for due in found]

    assert upcoming() == [("Mon 19:00", "stop"), ("Tue 08:00", "start"), ("Tue 19:00", "stop")]
    setting.ended(setting.switching.stop(ADMIN, "one").deployment_id)
    assert upcoming() == [("Tue 08:00", "start"), ("Tue 19:00", "stop"), ("Wed 08:00", "start")]


def test_a_deadline_goes_on_while_it_is_stopped(setting: EngineHarness) -> None:
    setting.requests.extend(ADMIN, "one", ttl="20h")
    go(setting, 0, 19)
    assert tick(setting) is State.STOPPED
    setting.requests.extend(ADMIN, "one", by="1h")
    go(setting, 1, 6, 1)
    assert tick(setting) is State.DESTROYED
    assert setting.world.things == {}


def change(setting: EngineHarness, changes: Callable[[Environment], dict[str, Any]]) -> None:
    """An edit of what decides about its time, as a request makes it."""
    with setting.database.write() as tx:
        found = setting.environment()
        tx.environments.change(
            found.id, **timed(tx, found, read_template(tx, found), setting.clock(), **changes(found))
        )


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_rules_of_its_own_and_of_a_policy_stop_and_start_it(setting: EngineHarness) -> None:
    edits = TimeEdits(setting.database, setting.clock)
    policies = Policies(setting.database, setting.clock, Retiming(setting.database, setting.clock, lambda: "2027a"))
    edits.add_rule(ADMIN, "one", TimedAction.STOP, "0 12 * * *")
    policies.set(ADMIN, Scope.OWNER, ADMIN.owner, [(TimedAction.START, "0 14 * * *")], None)
    assert setting.environment().switch_at == FIRST.replace(hour=12)
    go(setting, 0, 12)
    assert tick(setting) is State.STOPPED
    go(setting, 0, 14)
    assert tick(setting) is State.READY
    assert history(setting) == [STOP, START]
    with setting.database.read() as tx:
        start, stop, _ = tx.deployments.of(setting.environment().id)
    assert stop.reason.endswith(f"rule '0 12 * * * UTC', set by {ADMIN.owner}")
    owner = ADMIN.owner
    assert start.reason.endswith(f"rule '0 14 * * * UTC' of the policy for owner {owner}, set by {owner}")


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_a_holiday_leaves_out_a_stop_and_no_edit_makes_one_up(setting: EngineHarness) -> None:
    retiming = Retiming(setting.database, setting.clock, lambda: "2027a")
    calendars = Calendars(setting.database, setting.clock, retiming)
    edits = TimeEdits(setting.database, setting.clock)
    calendars.set(ADMIN, "nl", [Holiday(day=FIRST.date())])
    edits.add_rule(ADMIN, "one", TimedAction.STOP, "0 12 * * * except nl")
    go(setting, 0, 13)
    assert tick(setting) is State.READY
    calendars.set(ADMIN, "nl", [Holiday(day=FIRST.date() + timedelta(days=300))])
    assert setting.environment().switch_at == FIRST.replace(hour=19)
    assert tick(setting) is State.READY
    assert history(setting) == []


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_what_has_to_be_computed_again_is_not_stopped(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    with setting.database.write() as tx:
        tx.environments.mark_to_retime("a test")
        assert tx.environments.to_switch(setting.clock(), 10) == []
        tx.environments.retimed(setting.environment().id)
        assert [found.name for found in tx.environments.to_switch(setting.clock(), 10)] == ["one"]


def glued(setting: EngineHarness, *verbs: str) -> None:
    """What these verbs do to things fails from now on; without verbs nothing fails any more."""

    def before(verb: str, address: str) -> None:
        if verb in verbs:
            raise StepFailed("It is glued to the floor.")

    setting.world.before = before


def planned(setting: EngineHarness) -> list[tuple[str, str, int]]:
    with setting.database.read() as tx:
        found = next_moments(tx, setting.environment(), setting.clock(), 3)
    return [(f"{due.at:%a %H:%M}", due.action.value, due.attempt) for due in found]


def wait_for_again(setting: EngineHarness) -> timedelta:
    """Goes to when what failed is tried again; how long that is from now."""
    again = setting.environment().switch_again_at
    assert again is not None
    pause = again - setting.clock()
    setting.clock.ahead += pause
    return pause


@pytest.mark.parametrize("setting", DATABASES, indirect=True)
def test_a_stop_that_fails_is_tried_again_until_it_works(setting: EngineHarness) -> None:
    glued(setting, "halt")
    go(setting, 0, 19)
    assert tick(setting) is State.FAILED
    assert tick(setting) is State.FAILED
    assert history(setting) == [STOP], "not at once"
    again = setting.environment().switch_again_at
    assert again is not None
    assert planned(setting) == [("Mon 19:00", "stop", 2), ("Tue 08:00", "start", 1), ("Tue 19:00", "stop", 1)]
    (event,) = told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)
    assert event.message.startswith("the stop of one by the calendar failed and will be tried again at 2027-03-01 19:0")
    assert event.data["because"]["rule"] == "0 19 * * 1-5 UTC"
    assert (event.data["again_at"], event.data["attempt"]) == (again.isoformat(), 2)

    pauses = []
    for _ in range(3):
        pauses.append(wait_for_again(setting))
        assert tick(setting) is State.FAILED
    assert pauses[0] < pauses[1] < pauses[2]
    glued(setting)
    wait_for_again(setting)
    assert tick(setting) is State.STOPPED
    found = setting.environment()
    assert (found.switch_again_at, found.switch_at) == (None, FIRST.replace(day=2, hour=8))
    assert history(setting) == [STOP] * 5
    with setting.database.read() as tx:
        newest = tx.deployments.of(found.id)[0]
    assert newest.reason.startswith("stopped by the calendar, due at 2027-03-01 19:00 UTC, attempt 5: rule")
    assert newest.because is not None
    assert newest.by_machine
    go(setting, 1, 8)
    assert tick(setting) is State.READY
    go(setting, 1, 19)
    glued(setting, "halt")
    assert tick(setting) is State.FAILED
    assert setting.environment().switch_attempts == 1, "each moment begins to count"


def test_a_start_that_fails_is_tried_again(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    tick(setting)
    glued(setting, "run")
    go(setting, 1, 8)
    assert tick(setting) is State.FAILED
    glued(setting)
    wait_for_again(setting)
    assert tick(setting) is State.READY
    assert history(setting) == [STOP, START, START]


@pytest.mark.parametrize("what", ["start", "repair", "update"])
def test_what_a_person_does_after_a_failed_stop_is_not_undone(setting: EngineHarness, what: str) -> None:
    glued(setting, "halt")
    go(setting, 0, 19)
    assert tick(setting) is State.FAILED
    glued(setting)
    asked = {
        "start": lambda: setting.switching.start(ADMIN, "one"),
        "repair": lambda: setting.recovery.repair(ADMIN, "one"),
        "update": lambda: setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye"})),
    }[what]()
    setting.ended(asked.deployment_id)
    assert setting.environment().switch_again_at is None
    for hour in (20, 22, 23):
        go(setting, 0, hour)
        assert tick(setting) is State.READY
    go(setting, 1, 19)
    assert tick(setting) is State.STOPPED, "the next moment counts again"


def test_a_start_of_a_person_that_fails_at_night_is_left_to_them(setting: EngineHarness) -> None:
    go(setting, 0, 19)
    tick(setting)
    go(setting, 0, 22)
    glued(setting, "run")
    setting.ended(setting.switching.start(ADMIN, "one").deployment_id)
    assert setting.environment().switch_again_at is None
    assert tick(setting) is State.FAILED
    assert history(setting) == [STOP, (DeploymentKind.START, "ada")]


def test_a_retry_by_hand_takes_the_place_of_ours_and_what_fails_again_is_tried_again(setting: EngineHarness) -> None:
    glued(setting, "halt")
    go(setting, 0, 19)
    tick(setting)
    setting.ended(setting.requests.retry(ADMIN, "one").deployment_id)
    assert setting.environment().switch_attempts == 2
    glued(setting)
    wait_for_again(setting)
    assert tick(setting) is State.STOPPED
    assert history(setting) == [STOP, (DeploymentKind.STOP, "ada"), STOP]


def test_what_fails_is_not_tried_again_once_no_rule_asks_for_it(setting: EngineHarness) -> None:
    edits = TimeEdits(setting.database, setting.clock)
    edits.add_rule(ADMIN, "one", TimedAction.STOP, "0 12 * * *")
    glued(setting, "halt")
    go(setting, 0, 12)
    assert tick(setting) is State.FAILED
    edits.remove_rule(ADMIN, "one", TimedAction.STOP, "0 12 * * *")
    wait_for_again(setting)
    assert tick(setting) is State.FAILED
    assert history(setting) == [STOP]
    assert setting.environment().switch_again_at is None
    assert "no rule asks any more" in told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)[-1].message


def test_a_pin_ends_what_is_tried_again_for_good(setting: EngineHarness) -> None:
    edits = TimeEdits(setting.database, setting.clock)
    glued(setting, "halt")
    go(setting, 0, 19)
    tick(setting)
    glued(setting)
    edits.pin(ADMIN, "one", "in use", ttl="1h")
    edits.unpin(ADMIN, "one")
    go(setting, 0, 19, 30)
    assert tick(setting) is State.FAILED
    assert history(setting) == [STOP]


def test_other_edits_leave_what_is_tried_again(setting: EngineHarness) -> None:
    edits = TimeEdits(setting.database, setting.clock)
    glued(setting, "halt")
    go(setting, 0, 19)
    tick(setting)
    glued(setting)
    edits.add_rule(ADMIN, "one", TimedAction.STOP, "0 21 * * *")
    wait_for_again(setting)
    assert tick(setting) is State.STOPPED


def test_a_stop_that_never_works_is_given_up_after_three_days(setting: EngineHarness) -> None:
    setting.push(TEMPLATE.replace('version = "1"', 'version = "2"').replace('start = ["0 8 * * 1-5"]\n', ""))
    setting.ended(setting.requests.update(ADMIN, "one", UpdateEnvironment()).deployment_id)
    go(setting, 4, 19)
    glued(setting, "halt")
    assert tick(setting) is State.FAILED
    go(setting, 7, 18, 59, 30)
    assert tick(setting) is State.FAILED
    assert setting.environment().switch_again_at is None
    assert told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)[-1].message == (
        "the stop of one by the calendar failed and isn't tried again: it was due at 2027-03-05 19:00 UTC"
    )


def not_done(setting: EngineHarness) -> list[tuple[str, str, Obstacle]]:
    with setting.database.read() as tx:
        found = next_left_out(tx, setting.environment(), setting.clock(), 3)
    return [(f"{left.at:%a %H:%M}", left.action.value, left.prevented.obstacle) for left in found]


def test_stops_and_starts_without_effect_are_told_with_what_makes_them_so(setting: EngineHarness) -> None:
    assert not_done(setting) == []
    setting.ended(setting.switching.stop(ADMIN, "one").deployment_id)
    assert not_done(setting) == [("Mon 19:00", "stop", Obstacle.STOPPED)]
    glued(setting, "run")
    setting.ended(setting.switching.start(ADMIN, "one").deployment_id)
    assert all(obstacle is not Obstacle.FAILED for _, _, obstacle in not_done(setting)), "the calendar goes on"


def test_of_what_failed_no_stop_is_promised(setting: EngineHarness) -> None:
    glued(setting, "make", "run")
    setting.ended(setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye"})).deployment_id)
    assert setting.environment().state is State.FAILED
    assert planned(setting) == []
    assert not_done(setting) == [
        ("Mon 19:00", "stop", Obstacle.FAILED),
        ("Tue 08:00", "start", Obstacle.FAILED),
        ("Tue 19:00", "stop", Obstacle.FAILED),
    ]


def test_a_template_that_can_not_be_read_any_more_keeps_nobody_from_their_hours(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = TEMPLATE.replace('"things"', '"old"')
    setting.push(old)
    rules = [{"action": "stop", "rule": "0 19 * * 1-5"}, {"action": "start", "rule": "0 8 * * 1-5"}]
    setting.requests.create(ADMIN, CreateEnvironment(name="two", template="old", rules=rules))
    assert setting.wait_for(State.READY, State.FAILED, name="two").state is State.READY
    readable = Bundle.template

    def template(self: Bundle) -> Template:
        if '"old"' in self.text("template.toml"):
            raise InvalidTemplate("It is of another age.")
        return readable(self)

    monkeypatch.setattr(Bundle, "template", template)
    go(setting, 0, 19)
    assert tick(setting) is State.STOPPED
    assert setting.wait_for(State.STOPPED, name="two").state is State.STOPPED, "a stop needs no template"
    go(setting, 1, 8)
    assert tick(setting) is State.READY
    assert setting.environment("two").state is State.STOPPED
    (event,) = told(setting, EventType.ENVIRONMENT_NOT_SWITCHED)
    assert event.message == "two was not started by the calendar: It is of another age."


def test_a_queued_start_whose_template_can_not_be_read_any_more_fails(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(setting, 0, 19)
    assert tick(setting) is State.STOPPED
    setting.stop()
    setting.open()
    setting.switching.start(ADMIN, "one")

    def template(self: Bundle) -> Template:
        raise InvalidTemplate("It is of another age.")

    monkeypatch.setattr(Bundle, "template", template)
    setting.worker.start()
    environment = setting.wait_for(State.FAILED)
    assert environment.failure is not None
    assert environment.failure.message == "It is of another age."
