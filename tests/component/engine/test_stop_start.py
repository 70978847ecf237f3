"""Stop and start on a small world: order, data that stays, failures, crashes, and what is refused meanwhile."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from environments.domain.commands import MakePlan, UpdateEnvironment
from environments.domain.environment import EventType
from environments.domain.errors import InvalidInput, NotAllowedNow, StepFailed
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.engine import progress
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.service.drift import Drifting
from tests.fakes.things import thing_registry
from tests.support.crashes import Dead
from tests.support.engine_harness import ADMIN, EngineHarness

TEMPLATE = """
[template]
name = "things"
version = "1"
[[steps]]
name = "data"
uses = "test.thing"
with = { says = "kept" }
[[steps]]
name = "database"
uses = "test.server"
needs = ["data"]
[[steps]]
name = "settings"
uses = "test.thing"
needs = ["database"]
with = { says = "run {{ steps.database.runs }}" }
[[steps]]
name = "app"
uses = "test.server"
needs = ["settings"]
[[steps]]
name = "check"
uses = "check.thing"
needs = ["app"]
[outputs]
said = "{{ steps.settings.said }}"
"""


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineHarness]:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    setting.create()
    assert setting.wait_for(State.READY, State.FAILED).state is State.READY
    setting.world.switched.clear()
    setting.world.made.clear()
    yield setting
    setting.stop()


def stop(setting: EngineHarness) -> DeploymentState:
    return setting.ended(setting.switching.stop(ADMIN, "one").deployment_id)


def start(setting: EngineHarness) -> DeploymentState:
    return setting.ended(setting.switching.start(ADMIN, "one").deployment_id)


def states(setting: EngineHarness) -> list[str]:
    """The states that the environment went through since it was ready."""
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=10_000)
    found = [event.data["state"] for event in events if event.type is EventType.ENVIRONMENT_STATE]
    return found[found.index("ready") + 1 :]


def test_a_stop_ends_what_runs_in_reverse_and_a_start_runs_it_again_in_order(setting: EngineHarness) -> None:
    assert stop(setting) is DeploymentState.SUCCEEDED
    assert setting.environment().state is State.STOPPED
    assert setting.world.switched == [("halt", "one/app"), ("halt", "one/database")]
    assert sorted(setting.world.things) == ["one/app", "one/data", "one/database", "one/settings"]
    assert (setting.world.removed, setting.world.made) == ([], [])

    setting.world.switched.clear()
    assert start(setting) is DeploymentState.SUCCEEDED
    found = setting.environment()
    assert found.state is State.READY
    assert setting.world.switched == [("run", "one/database"), ("run", "one/app")]
    assert states(setting) == ["stopping", "stopped", "starting", "validating", "ready"]
    assert setting.world.made == []
    assert found.outputs["said"]["value"] == "run 2", "what uses an output that has changed is applied again"
    assert setting.world.changed == ["one/settings"]


def test_a_start_leaves_alone_what_no_stop_touches(setting: EngineHarness) -> None:
    stop(setting)
    setting.world.tamper("one/data")
    assert start(setting) is DeploymentState.SUCCEEDED
    assert setting.world.said["one/data"] == "tampered with"


def test_while_it_is_stopped_other_changes_are_refused_with_the_way_on(setting: EngineHarness) -> None:
    stop(setting)
    asked: dict[str, Callable[[], object]] = {
        "updated": lambda: setting.requests.update(ADMIN, "one", UpdateEnvironment()),
        "repaired": lambda: setting.recovery.repair(ADMIN, "one"),
        "promoted": lambda: setting.recovery.promote(ADMIN, "one"),
        "retried": lambda: setting.requests.retry(ADMIN, "one"),
        "stopped": lambda: setting.switching.stop(ADMIN, "one"),
    }
    for verb, ask in asked.items():
        with pytest.raises(NotAllowedNow, match=f"'one' is stopped and can't be {verb} now") as caught:
            ask()
        assert "`calvinverse env start one` starts it" in caught.value.hint
    with pytest.raises(NotAllowedNow, match="can't be updated"):
        setting.recovery.rollback(ADMIN, "one")
    with pytest.raises(NotAllowedNow, match="No deployment of environment 'one' is queued or running"):
        setting.queueing.cancel(ADMIN, "one")
    for kind in (DeploymentKind.STOP, DeploymentKind.START):
        with pytest.raises(InvalidInput, match=f"There is no plan of a {kind.value}"):
            setting.planning.plan(ADMIN, "one", MakePlan(kind=kind))


def test_what_runs_cannot_be_started_and_what_failed_otherwise_cannot_be_stopped(setting: EngineHarness) -> None:
    with pytest.raises(NotAllowedNow, match="is ready and can't be started"):
        setting.switching.start(ADMIN, "one")
    setting.world.lose("one/data")

    def before(verb: str, address: str) -> None:
        if address == "one/data":
            raise StepFailed("It is glued to the floor.")

    setting.world.before = before
    assert setting.ended(setting.recovery.repair(ADMIN, "one").deployment_id) is DeploymentState.FAILED
    for ask in (setting.switching.stop, setting.switching.start):
        with pytest.raises(NotAllowedNow, match="is failed and can't be"):
            ask(ADMIN, "one")


def test_a_stopped_environment_is_destroyed_whole(setting: EngineHarness) -> None:
    stop(setting)
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


@pytest.mark.parametrize(("kind", "verb"), [(DeploymentKind.STOP, "halt"), (DeploymentKind.START, "run")])
def test_what_failed_can_be_retried_turned_round_and_destroyed(
    setting: EngineHarness, kind: DeploymentKind, verb: str
) -> None:
    if kind is DeploymentKind.START:
        stop(setting)

    def before(did: str, address: str) -> None:
        if (did, address) == (verb, "one/database"):
            raise StepFailed("It is glued to the floor.")

    def fail() -> None:
        setting.world.before = before
        assert (stop if kind is DeploymentKind.STOP else start)(setting) is DeploymentState.FAILED
        found = setting.environment()
        assert found.state is State.FAILED
        assert found.failure is not None
        assert (found.failure.step, found.failure.message) == ("database", "It is glued to the floor.")
        setting.world.before = lambda did, address: None

    fail()
    again = setting.requests.retry(ADMIN, "one")
    assert setting.ended(again.deployment_id) is DeploymentState.SUCCEEDED
    right = State.STOPPED if kind is DeploymentKind.STOP else State.READY
    assert setting.environment().state is right

    other = start if kind is DeploymentKind.STOP else stop
    other(setting)
    fail()
    assert other(setting) is DeploymentState.SUCCEEDED
    assert setting.environment().state is (State.READY if kind is DeploymentKind.STOP else State.STOPPED)

    fail()
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


def test_a_destroy_wins_over_a_running_stop(setting: EngineHarness) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def before(verb: str, address: str) -> None:
        if verb == "halt":
            reached.set()
            go_on.wait(60)

    setting.world.before = before
    stopping = setting.switching.stop(ADMIN, "one")
    assert reached.wait(60)
    assert setting.environment().state is State.STOPPING
    setting.requests.destroy(ADMIN, "one")
    go_on.set()
    assert setting.ended(stopping.deployment_id) is DeploymentState.SUPERSEDED
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


def test_a_cancelled_stop_fails_and_is_started_again(setting: EngineHarness) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def before(verb: str, address: str) -> None:
        if (verb, address) == ("halt", "one/app"):
            reached.set()
            go_on.wait(60)

    setting.world.before = before
    stopping = setting.switching.stop(ADMIN, "one")
    assert reached.wait(60)
    setting.queueing.cancel(ADMIN, "one")
    go_on.set()
    assert setting.ended(stopping.deployment_id) is DeploymentState.CANCELLED
    assert setting.environment().state is State.FAILED
    assert setting.world.running == {"one/database"}
    assert start(setting) is DeploymentState.SUCCEEDED
    assert setting.world.running == {"one/app", "one/database"}


# The dying process's own threads end with `Dead`: that is what the test is about.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("address", ["one/app", "one/database"])
@pytest.mark.parametrize("kind", [DeploymentKind.STOP, DeploymentKind.START])
def test_a_crash_at_each_effect_goes_on_with_the_next_process(
    setting: EngineHarness, kind: DeploymentKind, address: str, when: str
) -> None:
    if kind is DeploymentKind.START:
        stop(setting)
    ask, right = (
        (setting.switching.stop, State.STOPPED)
        if kind is DeploymentKind.STOP
        else (setting.switching.start, State.READY)
    )
    dying = threading.Event()

    def die(verb: str, place: str) -> None:
        if place == address:
            dying.set()
        if dying.is_set():
            raise Dead

    setattr(setting.world, when, die)
    ask(ADMIN, "one")
    assert dying.wait(120)
    setting.crash()
    setattr(setting.world, when, lambda verb, place: None)
    setting.open()
    with setting.database.write() as tx:
        tx.deployments.release_all()
    setting.worker.start()
    setting.wait_for(right)
    assert setting.world.running == (set() if right is State.STOPPED else {"one/app", "one/database"})
    assert setting.world.starts == dict.fromkeys(("one/app", "one/database"), 1 if right is State.STOPPED else 2)


def test_an_observation_knows_that_it_is_stopped(setting: EngineHarness) -> None:
    registry = thing_registry(setting.world)
    observer = BackendObserver(setting.database, registry, BackendPlanner(setting.database, registry), setting.clock)
    drifting = Drifting(setting.database, observer, setting.clock)
    stop(setting)
    drift = drifting.observe(ADMIN, "one").drift
    assert drift is not None
    assert (drift.found, drift.troubles) == (False, {})
    setting.world.run("one/app")  # somebody starts it by hand
    drift = drifting.observe(ADMIN, "one").drift
    assert drift is not None
    assert [step.step for step in drift.steps] == ["app"]


def test_who_stopped_it_and_why_is_in_the_history(setting: EngineHarness) -> None:
    setting.ended(setting.switching.stop(ADMIN, "one", "not needed this week").deployment_id)
    with setting.database.read() as tx:
        newest = tx.deployments.of(setting.environment().id)[0]
    assert (newest.kind, newest.requested_by, newest.reason) == (DeploymentKind.STOP, "ada", "not needed this week")
    assert newest.because is None
