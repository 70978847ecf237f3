"""The engine on a small world: order, journal, failures, crashes, destroy, deadlines."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import UpdateEnvironment
from environments.domain.environment import EventType
from environments.domain.errors import BackendError, BackendUnavailable, NotAllowedNow, StepFailed
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState
from tests.support.crashes import Dead
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    yield setting
    setting.stop()


SECRET = {"code": "swordfish"}
ALL = ["one/left", "one/right", "one/top", "one/everybody"]


def test_creates_in_order_and_renders_outputs(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters={"word": "{{ 7 * 7 }}", **SECRET})
    environment = setting.wait_for(State.READY, State.FAILED)
    assert environment.state is State.READY
    assert environment.outputs["word"]["value"] == "{{ 7 * 7 }}!"  # a parameter is data, never an expression
    assert sorted(setting.world.things) == sorted(ALL)
    assert setting.world.made[-1] == "one/top"


@pytest.mark.parametrize("setting", ["sqlite"], indirect=True)
def test_secret_parameters_are_nowhere_in_the_database(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    content = b"".join(path.read_bytes() for path in setting.folder.iterdir())
    assert b"swordfish" not in content
    with setting.database.read() as tx:
        assert tx.environments.sealed(setting.environment().id) is None


def test_goes_through_the_states_and_tells_of_each(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=1000)
    states = [event.data["state"] for event in events if event.type is EventType.ENVIRONMENT_STATE]
    assert states == ["deploying", "validating", "ready"]
    assert [event.message for event in events if event.type is EventType.LOG].count("making top") == 1
    assert [event.id for event in events] == sorted(event.id for event in events)


def test_inventory_is_written_before_a_thing_is_made(setting: EngineHarness) -> None:
    seen: dict[str, str] = {}

    def look(verb: str, address: str) -> None:
        with setting.database.read() as tx:
            known = {resource.address: resource.status for resource in tx.inventory.of(setting.environment().id)}
        seen[address] = known[address].value

    setting.world.before = look
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    assert {seen[address] for address in ALL} <= {"intended", "present"}
    assert seen["one/top"] == "intended"


def test_failed_step_fails_the_deployment_and_a_retry_mends_it(setting: EngineHarness) -> None:
    def refuse(verb: str, address: str) -> None:
        if address == "one/right":
            raise BackendError("Nomad is cross today.")

    setting.world.before = refuse
    setting.worker.start()
    setting.create(parameters=SECRET)
    environment = setting.wait_for(State.FAILED)
    assert environment.failure is not None
    assert (environment.failure.step, environment.failure.code) == ("right", "backend_failed")
    assert "one/top" not in setting.world.things
    setting.world.before = lambda verb, address: None
    setting.requests.retry(ADMIN, "one")
    assert setting.wait_for(State.READY).failure is None
    assert sorted(setting.world.made) == sorted(ALL)


def test_transient_failure_is_tried_again(setting: EngineHarness) -> None:
    tries = []

    def away_twice(verb: str, address: str) -> None:
        if address == "one/right":
            tries.append(address)
            if len(tries) < 3:
                raise BackendUnavailable("Consul is away.")

    setting.world.before = away_twice
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert setting.wait_for(State.READY, State.FAILED).state is State.READY
    assert len(tries) == 3


def test_fault_in_our_own_code_is_a_failure_without_its_text(setting: EngineHarness) -> None:
    def bug(verb: str, address: str) -> None:
        raise ZeroDivisionError("swordfish")

    setting.world.before = bug
    setting.worker.start()
    setting.create(parameters=SECRET)
    failure = setting.wait_for(State.FAILED).failure
    assert failure is not None
    assert failure.code == "internal"
    assert "swordfish" not in failure.message


def test_destroy_removes_everything_in_reverse_and_proves_it(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}
    assert setting.world.removed[0] == "one/top"
    assert setting.world.removed[-1] == "one/everybody"
    setting.create(parameters=SECRET)  # the name is free again
    setting.wait_for(State.READY)


def test_destroy_keeps_the_order_across_a_step_that_made_nothing(setting: EngineHarness) -> None:
    setting.push(
        TEMPLATE.replace('needs = ["top"]', 'needs = ["left"]').replace(
            'needs = ["left", "right"]', 'needs = ["check", "left"]'
        )
        + """
