"""Triggers on both databases: what they do, once, for whom, and what becomes of what can't be done."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import UpdateEnvironment
from environments.domain.environment import EventType
from environments.domain.lifecycle import State
from environments.domain.received_event import MOST_HOPS, ReceivedState, Source
from environments.domain.trigger import FiringState
from environments.service.authorization import Principal
from environments.service.channels import Channel, Target
from tests.fakes.channels import MemoryChannels
from tests.support.engine_harness import DATABASES
from tests.support.trigger_harness import TEMPLATE, TriggerHarness, open_triggers

PULL, BRANCH, JOB = Source.PULL_REQUEST, Source.BRANCH, Source.JOB
GONE: dict[str, Any] = {"on": "git.pull_request", "kinds": ["closed"], "action": "destroy", "repository": "acme/shop"}
MADE: dict[str, Any] = {
    "on": "git.pull_request",
    "kinds": ["opened", "reopened"],
    "action": "create",
    "repository": "acme/shop",
    "template": "things",
    "environment": "pr-{{ event.number }}",
    "parameters": {"word": "{{ event.title }}"},
}
ONE = {"number": 1, "title": "Mend it"}


@pytest.fixture(params=DATABASES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = open_triggers(request, tmp_path)
    harness.push(TEMPLATE)
    yield harness
    harness.database.close()


def test_a_closed_pull_request_destroys_what_its_trigger_is_for(service: TriggerHarness) -> None:
    service.make("one")
    service.make("other")
    service.trigger(on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    assert (service.state("one"), service.state("other")) == (State.DESTROYING, State.READY)
    (firing,) = service.firings(event)
    assert (firing.state, firing.environment, firing.owner) == (FiringState.DONE, "one", "ada")
    assert service.received(event).state is ReceivedState.DONE
    with service.database.read() as tx:
        deployment = tx.deployments.get(str(firing.deployment_id))
    assert deployment is not None
    assert deployment.by_machine
    assert deployment.hops == 1
    assert deployment.requested_by == "ada"
    assert deployment.because is None
    assert deployment.reason == f"trigger {firing.trigger_name}: pull request acme/shop#1 was closed ({event})"


def test_a_delivery_that_comes_twice_is_one_event(service: TriggerHarness) -> None:
    service.trigger(**MADE)
    first = service.receive(service.event(PULL, "opened", delivery="same", fields=ONE))
    assert service.receive(service.event(PULL, "opened", delivery="same", fields=ONE)) == first
    service.process()
    assert len(service.firings(first[0])) == 1
    assert service.receiving.receive([service.event(PULL, "opened", delivery="same")]) == [(first[0], False)]


def test_a_trigger_creates_with_values_of_the_event(service: TriggerHarness) -> None:
    service.trigger(owner="grace", ttl="3h", **MADE)
    (event,) = service.receive(service.event(PULL, "opened", fields={**ONE, "title": "{{ 7 * 7 }} {{ event.number }}"}))
    service.process()
    made = service.environment("pr-1")
    assert (made.owner, made.parameters["word"]) == ("grace", "{{ 7 * 7 }} {{ event.number }}")
    assert made.deadline is not None
    assert made.deadline - made.created_at == timedelta(hours=3)
    (firing,) = service.firings(event)
    assert (firing.environment_id, firing.state) == (made.id, FiringState.DONE)


def test_the_same_event_that_destroys_builds_nothing_again(service: TriggerHarness) -> None:
    service.make("pr-1")
    service.trigger(on_environment="pr-1", **GONE)
    service.trigger(on_environment="pr-1", **{**GONE, "action": "update"})
    service.trigger(**{**MADE, "kinds": []})
    (event,) = service.receive(service.event(PULL, "closed", fields=ONE))
    service.process()
    service.settle()
    service.process()
    assert service.state("pr-1") is State.DESTROYED
    told = {firing.action.value: (firing.state, firing.reason) for firing in service.firings(event)}
    left_out = (FiringState.LEFT_OUT, "destroyed by the same event")
    assert told["destroy"][0] is FiringState.DONE
    assert told["update"] == told["create"] == left_out


def test_a_reopen_while_it_is_being_destroyed_waits_until_the_name_is_free(service: TriggerHarness) -> None:
    service.make("pr-1")
    service.trigger(on_environment="pr-1", **GONE)
    service.trigger(**MADE)
    service.receive(service.event(PULL, "closed", fields=ONE))
    service.process()
    (event,) = service.receive(service.event(PULL, "reopened", fields=ONE))
    service.process()
    (firing,) = service.firings(event)
    assert firing.state is FiringState.PENDING
    assert "isn't free yet" in firing.reason
    old = service.environment("pr-1").id
    service.settle()
    service.clock.ahead += timedelta(seconds=5)
    service.process()
    assert service.environment("pr-1").id != old
    assert service.state("pr-1") is State.REQUESTED


def test_an_update_waits_for_the_deployment_that_runs(service: TriggerHarness) -> None:
    service.make("one")
    update = {**GONE, "kinds": ["pushed"], "action": "update", "parameters": {"word": "{{ event.head_sha }}"}}
    service.trigger(on_environment="one", **update)
    service.requests.update(Principal("ada", "user", "tok"), "one", _update())
    events = []
    for sha in ("a", "b", "c"):
        events += service.receive(service.event(PULL, "pushed", fields={"head_sha": sha}))
        service.process()
    assert FiringState.DONE not in [service.firings(event)[0].state for event in events]
    service.settle()
    service.clock.ahead += timedelta(minutes=2)
    service.process()
    states = [service.firings(event)[0] for event in events]
    assert [firing.state for firing in states] == [FiringState.LEFT_OUT, FiringState.LEFT_OUT, FiringState.DONE]
    assert states[0].reason == f"replaced by {events[2]}"
    assert service.environment("one").parameters["word"] == "c"


def _update() -> UpdateEnvironment:
    return UpdateEnvironment(parameters={"word": "by hand"})


def test_a_trigger_may_no_more_than_its_owner(service: TriggerHarness) -> None:
    service.make("one", owner="ada")
    service.trigger(owner="grace", on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    (firing,) = service.firings(event)
    assert firing.state is FiringState.REFUSED
    assert service.state("one") is State.READY


def test_a_disabled_owner_stops_a_trigger(service: TriggerHarness) -> None:
    service.make("one", owner="grace")
    service.trigger(owner="grace", on_environment="one", **GONE)
    with service.database.write() as tx:
        tx.people.change("grace", disabled_at=service.clock(), disabled_by="ada")
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    (firing,) = service.firings(event)
    assert (firing.state, firing.reason) == (
        FiringState.REFUSED,
        "grace is disabled, and the trigger acts for them.",
    )
    assert service.state("one") is State.READY


def test_a_chain_ends(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **GONE)
    last, beyond = service.receive(
        service.event(PULL, "opened", hops=MOST_HOPS), service.event(PULL, "closed", hops=MOST_HOPS + 1)
    )
    service.process()
    assert service.received(last).state is ReceivedState.DONE
    assert service.received(beyond).state is ReceivedState.REFUSED
    assert "chain of 5" in service.received(beyond).reason
    assert service.state("one") is State.READY


def test_an_unknown_kind_is_recorded_and_has_no_effect(service: TriggerHarness) -> None:
    (event,) = service.receive(service.event(PULL, "exploded"))
    service.process()
    assert service.received(event).state is ReceivedState.REFUSED


IN_TEMPLATE = (
    TEMPLATE
    + """
