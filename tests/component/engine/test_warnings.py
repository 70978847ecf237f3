"""Warnings before an environment is destroyed: each once, again for another deadline, and awaited before the end."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import UpdateEnvironment
from environments.domain.environment import Environment, EventType
from environments.domain.holds import HoldKind
from environments.domain.lifecycle import State
from environments.service.channels import Channel, Target
from environments.service.storage.warnings import QueuedWarning
from environments.service.warnings import GRACE
from tests.fakes.channels import MemoryChannels
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness

WARNED = TEMPLATE.replace('default = "8h"', 'default = "8h"\nwarn = ["24h", "1h"]')
MAIL, HOOK = Target(Channel.EMAIL, "grace@example.net"), Target(Channel.WEBHOOK)
SECRET = {"code": "s3cret"}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    made = open_harness(request, tmp_path)
    made.channels = MemoryChannels(MAIL)
    made.database.close()
    made.open()
    made.push(WARNED)
    yield made
    made.stop()


def outbox(setting: EngineHarness) -> list[QueuedWarning]:
    """The warnings of the present deadline, without those that are events."""
    environment = setting.environment()
    assert environment.deadline is not None
    with setting.database.read() as tx:
        found = tx.warnings.of(environment.id, environment.deadline)
    return [warning for warning in found if warning.channel != Channel.EVENT]


def events(setting: EngineHarness, type_: EventType) -> list[str]:
    with setting.database.read() as tx:
        found = tx.events.after(0, environment_id=setting.environment().id, limit=1000)
    return [event.message for event in found if event.type is type_]


def tick(setting: EngineHarness, later: timedelta = timedelta(0)) -> None:
    """What the scheduler and the sender do in a second, at a moment so much after the present one."""
    setting.clock.ahead += later
    while setting.scheduler.tick():
        pass
    for channel in setting.warnings.channels_due():
        setting.warnings.deliver(channel, 100)


def left(setting: EngineHarness) -> list[int]:
    """For each message that was delivered: how many minutes were left."""
    return [round((message.deadline - message.now) / MINUTE) for _, message in setting.channels.delivered]


def test_each_warning_is_sent_once(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="3d")
    for _ in range(71):
        tick(setting, HOUR)
        tick(setting)
    assert left(setting) == [24 * 60, 60]
    assert len(events(setting, EventType.ENVIRONMENT_WARNING)) == 2
    assert len(events(setting, EventType.ENVIRONMENT_WARNING_DELIVERED)) == 2
    tick(setting, HOUR)
    assert setting.environment().state is State.DESTROYING
    assert left(setting) == [24 * 60, 60]


def test_a_restart_sends_nothing_again_and_loses_nothing(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="3d")
    tick(setting, 2 * DAY)
    setting.database.close()
    setting.open()
    tick(setting)
    assert left(setting) == [24 * 60]
    setting.clock.ahead += 23 * HOUR
    setting.scheduler.tick()  # queues, and then the process dies
    setting.database.close()
    setting.open()
    tick(setting)
    assert left(setting) == [24 * 60, 60]


def test_a_moved_deadline_is_warned_of_again(setting: EngineHarness) -> None:
    """coder#25864: a reminder that the template configures, and that comes again when the deadline moves."""
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    assert left(setting) == [60]
    setting.requests.extend(ADMIN, "one", by="4h")
    assert not setting.environment().warned
    tick(setting)
    assert left(setting) == [60], "nobody is warned at once of what they have just chosen"
    tick(setting, 4 * HOUR)
    assert left(setting) == [60, 60]


def test_what_is_shown_and_warned_of_follows_an_edit_at_once(setting: EngineHarness) -> None:
    """coder#12064 and coder#5080: the deadline shown wasn't the one that counted until something else happened."""
    setting.create(parameters=SECRET, ttl="8h")
    before = setting.environment()
    setting.requests.extend(ADMIN, "one", ttl="5h")
    after = setting.environment()
    assert before.deadline is not None
    assert after.deadline is not None
    assert after.warn_at is not None
    assert after.deadline < before.deadline
    assert after.deadline - after.warn_at == HOUR
    tick(setting, 4 * HOUR - MINUTE)
    assert left(setting) == []
    tick(setting, 2 * MINUTE)
    assert left(setting) == [59]
    tick(setting, HOUR)
    assert setting.environment().state is State.DESTROYING


