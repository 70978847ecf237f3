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
from tests.support.multiprocess import PATIENCE, TAKE_OVER, MultiProcessService, start_processes, until

LONG_STOP = 60.0 if os.environ.get("CALVINVERSE_LONG_STOP") else 0.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MultiProcessService]:
    service = start_processes(tmp_path_factory.mktemp("service"))
    yield service
    service.close()


@pytest.fixture
def service(running: MultiProcessService) -> MultiProcessService:
    """The service with all of its workers."""
    for worker in running.workers:
        if not worker.running:
            worker.begin()
    return running


def made_once(service: MultiProcessService, name: str) -> None:
    for step in ("first", "gate", "last"):
        assert len(service.lines("made", name, step)) == 1, step


def test_work_is_spread(service: MultiProcessService) -> None:
    names = ["one", "two", "three"]
    for name in names:
        service.create(name)
    began = [service.at_gate(name) for name in names]
    assert {line.pid for line in began} == {worker.pid for worker in service.workers}
    assert len({line.worker for line in began}) == 3
    for name in names:
        service.open(name)
        service.ready(name)
        made_once(service, name)
    service.destroy(*names)


def test_a_dead_workers_deployment_goes_on_at_the_interrupted_step(service: MultiProcessService) -> None:
    service.create("orphan")
    first = service.at_gate("orphan")
    dead = service.member(first)
    dead.kill()
    killed = time.monotonic()
    second = service.at_gate("orphan", times=2, seconds=TAKE_OVER)
    print(f"taken over after {time.monotonic() - killed:.1f} s")
    assert second.pid != first.pid
    assert second.epoch == first.epoch + 1
    dead.begin()  # who starts takes nothing away from those that work
    service.open("orphan")
    service.ready("orphan")
    attempts = {name: step.attempts for name, step in service.steps("orphan").items()}
    assert attempts == {"first": 1, "gate": 2, "last": 1}
    assert len(service.lines("begun", "orphan")) == 2
    made_once(service, "orphan")
    service.destroy("orphan")


def test_a_worker_that_was_paused_writes_nothing_more(service: MultiProcessService) -> None:
    deployment = service.create("paused")
    first = service.at_gate("paused")
    stale = service.member(first)
    stale.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    second = service.at_gate("paused", times=2, seconds=TAKE_OVER)
    assert second.pid != first.pid
    service.open("paused")
    service.ready("paused")
    before = (service.client.history("paused", limit=500), service.client.deployments("paused"))
    while time.monotonic() - stopped < LONG_STOP:
        time.sleep(0.5)
    stale.signal(signal.SIGCONT)
    until(lambda: stale.says("deployment.interrupted", deployment=deployment), otherwise="it didn't notice")
    # What comes after is seen by everybody, so what the stale worker wrote would be seen by now.
    service.client.extend("paused", ExtendRequest(by="1h"))
    after = service.client.history("paused", limit=500)
    assert [event.type.value for event in after[len(before[0]) :]] == ["environment.extended"]
    assert after[: len(before[0])] == before[0]
    assert service.client.deployments("paused") == before[1]
    made_once(service, "paused")
    service.destroy("paused")
    service.create("later")  # and it works again
    service.open("later")
    service.ready("later")
    service.destroy("later")


def test_a_database_that_is_away_for_a_moment_interrupts_nothing(service: MultiProcessService) -> None:
    service.create("moment")
    worker = service.member(service.at_gate("moment"))
    service.postgres.kill()
    until(lambda: worker.says("events.not_heard"), otherwise="the worker hasn't noticed")
    service.postgres.start()
    service.open("moment")
    service.ready("moment")
    assert [step.attempts for step in service.steps("moment").values()] == [1, 1, 1]
    made_once(service, "moment")
    service.destroy("moment")


def test_a_database_that_is_away_for_longer_than_a_lease_loses_nothing(service: MultiProcessService) -> None:
    names = ["long", "longer"]
    deployments = {name: service.create(name) for name in names}
    workers = {name: service.member(service.at_gate(name)) for name in names}
    service.postgres.kill()
    for name, worker in workers.items():
        until(
            lambda worker=worker, name=name: worker.says("deployment.interrupted", deployment=deployments[name]),  # type: ignore[misc]
            otherwise=f"{name} went on without a lease",
        )
    for name in names:
        service.open(name)
    service.postgres.start()
    for name in names:
        service.ready(name)
        steps = service.steps(name)
        assert {step.state for step in steps.values()} == {StepState.DONE}
        assert {name: step.attempts for name, step in steps.items()} == {"first": 1, "gate": 2, "last": 1}
        made_once(service, name)
    service.destroy(*names)


def test_a_deadline_comes_although_the_clock_was_killed(service: MultiProcessService) -> None:
    service.create("due")
    service.open("due")
    service.ready("due")
    until(lambda: any(worker.leads for worker in service.workers), otherwise="no worker leads")
    clock = next(worker for worker in service.workers if worker.leads)
    clock.kill()
    service.client.extend("due", ExtendRequest(ttl="3s"))
    service.api.wait_for("due", State.DESTROYED, seconds=PATIENCE)
    clock.begin()


def test_a_worker_can_be_ended_while_the_database_is_away(service: MultiProcessService) -> None:
    service.create("left")
    first = service.at_gate("left")
    worker = service.member(first)
    service.postgres.kill()
    worker.stop()
    service.postgres.start()
    service.open("left")
    service.ready("left")
    made_once(service, "left")
    assert service.at_gate("left", times=2).pid != first.pid
    service.destroy("left")


def test_nobody_showed_a_traceback(service: MultiProcessService) -> None:
    for member in (service.api, *service.workers):
        log = member.log.read_text()
        assert "Traceback" not in log
        assert service.postgres.password not in log