[[triggers]]
name = "over"
on = "nomad.job"
kinds = ["complete"]
action = "destroy"
[[triggers]]
name = "branch-gone"
on = "git.branch"
kinds = ["deleted"]
webhook = "forge"
repository = "acme/shop"
when = { branch = "{{ parameters.word }}" }
action = "destroy"
"""
)


def test_triggers_of_a_template_stand_on_each_of_its_environments(service: TriggerHarness) -> None:
    service.push(IN_TEMPLATE)
    one, two = service.make("one", owner="grace", word="a"), service.make("two", word="b")
    (event,) = service.receive(service.event(JOB, "complete", "one/batch", environment_id=one.id, origin="nomad"))
    service.process()
    (firing,) = service.firings(event)
    assert (firing.trigger_id, firing.owner) == ("template/things/over", "grace")
    assert (service.state("one"), service.state("two")) == (State.DESTROYING, State.READY)
    service.receive(service.event(BRANCH, "deleted", "acme/shop@b", fields={"branch": "b"}))
    service.process()
    assert service.state("two") is State.DESTROYING
    assert two.id != one.id


def test_events_of_an_environment_that_its_owner_does_not_see_trigger_nothing(service: TriggerHarness) -> None:
    hidden, seen = service.make("hidden", owner="grace"), service.make("seen", owner="linus")
    service.make("mine", owner="linus")
    service.trigger(owner="linus", on_environment="mine", on="environment", kinds=["failed"], action="stop", webhook="")
    said = service.event(Source.ENVIRONMENT, "failed", hidden.id, environment_id=hidden.id, origin="service")
    (event,) = service.receive(said)
    service.process()
    assert service.firings(event) == []
    (event,) = service.receive(said.model_copy(update={"delivery": "x", "environment_id": seen.id, "subject": seen.id}))
    service.process()
    service.settle()
    assert service.state("mine") is State.STOPPED


def test_a_trigger_tells_people(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **{**GONE, "action": "notify", "message": "{{ event.title }} was closed"})
    service.receive(service.event(PULL, "closed", fields={"title": "Mend <b>it</b>"}))
    service.process()
    with service.database.read() as tx:
        told = [
            event
            for event in tx.events.after(0, environment_id=None, limit=1000)
            if event.type is EventType.ENVIRONMENT_NOTICE
        ]
    assert [event.message for event in told] == ["Mend <b>it</b> was closed"]


def test_a_trigger_extends(service: TriggerHarness) -> None:
    before = service.make("one").deadline
    service.trigger(on_environment="one", **{**GONE, "action": "extend", "by": "2h"})
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    after = service.environment("one").deadline
    assert before is not None
    assert after is not None
    assert after - before == timedelta(hours=2)
    assert service.firings(event)[0].state is FiringState.DONE
    service.trigger(on_environment="one", **{**GONE, "action": "extend", "by": "300d"})
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    assert {firing.state for firing in service.firings(event)} == {FiringState.DONE, FiringState.REFUSED}


def test_stop_and_start(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **{**GONE, "action": "stop"})
    service.trigger(on_environment="one", **{**GONE, "kinds": ["reopened"], "action": "start"})
    for kind, state in (("closed", State.STOPPED), ("closed", State.STOPPED), ("reopened", State.READY)):
        service.receive(service.event(PULL, kind))
        service.process()
        service.settle()
        assert service.state("one") is state


def test_what_an_event_says_is_compared_with_what_its_source_says_now(service: TriggerHarness) -> None:
    class Asked:
        def still(self, event: object) -> bool | None:
            return False

    service.make("one")
    service.trigger(on_environment="one", **GONE)
    service.sources = Asked()
    service.processor = service.make_processor(service.database)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    assert service.state("one") is State.READY
    assert service.firings(event)[0].reason == "pull request acme/shop#1 was closed, and isn't so any more"


def test_an_event_that_something_later_made_void_has_no_effect(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **GONE)
    now = service.clock()
    (later,) = service.receive(service.event(PULL, "reopened", at=now))
    (event,) = service.receive(service.event(PULL, "closed", at=now - timedelta(seconds=1)))
    service.process()
    assert service.state("one") is State.READY
    assert service.firings(event)[0].reason == f"{later} tells something later of the same"


def test_what_is_old_is_forgotten(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed", delivery="first"))
    service.process()
    now = service.clock() + timedelta(days=31)
    with service.database.write() as tx:
        assert (
            tx.received.forget(events_before=now - timedelta(days=30), deliveries_before=now - timedelta(days=90)) == 1
        )
        assert tx.received.get(event) is None
        assert tx.firings.of_event(event) == []
        assert tx.received.known("forge", "first") == event
    assert service.receiving.receive([service.event(PULL, "closed", delivery="first")]) == [(event, False)]
    with service.database.write() as tx:
        far = now + timedelta(days=90)
        assert tx.received.forget(events_before=far, deliveries_before=far) == 1
        assert tx.received.known("forge", "first") is None


def test_a_notice_goes_by_the_channels_of_warnings(service: TriggerHarness) -> None:
    service.channels = MemoryChannels(Target(Channel.WEBHOOK))
    service.database.close()
    service.open()
    service.make("one")
    notify = {**GONE, "action": "notify", "message": "{{ environment.name }}: {{ event.title }}"}
    service.trigger(on_environment="one", **notify)
    service.trigger(on_environment="one", **notify)
    service.receive(service.event(PULL, "closed", fields={"title": "Mend"}))
    service.process()
    service.channels.faults[Channel.WEBHOOK] = "it is down"
    assert service.warnings.deliver("webhook", 10) == 2
    service.channels.faults.clear()
    service.clock.ahead += timedelta(hours=1)
    assert service.warnings.deliver("webhook", 10) == 2
    assert [message.notice for _, message in service.channels.delivered] == ["one: Mend"] * 2
    service.receive(service.event(PULL, "closed", fields={"title": "Again"}))
    service.process()
    service.channels.faults[Channel.WEBHOOK] = "it is down"
    service.clock.ahead += timedelta(days=2)
    service.warnings.deliver("webhook", 10)
    assert service.warnings.channels_due() == []
