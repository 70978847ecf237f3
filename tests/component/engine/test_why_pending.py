"""Why a deployment waits, in words; and that the place that is told is the one that a claim keeps to."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.admission import KINDS, Lane
from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.errors import NotFound
from environments.domain.lifecycle import DeploymentState, State
from environments.engine.worker import Worker
from environments.service.authorization import Principal
from environments.service.records import Pending
from environments.service.storage.deployments import WorkerRecord
from environments.stores.schema import deployments
from tests.fakes.things import thing_registry
from tests.support.engine_harness import ADMIN, TEMPLATE, USER, EngineHarness

SECRET = {"code": "swordfish"}
LIMITED = TEMPLATE.replace('version = "1"', 'version = "1"\nlimit = 2')
PEOPLE = {"ada": ADMIN, "grace": USER, "edsger": Principal("edsger", "user", "tok-3")}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    yield setting
    setting.stop()


def ask(setting: EngineHarness, *names: str) -> list[str]:
    """Asks for environments, `<owner>-<anything>` each; the ids of the deployments."""
    found = []
    for name in names:
        who = PEOPLE[name.partition("-")[0]]
        accepted = setting.requests.create(who, CreateEnvironment(name=name, template="things", parameters=SECRET))
        assert accepted.deployment_id
        found.append(accepted.deployment_id)
    return found


def why(setting: EngineHarness, deployment_id: str, who: Principal = ADMIN) -> Pending:
    return setting.queueing.why(who, deployment_id)


def claim(setting: EngineHarness, worker: str = "w-1", lease: float = 30.0, lane: Lane = Lane.DEPLOY) -> str:
    with setting.database.write() as tx:
        found = tx.deployments.claim(worker, lease, KINDS[lane], setting.clock())
    assert found is not None
    return found.deployment.id


def beat(setting: EngineHarness, name: str = "w-1", slots: int = 8, lease: float = 30.0) -> None:
    now = setting.clock()
    with setting.database.write() as tx:
        tx.workers.beat(WorkerRecord(name, "here", 1, "1", {"deploy": slots, "destroy": slots}, now, now, True), lease)


def test_the_place_and_who_goes_first(setting: EngineHarness) -> None:
    beat(setting)
    ids = ask(setting, "ada-1", "ada-2", "ada-3", "grace-1", "grace-2", "edsger-1")
    places = {deployment_id: why(setting, deployment_id).position for deployment_id in ids}
    view = why(setting, ids[1])
    assert (view.lane, view.position, view.waiting, view.state) == ("deploy", 4, 6, DeploymentState.QUEUED)
    assert view.reasons == (
        "Position 4 of 6 in the deploy lane: 1 of ada's deployments, 1 of grace's and 1 of edsger's go first.",
    )
    assert why(setting, ids[0]).reasons == (
        "Position 1 of 6 in the deploy lane.",
        "A worker will claim it within a moment.",
    )
    # Nobody is told the names of others who have nothing to do with them.
    assert why(setting, ids[4], USER).reasons == (
        "Position 5 of 6 in the deploy lane: 3 of others' deployments and 1 of grace's go first.",
    )
    taken = [claim(setting) for _ in ids]
    assert taken == sorted(places, key=lambda deployment_id: places[deployment_id] or 0)


def test_others_deployments_are_not_there(setting: EngineHarness) -> None:
    (mine,) = ask(setting, "ada-1")
    with pytest.raises(NotFound):
        why(setting, mine, USER)
    with pytest.raises(NotFound):
        why(setting, "dep-none")


def test_a_machine_is_told_that_people_go_first(setting: EngineHarness) -> None:
    beat(setting)
    first, second = ask(setting, "ada-1", "grace-1")
    with setting.database.write() as tx:
        tx._connection.execute(deployments.update().where(deployments.c.id == first).values(by_machine=True))
    view = why(setting, first)
    assert view.position == 2
    assert "requests of people go first, for another 9m" in view.reasons[0]
    setting.clock.ahead = 11 * MINUTE
    assert why(setting, first).position == 1
    assert why(setting, second).position == 2


def test_no_worker_and_no_slot(setting: EngineHarness) -> None:
    ids = ask(setting, "ada-1", "ada-2", "ada-3")
    assert why(setting, ids[0]).reasons[-1] == "No worker is alive: start one."
    beat(setting, "dead", lease=-1.0)
    assert why(setting, ids[0]).reasons[-1] == "No worker is alive: start one."
    beat(setting, slots=1)
    claim(setting)
    assert why(setting, ids[1]).reasons == (
        "Position 1 of 2 in the deploy lane.",
        "The only slot of the only worker is busy.",
    )
    beat(setting, "w-2", slots=1)
    claim(setting, "w-2")
    assert why(setting, ids[2]).reasons[-1] == "All 2 slots of 2 workers are busy."


def test_a_template_at_its_limit(setting: EngineHarness) -> None:
    setting.push(LIMITED)
    beat(setting)
    ids = ask(setting, "ada-1", "ada-2", "ada-3")
    claim(setting)
    claim(setting)
    assert "The template things runs 2 of 2 at once." in why(setting, ids[2]).reasons
    with setting.database.read() as tx:
        assert not tx.deployments.waiting(KINDS[Lane.DEPLOY], setting.clock())


def test_a_destroy_waits_for_what_runs(setting: EngineHarness) -> None:
    beat(setting)
    (running,) = ask(setting, "ada-1")
    claim(setting)
    destroy = setting.requests.destroy(ADMIN, "ada-1").deployment_id
    assert destroy is not None
    view = why(setting, destroy)
    assert (view.lane, view.position, view.waiting) == ("destroy", 1, 1)
    assert f"The environment's create {running} still runs, and its cancellation was requested." in view.reasons
    assert any(
        reason.startswith("A request to destroy the environment supersedes it")
        for reason in why(setting, running).reasons
    )


def test_what_runs(setting: EngineHarness) -> None:
    gate, reached = threading.Event(), threading.Event()

    def hold(verb: str, address: str) -> None:
        if address == "ada-1/left":
            reached.set()
            assert gate.wait(120)

    setting.world.before = hold
    setting.worker.start()
    (running,) = ask(setting, "ada-1")
    assert reached.wait(120)
    view = why(setting, running)
    assert (view.state, view.position) == (DeploymentState.RUNNING, None)
    assert view.reasons[0].startswith("Worker worker-1 on ")
    assert any(reason.startswith("Step left (test.thing) runs since ") for reason in view.reasons)
    assert not any("lease" in reason for reason in view.reasons)
    setting.queueing.cancel(ADMIN, "ada-1")
    assert any(reason.startswith("ada requested cancellation at ") for reason in why(setting, running).reasons)
    gate.set()
    setting.wait_for(State.FAILED, name="ada-1")
    setting.until(lambda: why(setting, running).state is DeploymentState.CANCELLED)
    (reason,) = why(setting, running).reasons
    assert reason.startswith("It was cancelled at ")
    assert "ada cancelled the create while left" in reason


def test_a_worker_that_is_gone(setting: EngineHarness) -> None:
    (running,) = ask(setting, "ada-1")
    claim(setting, "gone", lease=-1.0)
    assert why(setting, running).reasons[-1] == ("The lease of that worker has expired. No worker is alive: start one.")
    beat(setting, "other")
    assert why(setting, running).reasons[-1] == (
        "The lease of that worker has expired: the next worker with a free slot resumes the deployment at the "
        "interrupted step."
    )
    beat(setting, "gone", lease=-1.0)
    claim(setting, "gone", lease=30.0)
    assert "That worker has sent no heartbeat lately" in why(setting, running).reasons[-1]


def test_how_it_ended(setting: EngineHarness) -> None:
    setting.worker.start()
    (created,) = ask(setting, "ada-1")
    setting.wait_for(State.READY, name="ada-1")
    setting.until(lambda: why(setting, created).reasons[0].startswith("It has succeeded at "))
    setting.worker.stop()
    updated = setting.requests.update(ADMIN, "ada-1", UpdateEnvironment(parameters=SECRET)).deployment_id
    assert updated is not None
    setting.requests.destroy(ADMIN, "ada-1")
    assert why(setting, updated).reasons[0].startswith("A request to destroy the environment superseded it at ")


def test_workers_come_and_go(setting: EngineHarness) -> None:
    assert setting.queueing.workers(ADMIN) == []
    held, gate = threading.Event(), threading.Event()

    def hold(verb: str, address: str) -> None:
        held.set()
        assert gate.wait(120)

    setting.world.before = hold
    worker = Worker(
        "w-9",
        setting.database,
        thing_registry(setting.world),
        setting.requests._sealer,
        setting.feed,
        setting.clock,
        slots={Lane.DEPLOY: 3, Lane.DESTROY: 1},
        host="rack-4",
        version="7",
    )
    worker.start()
    (running,) = ask(setting, "ada-1")
    assert held.wait(120)
    setting.until(lambda: len(setting.queueing.workers(ADMIN)) == 1)
    (view,) = setting.queueing.workers(ADMIN)
    assert (view.record.name, view.record.host, view.record.version, view.record.alive) == ("w-9", "rack-4", "7", True)
    assert view.record.slots == {"deploy": 3, "destroy": 1}
    assert view.running == (running,)
    (view,) = setting.queueing.workers(USER)
    assert view.running == ()
    gate.set()
    setting.wait_for(State.READY, name="ada-1")
    worker.stop()
    assert setting.queueing.workers(ADMIN) == []


def test_a_worker_keeps_to_its_slots(setting: EngineHarness) -> None:
    together, most, guard, pair = [0], [0], threading.Lock(), threading.Barrier(2)

    def count(verb: str, address: str) -> None:
        if not address.endswith("/top"):
            return
        with guard:
            together[0] += 1
            most[0] = max(most[0], together[0])
        pair.wait(120)  # no fewer than two at once
        with guard:
            together[0] -= 1

    setting.world.before = count
    worker = Worker(
        "w-9",
        setting.database,
        thing_registry(setting.world),
        setting.requests._sealer,
        setting.feed,
        setting.clock,
        slots={Lane.DEPLOY: 2, Lane.DESTROY: 1},
    )
    names = [f"ada-{number}" for number in range(6)]
    ask(setting, *names)
    worker.start()
    for name in names:
        setting.wait_for(State.READY, name=name)
    worker.stop()
    assert most == [2]
