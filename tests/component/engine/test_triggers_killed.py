"""SIGKILL between receiving and acting: whatever commit the process dies at, each event has its effect exactly once."""

import gc
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.lifecycle import State
from environments.domain.received_event import ReceivedState, Source
from environments.domain.trigger import FiringState
from environments.service.receiving import Receiving
from tests.support.engine_harness import DATABASES
from tests.support.trigger_harness import (
    TEMPLATE,
    DeadlyStorage,
    TriggerHarness,
    died,
    kill_self,
    open_triggers,
)

CLOSED: dict[str, Any] = {"on": "git.pull_request", "kinds": ["closed"], "repository": "acme/shop"}
MOST_COMMITS = 12
"""More than the events of this test take."""


def prepared(service: TriggerHarness) -> None:
    """Two environments with triggers of each kind."""
    service.push(TEMPLATE)
    service.make("one")
    service.make("two")
    service.trigger(on_environment="one", action="destroy", **CLOSED)
    service.trigger(on_environment="two", action="update", parameters={"word": "{{ event.title }}"}, **CLOSED)
    service.trigger(action="create", template="things", environment="pr-{{ event.number }}", **CLOSED)
    service.trigger(on_environment="two", action="notify", message="closed", **CLOSED)


def life(folder: Path, service: TriggerHarness, at: int, *, after: bool) -> None:
    """One process: it receives the same delivery as the forge sends it again, and processes; it dies at a commit."""
    other = TriggerHarness(*service.place)
    other.prefix = f"{at}-{after}-"
    storage = DeadlyStorage(other.database, at, after=after, die=kill_self)
    receiving = Receiving(storage, other.clock, other.new_id)
    event = other.event(Source.PULL_REQUEST, "closed", delivery="one", fields={"number": 7, "title": "Mend"})
    receiving.receive([event])
    processor = other.make_processor(storage)
    for _ in range(5):
        processor.round()


@pytest.fixture(params=DATABASES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> TriggerHarness:
    return open_triggers(request, tmp_path)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_each_event_has_its_effect_once_wherever_the_process_dies(
    service: TriggerHarness, tmp_path: Path, after: bool
) -> None:
    prepared(service)
    service.database.close()
    gc.collect()
    deaths = 0
    for at in range(1, MOST_COMMITS):
        # Each process dies one commit later than the one before it, counted from where it took over.
        if not died(lambda at=at: life(tmp_path, service, at, after=after)):  # type: ignore[misc]
            break
        deaths += 1
    assert deaths >= 3
    service.open()
    check(service)


@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_one_death_at_each_commit(service: TriggerHarness, tmp_path: Path, at: int, after: bool) -> None:
    prepared(service)
    service.database.close()
    gc.collect()
    assert died(lambda: life(tmp_path, service, at, after=after))
    assert not died(lambda: life(tmp_path, service, 100, after=after))
    service.open()
    check(service)


def check(service: TriggerHarness) -> None:
    """What the one event led to."""
    with service.database.read() as tx:
        events = tx.received.all()
        assert [event.state for event in events] == [ReceivedState.DONE]
        firings = tx.firings.of_event(events[0].id)
        assert Counter(firing.action.value for firing in firings) == Counter(["destroy", "update", "create", "notify"])
        assert {firing.state for firing in firings} == {FiringState.DONE}
        kinds = {name: [one.kind.value for one in tx.deployments.of(service.environment(name).id)] for name in NAMES}
        notices = [
            one for one in tx.events.after(0, environment_id=None, limit=1000) if one.type == "environment.notice"
        ]
    assert kinds == {"one": ["destroy", "create"], "two": ["update", "create"], "pr-7": ["create"]}
    assert len(notices) == 1
    assert service.state("one") is State.DESTROYING
    service.clock.ahead += timedelta(minutes=1)
    service.process()
    service.database.close()


NAMES = ("one", "two", "pr-7")
