"""What may not stop triggers, or make them do more than they are for: damaged records, changes in between, chains."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from environments.domain.errors import DatabaseUnavailable, StorageError
from environments.domain.lifecycle import State
from environments.domain.received_event import MOST_HOPS, ReceivedState, Source
from environments.domain.trigger import FiringState, Trigger
from environments.service.trigger_effects import Done, Effect, Later, LeftOut
from tests.support.engine_harness import DATABASES
from tests.support.trigger_harness import TEMPLATE, TriggerHarness, open_triggers

PULL = Source.PULL_REQUEST
GONE: dict[str, Any] = {"on": "git.pull_request", "kinds": ["closed"], "action": "destroy", "repository": "acme/shop"}


@pytest.fixture(params=DATABASES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = open_triggers(request, tmp_path)
    harness.push(TEMPLATE)
    yield harness
    harness.database.close()


def test_an_environment_whose_record_is_damaged_stops_no_other(service: TriggerHarness) -> None:
    service.make("broken")
    service.make("one")
    for name in ("broken", "one"):
        service.trigger(on_environment=name, **GONE)
    with service.database.write() as tx:
        tx._connection.execute(text("UPDATE environments SET state = 'odd' WHERE name = 'broken'"))
    (event,) = service.receive(service.event(PULL, "closed"))
    service.process()
    assert service.state("one") is State.DESTROYING
    assert service.received(event).state is ReceivedState.DONE


@pytest.mark.parametrize(("error", "others"), [(StorageError, True), (DatabaseUnavailable, False)])
def test_what_the_database_does_not_take_of_one_firing_stops_no_other(
    service: TriggerHarness, monkeypatch: pytest.MonkeyPatch, error: type[StorageError], *, others: bool
) -> None:
    for name in ("broken", "one"):
        service.make(name)
        service.trigger(on_environment=name, **GONE)
    effects = service.processor._runs._effects
    carry_out = effects.carry_out

    def refused(effect: Effect) -> Done | LeftOut | Later:
        if effect.firing.environment == "broken":
            raise error("The database failed: integer out of range.")
        return carry_out(effect)

    monkeypatch.setattr(effects, "carry_out", refused)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.processor._match()
    due = service.processor._runs.due(10)
    assert len(due) == 2
    ends: AbstractContextManager[object] = nullcontext() if others else pytest.raises(error)
    with ends:
        service.processor.round()
    if not others:
        assert {one.state for one in service.firings(event)} >= {FiringState.PENDING}
        return
    assert service.state("one") is State.DESTROYING
    for _ in range(20):
        service.clock.ahead += timedelta(minutes=2)
        service.process()
    assert {one.environment: one.state for one in service.firings(event)} == {
        "broken": FiringState.FAILED,
        "one": FiringState.DONE,
    }


def test_a_trigger_that_is_removed_changed_or_paused_before_it_fires(service: TriggerHarness) -> None:
    ids = {}
    for name in ("removed", "changed", "paused"):
        service.make(name)
        ids[name] = service.trigger(on_environment=name, **GONE)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.processor._match()
    with service.database.write() as tx:
        assert tx.triggers.remove(ids["removed"])
        changed = tx.triggers.get(ids["changed"])
        assert changed is not None
        other = Trigger.model_validate({**changed.definition.written(), "action": "stop"})
        tx.triggers.change(ids["changed"], definition=other)
        tx.triggers.change(ids["paused"], paused=True)
    service.process()
    assert [service.state(name) for name in ids] == [State.READY] * 3
    states = {firing.environment: (firing.state, firing.reason) for firing in service.firings(event)}
    assert {state for state, _ in states.values()} == {FiringState.LEFT_OUT}
    assert states["removed"][1] == "the trigger is gone"
    assert states["paused"][1] == "the trigger is paused"
    assert states["changed"][1] == "the trigger was changed: its action is stop now"


def test_a_trigger_that_no_longer_counts_for_an_event_when_it_fires(service: TriggerHarness) -> None:
    service.make("one")
    trigger = service.trigger(on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed", fields={"title": "Mend it"}))
    service.processor._match()
    with service.database.write() as tx:
        found = tx.triggers.get(trigger)
        assert found is not None
        narrower = {**found.definition.written(), "when": {"title": "another"}}
        tx.triggers.change(trigger, definition=Trigger.model_validate(narrower))
    service.process()
    assert service.state("one") is State.READY
    (firing,) = service.firings(event)
    assert firing.reason == "the trigger was changed: its condition on title doesn't hold"


def test_an_environment_that_somebody_else_gets_before_it_fires(service: TriggerHarness) -> None:
    one = service.make("one", owner="grace")
    service.trigger(owner="grace", on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.processor._match()
    with service.database.write() as tx:
        tx.environments.change(one.id, owner="linus")
    service.process()
    assert service.state("one") is State.READY
    assert service.firings(event)[0].state is FiringState.REFUSED


def test_a_templates_trigger_acts_for_nobody_who_no_longer_owns_the_environment(service: TriggerHarness) -> None:
    triggers = '\n[[triggers]]\nname = "gone"\non = "nomad.job"\nkinds = ["complete"]\naction = "destroy"\n'
    service.push(TEMPLATE + triggers)
    one = service.make("one", owner="grace")
    (event,) = service.receive(service.event(Source.JOB, "complete", "x/y", environment_id=one.id, origin="nomad"))
    service.processor._match()
    with service.database.write() as tx:
        tx.environments.change(one.id, owner="linus")
        tx.people.change("grace", disabled_at=service.clock(), disabled_by="ada")
    service.process()
    (firing,) = service.firings(event)
    assert firing.state in (FiringState.REFUSED, FiringState.DONE)
    with service.database.read() as tx:
        found = None if firing.deployment_id is None else tx.deployments.get(firing.deployment_id)
    assert found is None or found.requested_by == "linus"


def test_an_owner_who_is_disabled_between_matching_and_firing(service: TriggerHarness) -> None:
    service.make("one", owner="grace")
    service.trigger(owner="grace", on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.processor._match()
    with service.database.write() as tx:
        tx.people.change("grace", disabled_at=service.clock(), disabled_by="ada")
    service.process()
    assert service.state("one") is State.READY
    assert service.firings(event)[0].state is FiringState.REFUSED


def test_an_environment_that_is_gone_before_it_fires(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **GONE)
    (event,) = service.receive(service.event(PULL, "closed"))
    service.processor._match()
    with service.database.write() as tx:
        tx._connection.execute(text("UPDATE environments SET state = 'destroyed', destroyed_at = created_at"))
    service.make("one")  # another one of that name
    service.process()
    assert service.state("one") is State.READY
    assert service.firings(event)[0].state is FiringState.LEFT_OUT


def test_two_processors_do_everything_once(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **{**GONE, "action": "extend", "by": "1h"})
    before = service.environment("one").deadline
    other = service.make_processor(service.database)
    service.receive(service.event(PULL, "closed"))
    service.processor._match()
    other._match()
    due = service.processor._runs.due(10)
    assert len(due) == 1
    assert other._runs.run(due[0])
    assert service.processor._runs.run(due[0]) is False
    after = service.environment("one").deadline
    assert before is not None
    assert after is not None
    assert after - before == timedelta(hours=1)


def test_environments_that_trigger_each_other_come_to_an_end(service: TriggerHarness) -> None:
    made = {name: service.make(name) for name in ("one", "two")}
    for name in made:
        service.trigger(on_environment=name, on="environment", kinds=["ready"], action="update", webhook="")
    hops, about, rounds = 0, "one", 0
    while True:
        said = service.event(
            Source.ENVIRONMENT, "ready", made[about].id, environment_id=made[about].id, origin="service", hops=hops
        )
        (event,) = service.receive(said)
        service.process()
        service.settle()
        fired = [one for one in service.firings(event) if one.state is FiringState.DONE]
        if not fired:
            assert service.received(event).state is ReceivedState.REFUSED
            break
        (firing,) = fired
        with service.database.read() as tx:
            deployment = tx.deployments.get(str(firing.deployment_id))
        assert deployment is not None
        hops, about, rounds = deployment.hops, firing.environment, rounds + 1
        assert rounds < 20
    assert rounds == MOST_HOPS + 1


HOSTILE = (
    "{{ event.title }}",
    "*",
    "{{ environment.name }}",
    "a" * 1000,
    "'; DROP TABLE firings; --",
    "%s%n{0}",
    "\\",
    "",
)


@pytest.mark.parametrize("title", HOSTILE)
def test_conditions_are_not_met_by_what_looks_like_one(service: TriggerHarness, title: str) -> None:
    service.make("one")
    for when in ({"title": "wanted"}, {"title": {"matches": "want*"}}, {"title": {"starts_with": "wanted"}}):
        service.trigger(on_environment="one", **{**GONE, "when": when})
    service.trigger(on_environment="one", **{**GONE, "when": {"title": "{{ parameters.none }}"}})
    (event,) = service.receive(service.event(PULL, "closed", fields={"title": title}))
    service.process()
    assert service.firings(event) == []
    assert service.state("one") is State.READY