[[steps]]
name = "below"
uses = "test.thing"
[[steps]]
name = "between"
uses = "check.thing"
needs = ["below"]
[[steps]]
name = "above"
uses = "test.thing"
needs = ["between"]
"""
    )
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)

    def slow(verb: str, address: str) -> None:
        if address == "one/above":
            time.sleep(0.3)

    setting.world.before = slow
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.removed.index("one/above") < setting.world.removed.index("one/below")


def test_a_foreign_thing_is_never_destroyed(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    setting.world.things["one/right"] = "somebody else"
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {"one/right": "somebody else"}


def test_what_cannot_be_removed_is_named_and_tried_again(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.scheduler.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)

    def stuck(verb: str, address: str) -> None:
        if verb == "remove" and address == "one/left":
            raise StepFailed("It is glued to the floor.")

    setting.world.before = stuck
    setting.requests.destroy(ADMIN, "one")
    environment = setting.wait_for(State.DESTROY_FAILED)
    assert environment.failure is not None
    assert "glued" in environment.failure.message
    with setting.database.read() as tx:
        status = {item.address: item.status for item in tx.inventory.of(environment.id)}
    assert status["one/left"] is ResourceStatus.STUCK
    assert status["one/right"] is ResourceStatus.GONE  # the rest did not wait for it
    assert "one/everybody" in setting.world.things  # but what it may still need stays
    setting.world.before = lambda verb, address: None
    setting.clock.ahead = timedelta(seconds=20)
    setting.wait_for(State.DESTROYED)
    setting.scheduler.stop()
    assert setting.world.things == {}


def test_destroy_wins_over_a_running_create(setting: EngineHarness) -> None:
    setting.push(
        TEMPLATE.replace(
            'name = "right"\nuses = "test.thing"', 'name = "right"\nuses = "test.thing"\nwith = { waits = 60.0 }'
        )
    )
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.until(lambda: "one/left" in setting.world.things)
    began = time.monotonic()
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert time.monotonic() - began < 30
    assert setting.world.things == {}
    assert "one/top" not in setting.world.made
    with setting.database.read() as tx:
        states = [item.state for item in tx.deployments.of(setting.environment().id)]
    assert states == [DeploymentState.SUCCEEDED, DeploymentState.SUPERSEDED]


def test_destroy_of_what_was_only_requested(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    setting.requests.destroy(ADMIN, "one")
    setting.worker.start()
    setting.wait_for(State.DESTROYED)
    assert setting.world.made == []


def test_asking_twice_to_destroy_names_the_same_deployment(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    first = setting.requests.destroy(ADMIN, "one")
    assert setting.requests.destroy(ADMIN, "one").deployment_id == first.deployment_id
    setting.worker.start()
    setting.wait_for(State.DESTROYED)
    with pytest.raises(NotAllowedNow):
        setting.requests.destroy(ADMIN, "one")


# The dying process's own threads end with `Dead`: that is what the test is about.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("when", range(8))
def test_crash_at_each_effect_of_create_then_goes_on(setting: EngineHarness, when: int) -> None:
    effects = iter(range(100))
    dying = threading.Event()

    def die(verb: str, address: str) -> None:
        number = next(effects)
        if number == when // 2 and when % 2 == 0:  # before the effect
            dying.set()
        if dying.is_set():
            raise Dead
        if number == when // 2:  # after it: nothing gets written any more
            with setting.world.lock:
                setting.world.things[address] = setting.environment().id
                setting.world.made.append(address)
            dying.set()
            raise Dead

    setting.world.before = die
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert dying.wait(120)
    setting.crash()
    setting.world.before = lambda verb, address: None
    setting.open()
    with setting.database.write() as tx:
        tx.deployments.release_all()
    setting.worker.start()
    setting.wait_for(State.READY)
    assert sorted(setting.world.made) == sorted(ALL)
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


def test_orderly_stop_gives_the_deployment_back(setting: EngineHarness) -> None:
    setting.push(
        TEMPLATE.replace(
            'name = "right"\nuses = "test.thing"', 'name = "right"\nuses = "test.thing"\nwith = { waits = 3.0 }'
        )
    )
    setting.worker.start()
    setting.create(parameters=SECRET)

    def states() -> dict[str, StepState]:
        with setting.database.read() as tx:
            deployment = tx.deployments.of(setting.environment().id)[0]
            return {step.name: step.state for step in tx.journal.steps(deployment.id)}

    setting.until(lambda: (states().get("left"), states().get("right")) == (StepState.DONE, StepState.RUNNING))
    setting.stop()
    setting.open()
    setting.worker.start()
    setting.wait_for(State.READY)
    with setting.database.read() as tx:
        deployment = tx.deployments.of(setting.environment().id)[0]
        steps = {step.name: step for step in tx.journal.steps(deployment.id)}
    assert deployment.epoch == 2
    assert steps["left"].attempts == 1
    assert steps["right"].attempts == 2
    assert all(step.state is StepState.DONE for step in steps.values())


def test_the_clock_warns_and_then_destroys(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.scheduler.start()
    setting.create(parameters=SECRET, ttl="1h")
    environment = setting.wait_for(State.READY)
    assert environment.deadline is not None
    setting.clock.ahead = timedelta(minutes=55)
    setting.until(lambda: setting.environment().warned)
    setting.requests.extend(ADMIN, "one", by="1h")
    assert not setting.environment().warned
    setting.clock.ahead = timedelta(minutes=65)
    time.sleep(0.3)
    assert setting.environment().state is State.READY
    setting.clock.ahead = timedelta(hours=2, seconds=1)
    setting.wait_for(State.DESTROYED)
    setting.scheduler.stop()
    assert setting.world.things == {}


def test_what_was_due_while_nothing_ran_is_destroyed_at_once(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET, ttl="1h")
    setting.wait_for(State.READY)
    setting.stop()
    setting.clock.ahead = timedelta(days=1)
    setting.open()
    setting.worker.start()
    setting.scheduler.start()
    setting.wait_for(State.DESTROYED)
    setting.scheduler.stop()


def test_a_failed_environment_is_destroyed_on_time_too(setting: EngineHarness) -> None:
    def refuse(verb: str, address: str) -> None:
        if verb == "make" and address == "one/top":
            raise BackendError("No.")

    setting.world.before = refuse
    setting.worker.start()
    setting.create(parameters=SECRET, ttl="1h")
    setting.wait_for(State.FAILED)
    setting.clock.ahead = timedelta(hours=2)
    setting.scheduler.start()
    setting.wait_for(State.DESTROYED)
    setting.scheduler.stop()
    assert setting.world.things == {}


def test_destroy_uses_the_template_that_made_the_environment(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    setting.push(TEMPLATE.replace('"top"', '"roof"').replace("steps.top", "steps.roof"))
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.removed[0] == "one/top"


def test_update_applies_the_new_version_and_keeps_what_is_there(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    setting.push(TEMPLATE.replace('version = "1"', 'version = "2"'))
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye", **SECRET}))
    setting.until(lambda: setting.environment().outputs["word"]["value"] == "bye!")
    environment = setting.wait_for(State.READY)
    assert environment.template_version == "2"
    assert sorted(setting.world.made) == sorted(ALL)
    with setting.database.read() as tx:
        assert len(tx.inventory.of(environment.id)) == len(ALL)
