"""Two processors at once on PostgreSQL, as when one doesn't know yet that it isn't the leader any more."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.received_event import Source
from environments.domain.trigger import FiringState
from tests.support.postgres import Postgres
from tests.support.trigger_harness import TEMPLATE, TriggerHarness

EVENTS = 60
PROCESSORS = 2


@pytest.fixture
def service(postgres: Postgres, tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = TriggerHarness(tmp_path, postgres.new_database(), postgres.password_file)
    harness.push(TEMPLATE)
    yield harness
    harness.database.close()


def test_two_processors_do_everything_once(service: TriggerHarness) -> None:
    rule = {"on": "git.pull_request", "repository": "acme/shop", "template": "things"}
    service.trigger(**rule, kinds=["opened"], action="create", environment="{{ event.tag }}")
    service.make("told")
    service.trigger(**{**rule, "template": ""}, kinds=["opened"], on_environment="told", action="notify", message="x")
    others = []
    for number in range(PROCESSORS):
        other = TriggerHarness(*service.place)
        other.prefix = f"{number}-"
        others.append(other)
    failed: list[BaseException] = []
    ended = threading.Event()

    def process(other: TriggerHarness) -> None:
        while not ended.is_set():
            try:
                other.processor.round()
            except BaseException as error:  # noqa: BLE001 - told by the test
                failed.append(error)

    threads = [threading.Thread(target=process, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    events = []
    for number in range(EVENTS):
        event = service.event(Source.PULL_REQUEST, "opened", fields={"tag": f"pr-{number}"}, delivery=f"{number}")
        events += service.receive(event, event)

    def left() -> int:
        with service.database.read() as tx:
            return tx.received.count_waiting() + tx.firings.count_pending()

    try:
        service.until(lambda: failed != [] or left() == 0)
    finally:
        ended.set()
        for thread in threads:
            thread.join(60)
        for other in others:
            other.database.close()
    assert failed == []
    assert len(events) == 2 * EVENTS
    assert len(set(events)) == EVENTS
    with service.database.read() as tx:
        firings = [firing for event in dict.fromkeys(events) for firing in tx.firings.of_event(event)]
        names = Counter(one.name for one in tx.environments.all(ended=True))
        notices = [
            one for one in tx.events.after(0, environment_id=None, limit=9999) if one.type == "environment.notice"
        ]
        created = [one for name in names if name != "told" for one in tx.deployments.of(_id(tx, name))]
    assert Counter((firing.action.value, firing.state) for firing in firings) == {
        ("create", FiringState.DONE): EVENTS,
        ("notify", FiringState.DONE): EVENTS,
    }
    assert set(names.values()) == {1}
    assert len(names) == EVENTS + 1
    assert (len(created), len(notices)) == (EVENTS, EVENTS)
    assert service.clock.ahead == timedelta(0)


def _id(tx: object, name: str) -> str:
    found = tx.environments.named(name)  # type: ignore[attr-defined]
    assert found is not None
    return str(found.id)