def test_a_warning_of_a_deadline_that_moved_is_not_delivered(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    [waiting] = outbox(setting)
    setting.requests.extend(ADMIN, "one", by="1d")
    setting.channels.faults = {}
    tick(setting, 5 * MINUTE)
    assert setting.channels.delivered == []
    with setting.database.read() as tx:
        void = tx.warnings.get(waiting.id)
    assert void is not None
    assert (void.next_try, void.delivered_at, void.fault) == (None, None, "the deadline moved")


def test_a_failed_delivery_is_retried_with_pauses_and_seen(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "the mail server refused: 451 later"}
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    for _ in range(120):
        tick(setting, timedelta(seconds=1))
    assert setting.channels.attempts == 4, "after 10, 20 and 40 seconds"
    [waiting] = outbox(setting)
    assert (waiting.attempts, waiting.fault) == (4, "the mail server refused: 451 later")
    [told] = events(setting, EventType.ENVIRONMENT_WARNING_FAILED)
    assert "451 later" in told
    found, _ = setting.warnings.status(ADMIN)
    assert [(one.channel, one.count.failing, one.fault) for one in found] == [(Channel.EMAIL, 1, waiting.fault)]
    setting.channels.faults = {}
    tick(setting, 2 * MINUTE)
    assert len(setting.channels.delivered) == 1
    [delivered] = outbox(setting)
    assert delivered.delivered_at is not None
    assert delivered.fault == ""


def test_a_later_warning_replaces_one_that_could_not_be_delivered(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    setting.create(parameters=SECRET, ttl="3d")
    tick(setting, 2 * DAY)
    setting.clock.ahead += 23 * HOUR
    setting.channels.faults = {}
    tick(setting)
    assert left(setting) == [60]
    assert [warning.fault for warning in outbox(setting)] == ["a later warning replaced it", ""]


def test_nothing_is_destroyed_before_its_last_warning_was_delivered(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    tick(setting, HOUR + GRACE / 2)
    assert setting.environment().state is State.REQUESTED
    [told] = events(setting, EventType.ENVIRONMENT_WARNING_AWAITED)
    assert "at the latest in 30m" in told
    setting.channels.faults = {}
    tick(setting, 5 * MINUTE)
    tick(setting)
    assert setting.environment().state is State.DESTROYING


def test_a_bounded_grace_ends_the_wait(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    tick(setting, HOUR)
    tick(setting, GRACE - MINUTE)
    assert setting.environment().state is State.REQUESTED
    tick(setting, 2 * MINUTE)
    assert setting.environment().state is State.DESTROYING
    tick(setting, DAY)
    assert setting.channels.delivered == []
    assert [warning.fault for warning in outbox(setting)] == ["the environment was destroyed first"]


def test_after_downtime_one_warning_is_sent_and_awaited(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="3d")
    setting.channels.faults = {Channel.EMAIL: "no route"}
    tick(setting, 10 * DAY)
    tick(setting, GRACE - MINUTE)
    assert setting.environment().state is State.REQUESTED, "the grace counts from when the service could know of it"
    setting.channels.faults = {}
    tick(setting, 30 * timedelta(seconds=1))
    tick(setting)
    assert len(setting.channels.delivered) == 1
    assert setting.environment().state is State.DESTROYING


def test_without_channels_nothing_is_awaited(setting: EngineHarness) -> None:
    setting.channels = MemoryChannels()
    setting.database.close()
    setting.open()
    setting.create(parameters=SECRET, ttl="3d")
    tick(setting, 10 * DAY)
    assert setting.environment().state is State.DESTROYING
    assert len(events(setting, EventType.ENVIRONMENT_WARNING)) == 1


def test_every_channel_has_to_deliver(setting: EngineHarness) -> None:
    setting.channels = MemoryChannels(MAIL, HOOK)
    setting.channels.faults = {Channel.WEBHOOK: "it answered 500"}
    setting.database.close()
    setting.open()
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    tick(setting, HOUR)
    assert [target for target, _ in setting.channels.delivered] == [MAIL]
    assert setting.environment().state is State.REQUESTED


def test_a_channel_that_is_configured_no_more_is_not_awaited(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    setting.channels = MemoryChannels()
    setting.database.close()
    setting.open()
    tick(setting, HOUR)
    tick(setting)
    assert setting.environment().state is State.DESTROYING


def test_who_dies_between_sending_and_recording_sends_again_with_the_same_id(setting: EngineHarness) -> None:
    """Delivery is at least once; the id lets a receiver drop the second one."""
    setting.create(parameters=SECRET, ttl="8h")
    setting.clock.ahead += 7 * HOUR
    setting.scheduler.tick()

    class Dead(BaseException):
        """The process ends here."""

    def die() -> None:
        raise Dead

    setting.channels.after = die
    with pytest.raises(Dead):
        setting.warnings.deliver(Channel.EMAIL, 10)
    setting.channels.after = lambda: None
    setting.database.close()
    setting.open()
    tick(setting)
    assert len(setting.channels.delivered) == 1, "the next attempt waits for its pause"
    tick(setting, timedelta(seconds=11))
    tick(setting, HOUR / 2)
    assert len(setting.channels.delivered) == 2
    assert len({message.id for _, message in setting.channels.delivered}) == 1


def test_two_senders_at_once_send_it_once(setting: EngineHarness) -> None:
    """A leader that was paused, and its successor."""
    setting.create(parameters=SECRET, ttl="8h")
    setting.clock.ahead += 7 * HOUR
    setting.scheduler.tick()
    nested = []

    def other() -> None:
        setting.channels.before = lambda: None
        nested.append(setting.warnings.deliver(Channel.EMAIL, 10))

    setting.channels.before = other
    assert setting.warnings.deliver(Channel.EMAIL, 10) == 1
    assert nested == [0]
    assert len(setting.channels.delivered) == 1


def test_a_new_version_of_the_template_says_when_from_now_on(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET, ttl="3d")
    setting.wait_for(State.READY)
    setting.push(WARNED.replace('["24h", "1h"]', '["2h"]').replace('version = "1"', 'version = "2"'))
    setting.requests.update(ADMIN, "one", UpdateEnvironment())
    setting.wait_for(State.READY)
    environment = setting.environment()
    assert environment.deadline is not None
    assert environment.warn_at == environment.deadline - 2 * HOUR


def test_a_template_without_warnings_destroys_on_time(setting: EngineHarness) -> None:
    setting.push(WARNED.replace('["24h", "1h"]', "[]").replace('version = "1"', 'version = "2"'))
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 8 * HOUR)
    assert setting.environment().state is State.DESTROYING
    assert events(setting, EventType.ENVIRONMENT_WARNING) == []


def test_a_fault_of_warnings_keeps_nothing_beyond_the_grace(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.create(parameters=SECRET, ttl="8h")

    def broken(_environment: object) -> list[Target]:
        raise ZeroDivisionError

    monkeypatch.setattr(setting.channels, "targets", broken)
    tick(setting, 8 * HOUR + GRACE + MINUTE)
    assert setting.environment().state is State.DESTROYING


def test_a_deadline_that_is_moved_again_and_again_makes_no_flood(setting: EngineHarness) -> None:
    setting.channels = MemoryChannels(MAIL, HOOK)
    setting.database.close()
    setting.open()
    setting.create(parameters=SECRET, ttl="8h")
    began = setting.clock.ahead
    while setting.clock.ahead - began < 20 * MINUTE:
        setting.requests.extend(ADMIN, "one", ttl="30s")
        tick(setting, timedelta(seconds=28))
    told = len(events(setting, EventType.ENVIRONMENT_WARNING))
    assert told > 40, "each is an event"
    sent = [target for target, _ in setting.channels.delivered]
    assert 4 <= sent.count(MAIL) <= 5
    assert 4 <= sent.count(HOOK) <= 5
    assert setting.channels.attempts == len(sent)


def test_what_waits_for_the_pause_is_delivered_before_the_end(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    assert left(setting) == [60]
    setting.requests.extend(ADMIN, "one", ttl="30s")
    tick(setting, timedelta(seconds=28))
    [waiting] = outbox(setting)
    assert (waiting.attempts, waiting.fault) == (0, "")
    assert waiting.next_try is not None
    tick(setting, timedelta(seconds=30))
    assert setting.environment().state is State.REQUESTED, "its deadline has passed, its last warning waits"
    [told] = events(setting, EventType.ENVIRONMENT_WARNING_AWAITED)
    assert "email to grace@example.net" in told
    tick(setting, 3 * MINUTE)
    assert setting.environment().state is State.REQUESTED
    tick(setting, 2 * MINUTE)
    assert len(setting.channels.delivered) == 2
    _, last = setting.channels.delivered[-1]
    assert last.deadline == setting.environment().deadline
    tick(setting)
    assert setting.environment().state is State.DESTROYING


def test_what_waits_for_the_pause_is_dropped_when_the_deadline_moves(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    setting.requests.extend(ADMIN, "one", ttl="30s")
    tick(setting, timedelta(seconds=28))
    [waiting] = outbox(setting)
    setting.requests.extend(ADMIN, "one", ttl="8h")
    tick(setting, 10 * MINUTE)
    assert left(setting) == [60]
    with setting.database.read() as tx:
        void = tx.warnings.get(waiting.id)
    assert void is not None
    assert (void.next_try, void.attempts, void.fault) == (None, 0, "the deadline moved")


def test_warnings_of_one_deadline_have_no_pause(setting: EngineHarness) -> None:
    """The template says when, at most five times."""
    setting.push(WARNED.replace('["24h", "1h"]', '["3m", "2m", "1m"]').replace('version = "1"', 'version = "2"'))
    setting.create(parameters=SECRET, ttl="8h")
    for later in (8 * HOUR - 3 * MINUTE, MINUTE, MINUTE):
        tick(setting, later)
    assert left(setting) == [3, 2, 1]


def test_a_channel_that_fails_is_not_asked_more_often_by_moving_the_deadline(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    setting.create(parameters=SECRET, ttl="8h")
    for _ in range(10):
        setting.requests.extend(ADMIN, "one", ttl="30s")
        tick(setting, timedelta(seconds=28))
    assert setting.channels.attempts == 1


def test_a_clock_that_was_put_back_makes_nobody_wait_longer(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    setting.clock.ahead -= 6 * HOUR
    setting.requests.extend(ADMIN, "one", ttl="30s")
    tick(setting, timedelta(seconds=28))
    tick(setting, 5 * MINUTE)
    assert len(setting.channels.delivered) == 2


def test_a_fault_of_one_environment_keeps_nobody_else_from_being_warned(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.create("one", parameters=SECRET, ttl="7h")
    setting.create("two", parameters=SECRET, ttl="8h")

    def targets(environment: Environment, verified: Sequence[str] = ()) -> list[Target]:
        if environment.name == "one":
            raise ZeroDivisionError
        return [MAIL]

    monkeypatch.setattr(setting.channels, "targets", targets)
    tick(setting, 7 * HOUR)
    assert [message.environment for _, message in setting.channels.delivered] == ["two"]


def test_the_link_extends_once_and_only_once(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    [(_, message)] = setting.channels.delivered
    assert message.extension == "8h"
    link = setting.links.read(message.link.partition("token=")[2])
    assert link is not None
    before = setting.environment()
    assert before.deadline is not None
    assert setting.links.look(link).outcome == "offered"
    assert setting.environment() == before, "looking changes nothing"
    assert setting.links.use(link).outcome == "extended"
    after = setting.environment()
    assert after.deadline == before.deadline + 8 * HOUR
    assert after.deadline_because is not None
    assert after.deadline_because.by == "the link sent by email to grace@example.net"
    assert setting.links.use(link).outcome == "used"
    setting.requests.extend(ADMIN, "one", until=before.deadline)
    assert setting.links.use(link).outcome == "used", "also when the deadline is what it was"
    assert setting.environment().deadline == before.deadline
    tick(setting, HOUR)
    again = setting.links.read(setting.channels.delivered[-1][1].link.partition("token=")[2])
    assert again is not None
    assert again != link
    assert setting.links.use(link).outcome == "used"
    assert setting.links.use(again).outcome == "extended", "the deadline was set anew, and warned of"


def test_a_link_stays_void_when_the_deadline_moves_back(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    link = setting.links.read(setting.channels.delivered[0][1].link.partition("token=")[2])
    assert link is not None
    before = setting.environment().deadline
    setting.requests.extend(ADMIN, "one", by="10m")
    setting.requests.extend(ADMIN, "one", until=before)
    assert setting.environment().deadline == before
    assert setting.links.look(link).outcome == setting.links.use(link).outcome == "moved"
    assert setting.environment().deadline == before
    tick(setting, HOUR)
    anew = setting.links.read(setting.channels.delivered[-1][1].link.partition("token=")[2])
    assert anew is not None
    assert setting.links.use(link).outcome == "moved", "also when the same moment is warned of again"
    assert setting.links.use(anew).outcome == "extended"
    assert setting.links.use(link).outcome == "moved"


def test_a_link_is_void_once_the_deadline_has_moved(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    link = setting.links.read(setting.channels.delivered[0][1].link.partition("token=")[2])
    assert link is not None
    setting.requests.extend(ADMIN, "one", by="10m")
    assert setting.links.look(link).outcome == setting.links.use(link).outcome == "moved"


def test_a_link_never_passes_the_maximum(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="13d23h")
    tick(setting, 13 * DAY + 22 * HOUR)
    link = setting.links.read(setting.channels.delivered[-1][1].link.partition("token=")[2])
    assert link is not None
    assert setting.links.use(link).outcome == "extended"
    environment = setting.environment()
    assert environment.deadline == environment.maximum_deadline
    tick(setting, HOUR)
    late = setting.links.read(setting.channels.delivered[-1][1].link.partition("token=")[2])
    assert late is not None
    assert setting.links.use(late).outcome == "at_maximum"


def test_a_link_ends(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    link = setting.links.read(setting.channels.delivered[0][1].link.partition("token=")[2])
    assert link is not None
    setting.clock.ahead += HOUR + GRACE + MINUTE
    assert setting.links.use(link).outcome == "expired"
    tick(setting)
    assert setting.links.use(link).outcome == "leaving"


@pytest.mark.parametrize("token", ["", ".", "a.b", "x" * 5000, "Zm9v.Zm9v", "Zm9v", "é.é", "%00.%00"])
def test_what_the_service_has_not_signed_is_no_link(setting: EngineHarness, token: str) -> None:
    assert setting.links.read(token) is None


def test_a_changed_link_is_no_link(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    token = setting.channels.delivered[0][1].link.partition("token=")[2]
    said, _, signature = token.partition(".")
    for place in range(0, len(said), 7):
        other = "A" if said[place] != "A" else "B"
        assert setting.links.read(f"{said[:place]}{other}{said[place + 1 :]}.{signature}") is None
    assert setting.links.read(f"{said}.{'A' * len(signature)}") is None


def _many(setting: EngineHarness) -> set[State]:
    """What becomes of eleven that end together, after all warnings and the grace."""
    for number in range(11):
        setting.create(f"many-{number}", parameters=SECRET, ttl="8h")
    tick(setting, 7 * HOUR)
    tick(setting, HOUR)
    tick(setting, GRACE + MINUTE)
    return {setting.environment(f"many-{number}").state for number in range(11)}


def test_a_warning_that_reached_nobody_is_no_notice(setting: EngineHarness) -> None:
    setting.channels.faults = {Channel.EMAIL: "no route"}
    assert _many(setting) == {State.REQUESTED}
    with setting.database.read() as tx:
        (hold,) = tx.holds.open()
    assert hold.kind is HoldKind.TOO_MANY


def test_a_warning_that_one_channel_delivered_is_notice(setting: EngineHarness) -> None:
    setting.channels = MemoryChannels(MAIL, HOOK)
    setting.database.close()
    setting.open()
    setting.channels.faults = {Channel.EMAIL: "no route"}
    assert _many(setting) == {State.DESTROYING}
