"""Events that come late, twice and in any order end in the same state as those in order."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.lifecycle import State
from environments.domain.received_event import NewReceivedEvent, ReceivedState, Source
from tests.support.trigger_harness import TEMPLATE, TriggerHarness

EVENTS = 20_000
PULL_REQUESTS = BRANCHES = 50


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = TriggerHarness(tmp_path)
    harness.push(TEMPLATE)
    yield harness
    harness.database.close()


def history(service: TriggerHarness, dice: random.Random, count: int) -> list[NewReceivedEvent]:
    """What happened, in order: half of it to pull requests, half to branches."""
    began = service.clock() - timedelta(days=1)
    closed: dict[int, bool | None] = {}
    told = []
    for place in range(count):
        at = began + timedelta(milliseconds=place)
        number = dice.randrange(PULL_REQUESTS)
        if place % 2:
            branch = f"b{dice.randrange(BRANCHES)}"
            fields = {"branch": branch, "sha": f"{place:x}"}
            told.append(service.event(Source.BRANCH, "pushed", f"acme/shop@{branch}", at=at, fields=fields))
            continue
        is_closed = closed.get(number)
        kind = "opened" if is_closed is None else "reopened" if is_closed else "closed"
        closed[number] = kind == "closed"
        told.append(
            service.event(Source.PULL_REQUEST, kind, f"acme/shop#{number}", at=at, fields={"tag": f"pr-{number}"})
        )
    return told


def expected(told: list[NewReceivedEvent]) -> tuple[set[str], dict[str, str]]:
    """The environments that are alive in the end, and what each branch's was last updated to."""
    last: dict[str, NewReceivedEvent] = {event.subject: event for event in told}
    alive = {
        str(event.fields["tag"])
        for event in last.values()
        if event.source is Source.PULL_REQUEST and event.kind != "closed"
    }
    words = {str(e.fields["branch"]): str(e.fields["sha"]) for e in last.values() if e.source is Source.BRANCH}
    return alive, words


def test_events_in_any_order_end_in_the_same_state(service: TriggerHarness) -> None:
    dice = random.Random(15)
    rule = {"repository": "acme/shop"}
    pull = {"on": "git.pull_request", "template": "things", **rule}
    service.trigger(
        **pull,
        kinds=["opened", "reopened"],
        action="create",
        environment="{{ event.tag }}",
        parameters={"word": "{{ event.tag }}"},
    )
    service.trigger(**pull, kinds=["closed"], action="destroy", when={"tag": "{{ parameters.word }}"})
    for number in range(BRANCHES):
        service.make(f"b{number}", owner="grace")
        service.trigger(
            **rule,
            owner="grace",
            on_environment=f"b{number}",
            on="git.branch",
            action="update",
            when={"branch": f"b{number}"},
            parameters={"word": "{{ event.sha }}"},
        )
    told = history(service, dice, EVENTS)
    alive, words = expected(told)
    sent = [*told, *dice.sample(told, len(told) // 10)]
    dice.shuffle(sent)

    for start in range(0, len(sent), 1000):
        service.receive(*sent[start : start + 1000])
        finish(service)
    finish(service)
    with service.database.read() as tx:
        living = {one.name: one for one in tx.environments.all() if one.state is State.READY}
        assert {event.state for event in tx.received.all()} == {ReceivedState.DONE}
        assert len(tx.received.all()) == EVENTS
    assert {name for name in living if name.startswith("pr-")} == alive
    assert {name: one.parameters["word"] for name, one in living.items() if name in words} == words


def finish(service: TriggerHarness) -> None:
    """Processes until nothing is left; a deployment ends as soon as all is queued."""
    while True:
        service.process()
        service.settle()
        service.clock.ahead += timedelta(minutes=1)
        with service.database.read() as tx:
            if not tx.firings.count_pending() and not tx.received.count_waiting():
                return
