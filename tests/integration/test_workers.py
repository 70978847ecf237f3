"""Real processes on one PostgreSQL, killed, stopped and cut off: work is spread, goes on elsewhere, and is done once.

`CALVINVERSE_LONG_STOP=1` stops a worker for a whole minute, not just for longer than its lease.
"""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from environments.domain.lifecycle import State, StepState
from environments.wire.environments import ExtendRequest
from tests.support.multiprocess import PATIENCE, TAKE_OVER, Fleet, start_fleet, until

LONG_STOP = 60.0 if os.environ.get("CALVINVERSE_LONG_STOP") else 0.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = start_fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.close()


@pytest.fixture
def fleet(running: Fleet) -> Fleet:
    """The fleet with all of its workers."""
    for worker in running.workers:
        if not worker.running:
            worker.begin()
    return running


def made_once(fleet: Fleet, name: str) -> None:
    for step in ("first", "gate", "last"):
        assert len(fleet.lines("made", name, step)) == 1, step


def test_work_is_spread(fleet: Fleet) -> None:
    names = ["one", "two", "three"]
    for name in names:
        fleet.create(name)
    began = [fleet.at_gate(name) for name in names]
    assert {line.pid for line in began} == {worker.pid for worker in fleet.workers}
    assert len({line.worker for line in began}) == 3
    for name in names:
        fleet.open(name)
        fleet.ready(name)
        made_once(fleet, name)
    fleet.destroy(*names)


def test_a_dead_workers_deployment_goes_on_at_the_interrupted_step(fleet: Fleet) -> None:
    fleet.create("orphan")
    first = fleet.at_gate("orphan")
    dead = fleet.member(first)
    dead.kill()
    killed = time.monotonic()
    second = fleet.at_gate("orphan", times=2, seconds=TAKE_OVER)
    print(f"taken over after {time.monotonic() - killed:.1f} s")
    assert second.pid != first.pid
    assert second.epoch == first.epoch + 1
    dead.begin()  # who starts takes nothing away from those that work
    fleet.open("orphan")
    fleet.ready("orphan")
    attempts = {name: step.attempts for name, step in fleet.steps("orphan").items()}
    assert attempts == {"first": 1, "gate": 2, "last": 1}
    assert len(fleet.lines("begun", "orphan")) == 2
    made_once(fleet, "orphan")
    fleet.destroy("orphan")


def test_a_worker_that_was_paused_writes_nothing_more(fleet: Fleet) -> None:
    deployment = fleet.create("paused")
    first = fleet.at_gate("paused")
    stale = fleet.member(first)
    stale.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    second = fleet.at_gate("paused", times=2, seconds=TAKE_OVER)
    assert second.pid != first.pid
    fleet.open("paused")
    fleet.ready("paused")
    before = (fleet.client.history("paused", limit=500), fleet.client.deployments("paused"))
    while time.monotonic() - stopped < LONG_STOP:
        time.sleep(0.5)
    stale.signal(signal.SIGCONT)
    until(lambda: stale.says("deployment.interrupted", deployment=deployment), otherwise="it didn't notice")
    # What comes after is seen by everybody, so what the stale worker wrote would be seen by now.
    fleet.client.extend("paused", ExtendRequest(by="1h"))
    after = fleet.client.history("paused", limit=500)
    assert [event.type.value for event in after[len(before[0]) :]] == ["environment.extended"]
    assert after[: len(before[0])] == before[0]
    assert fleet.client.deployments("paused") == before[1]
    made_once(fleet, "paused")
    fleet.destroy("paused")
    fleet.create("later")  # and it works again
    fleet.open("later")
    fleet.ready("later")
    fleet.destroy("later")


def test_a_database_that_is_away_for_a_moment_interrupts_nothing(fleet: Fleet) -> None:
    fleet.create("moment")
    worker = fleet.member(fleet.at_gate("moment"))
    fleet.postgres.kill()
    until(lambda: worker.says("events.not_heard"), otherwise="the worker hasn't noticed")
    fleet.postgres.start()
    fleet.open("moment")
    fleet.ready("moment")
    assert [step.attempts for step in fleet.steps("moment").values()] == [1, 1, 1]
    made_once(fleet, "moment")
    fleet.destroy("moment")


def test_a_database_that_is_away_for_longer_than_a_lease_loses_nothing(fleet: Fleet) -> None:
    names = ["long", "longer"]
    deployments = {name: fleet.create(name) for name in names}
    workers = {name: fleet.member(fleet.at_gate(name)) for name in names}
    fleet.postgres.kill()
    for name, worker in workers.items():
        until(
            lambda worker=worker, name=name: worker.says("deployment.interrupted", deployment=deployments[name]),  # type: ignore[misc]
            otherwise=f"{name} went on without a lease",
        )
    for name in names:
        fleet.open(name)
    fleet.postgres.start()
    for name in names:
        fleet.ready(name)
        steps = fleet.steps(name)
        assert {step.state for step in steps.values()} == {StepState.DONE}
        assert {name: step.attempts for name, step in steps.items()} == {"first": 1, "gate": 2, "last": 1}
        made_once(fleet, name)
    fleet.destroy(*names)


def test_a_deadline_comes_although_the_clock_was_killed(fleet: Fleet) -> None:
    fleet.create("due")
    fleet.open("due")
    fleet.ready("due")
    until(lambda: any(worker.leads for worker in fleet.workers), otherwise="no worker leads")
    clock = next(worker for worker in fleet.workers if worker.leads)
    clock.kill()
    fleet.client.extend("due", ExtendRequest(ttl="3s"))
    fleet.api.wait_for("due", State.DESTROYED, seconds=PATIENCE)
    clock.begin()


def test_a_worker_can_be_ended_while_the_database_is_away(fleet: Fleet) -> None:
    fleet.create("left")
    first = fleet.at_gate("left")
    worker = fleet.member(first)
    fleet.postgres.kill()
    worker.stop()
    fleet.postgres.start()
    fleet.open("left")
    fleet.ready("left")
    made_once(fleet, "left")
    assert fleet.at_gate("left", times=2).pid != first.pid
    fleet.destroy("left")


def test_nobody_showed_a_traceback(fleet: Fleet) -> None:
    for member in (fleet.api, *fleet.workers):
        log = member.log.read_text()
        assert "Traceback" not in log
        assert fleet.postgres.password not in log
