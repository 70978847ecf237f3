"""Updates on a small world: only what differs, steps that go, going back, what failures of steps mean, repair."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import MakePlan, UpdateEnvironment
from environments.domain.environment import Drift, EventType, StepRecord, Unexpected
from environments.domain.errors import BackendError, BackendUnavailable, NotAllowedNow, NotFound, StepFailed
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State, StepState
from environments.engine import progress
from tests.fakes.things import ThingExecutor, ThingHandler
from tests.support.crashes import Dead
from tests.support.engine_harness import ADMIN, TEMPLATE, EngineHarness

SERVICES = """
[template]
name = "things"
version = "1"
[parameters.word]
type = "string"
default = "hello"
"""

SERVICE = """
[[steps]]
name = "{0}"
uses = "test.thing"
needs = {1}
with = {{ says = "{{{{ parameters.word }}}}", shared = true }}
"""


def services(**needs: list[str]) -> str:
    """A template with these services: name → what it needs."""
    return SERVICES + "".join(SERVICE.format(name, needs[name]) for name in needs).replace("'", '"')


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineHarness]:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "RETRY_PAUSE", 0.01)
    setting = EngineHarness(tmp_path / "data")
    yield setting
    setting.stop()


def start(setting: EngineHarness, template: str) -> None:
    """Makes an environment of the template."""
    setting.push(template)
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"} if "parameters.code" in template else {})
    assert setting.wait_for(State.READY, State.FAILED).state is State.READY
    setting.world.made.clear()


def update(setting: EngineHarness, template: str | None = None, **parameters: Any) -> tuple[DeploymentState, str]:
    """Updates to a new version of the template, if one is given; how it ended, and its id."""
    if template is not None:
        setting.push(template)
    accepted = setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters=parameters))
    return setting.ended(accepted.deployment_id), accepted.deployment_id or ""


def journal(setting: EngineHarness, deployment_id: str) -> dict[str, StepRecord]:
    with setting.database.read() as tx:
        return {step.name: step for step in tx.journal.steps(deployment_id)}


def logs(setting: EngineHarness, deployment_id: str, step: str) -> list[str]:
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=10_000)
    return [
        event.message
        for event in events
        if event.type is EventType.LOG and event.deployment_id == deployment_id and event.step == step
    ]


def told(setting: EngineHarness, deployment_id: str, step: str) -> str:
    """What the last event of the step says."""
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=10_000)
    mine = [found for found in events if found.type is EventType.STEP_STATE and found.step == step]
    return [found.message for found in mine if found.deployment_id == deployment_id][-1]


def refuse(setting: EngineHarness, address: str, error: Exception, verbs: str = "make") -> None:
    """From now on that effect fails."""

    def before(verb: str, place: str) -> None:
        if place == address and verb in verbs:
            raise error

    setting.world.before = before


def allow(setting: EngineHarness) -> None:
    setting.world.before = lambda verb, address: None


# --- only what differs ------------------------------------------------------------------------------------------------


def test_an_update_touches_only_what_differs(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    state, deployment = update(setting, word="bye")
    assert state is DeploymentState.SUCCEEDED
    assert setting.world.changed == ["one/left", "one/top"]
    assert setting.world.made == []
    assert logs(setting, deployment, "right") == []
    assert told(setting, deployment, "right") == "right: done, nothing to change"
    assert told(setting, deployment, "left") == "left: done"
    assert logs(setting, deployment, "left") == ["making left"]
    steps = journal(setting, deployment)
    assert steps["right"].state is StepState.DONE
    assert steps["right"].outputs["said"] == ""


def test_an_update_without_a_difference_applies_only_checks(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    setting.world.before = lambda verb, address: pytest.fail("nothing may be changed")
    state, deployment = update(setting)
    assert state is DeploymentState.SUCCEEDED
    assert logs(setting, deployment, "check") == ["making check"]
    assert logs(setting, deployment, "top") == []
    assert told(setting, deployment, "top") == "top: done, nothing to change"
    assert setting.environment().outputs["word"]["value"] == "hello!"


def test_a_step_that_failed_last_is_applied_even_if_nothing_differs(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    # Like a job that is registered and doesn't become healthy: the plan of the scheduler sees no difference.
    fails = TEMPLATE.replace('name = "right"', 'name = "right"\nwith = { waits = 30.0 }\ntimeout = "1s"')
    state, _ = update(setting, fails)
    assert state is DeploymentState.FAILED
    state, deployment = update(setting, fails.replace("waits = 30.0", "waits = 0.0"))
    assert state is DeploymentState.SUCCEEDED
    assert logs(setting, deployment, "right") == ["making right"]


def test_a_transient_failure_of_looking_is_tried_again(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    tries: list[str] = []

    def away_twice(address: str) -> None:
        if address == "one/right" and len(tries) < 2:
            tries.append(address)
            raise BackendUnavailable("Consul is away.")

    setting.world.before_observing = away_twice
    state, deployment = update(setting, word="bye")
    assert state is DeploymentState.SUCCEEDED
    assert len(tries) == 2
    assert journal(setting, deployment)["right"].attempts == 3


def test_a_deployment_says_what_it_was_asked_to_apply(setting: EngineHarness) -> None:
    setting.push(TEMPLATE.replace('version = "1"', 'version = "1"\nlimit = 2'))
    setting.create(parameters={"code": "swordfish"}, ttl="1h")
    with setting.database.read() as tx:
        asked = tx.deployments.of(setting.environment().id)[0]
    assert (asked.template, asked.parameters, asked.template_limit) == ("things", {"word": "hello"}, 2)
    assert not asked.by_machine
    setting.clock.ahead = timedelta(hours=2)
    setting.expiry.destroy_due()
    with setting.database.read() as tx:
        assert tx.deployments.of(setting.environment().id)[0].by_machine


# --- steps that come and go -------------------------------------------------------------------------------------------


def test_a_service_is_added_changed_and_taken_out(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=["a"]))
    assert update(setting, services(a=[], b=["a"], c=["b"]))[0] is DeploymentState.SUCCEEDED
    assert setting.world.made == ["one/c"]
    assert setting.world.changed == []
    state, deployment = update(setting, services(a=[], c=["a"]))
    assert state is DeploymentState.SUCCEEDED
    assert setting.world.removed == ["one/b"]
    assert sorted(setting.world.things) == ["one/a", "one/c", "one/everybody"]
    assert sorted(step for _, step in setting.world.notes) == ["a", "c"]  # what it left in the shared thing went too
    assert journal(setting, deployment)["b"].state is StepState.DONE
    with setting.database.read() as tx:
        status = {found.address: found.status for found in tx.inventory.of(setting.environment().id)}
    assert status["one/b"] is ResourceStatus.GONE
    assert update(setting, services(a=[], b=["a"], c=["b"]))[0] is DeploymentState.SUCCEEDED  # and back again
    assert "one/b" in setting.world.things


def test_steps_go_in_reverse_order_of_the_old_template_after_the_new_steps(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=["a"], c=["b"], d=[]))
    order: list[str] = []
    setting.world.before = lambda verb, address: order.append(f"{verb} {address}")
    assert update(setting, services(d=[], e=[]))[0] is DeploymentState.SUCCEEDED
    removed = [line for line in order if line.startswith("remove")]
    assert removed == ["remove one/c", "remove one/b", "remove one/a"]
    assert order.index("make one/e") < order.index("remove one/c")


def test_what_serves_all_goes_when_no_step_names_it_any_more(setting: EngineHarness) -> None:
    start(setting, services(a=[]))
    plain = services(a=[]).replace(", shared = true", "")
    setting.push(plain)
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE))
    assert [(step.step, step.removed, len(step.changes)) for step in plan.steps] == [
        ("a", False, 0),
        ("shared", True, 1),
    ]
    assert update(setting)[0] is DeploymentState.SUCCEEDED
    assert list(setting.world.things) == ["one/a"]


def test_a_plan_shows_the_steps_that_go(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=["a"], c=["b"]))
    setting.push(services(a=[]))
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE))
    gone = {step.step: [f"{c.action} {c.address}" for c in step.changes] for step in plan.steps if step.removed}
    assert gone == {
        "c": ["change one/everybody", "destroy one/c"],
        "b": ["change one/everybody", "destroy one/b"],
    }
    assert list(gone) == ["c", "b"]
    accepted = setting.planning.apply(ADMIN, plan.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert setting.world.removed == ["one/c", "one/b"]


def test_a_step_that_is_called_otherwise_keeps_its_resource(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_by_option(monkeypatch)
    start(setting, services(old=[]).replace('"{{ parameters.word }}"', '"the-thing"'))
    assert (
        update(setting, services(new=[]).replace('"{{ parameters.word }}"', '"the-thing"'))[0]
        is DeploymentState.SUCCEEDED
    )
    assert setting.world.removed == []
    with setting.database.read() as tx:
        steps = {found.address: found.step for found in tx.inventory.of(setting.environment().id)}
    assert steps["one/the-thing"] == "new"


def test_a_resource_that_a_kept_step_does_not_name_any_more_goes(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_by_option(monkeypatch)
    start(setting, services(a=[]))
    setting.push(services(a=[]))
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE, parameters={"word": "bye"}))
    changes = [f"{change.action} {change.address}" for change in plan.steps[0].changes]
    assert changes == ["create one/bye", "change one/everybody", "destroy one/hello"]
    accepted = setting.planning.apply(ADMIN, plan.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert sorted(setting.world.things) == ["one/bye", "one/everybody"]


def test_what_lives_inside_of_another_resource_is_left_to_its_executor(
    setting: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_by_option(monkeypatch)
    monkeypatch.setattr(ThingHandler, "inner", True, raising=False)
    start(setting, services(a=[]))
    assert update(setting, word="bye")[0] is DeploymentState.SUCCEEDED
    assert "one/hello" in setting.world.things


def name_by_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Things are named after what they say, not after their step."""
    resources = ThingExecutor.resources

    def named(self: ThingExecutor, context: Any) -> Any:
        first, *rest = resources(self, context)
        address = f"{context.owner.name}/{context.options.says}"
        return [replace(first, ref=first.ref.model_copy(update={"address": address})), *rest]

    monkeypatch.setattr(ThingExecutor, "resources", named)


def test_a_step_that_cannot_be_taken_away_fails_the_update_and_a_retry_mends_it(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=["a"]))
    refuse(setting, "one/b", StepFailed("It is glued to the floor."), "remove")
    state, deployment = update(setting, services(a=[]))
    assert state is DeploymentState.FAILED
    assert journal(setting, deployment)["b"].state is StepState.FAILED
    failure = setting.environment().failure
    assert failure is not None
    assert failure.step == "b"
    allow(setting)
    setting.requests.retry(ADMIN, "one")
    setting.wait_for(State.READY)
    assert sorted(setting.world.things) == ["one/a", "one/everybody"]


def test_a_step_of_another_kind_takes_away_what_the_old_kind_made(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=[]))
    other = services(a=[], b=[]).replace('name = "b"\nuses = "test.thing"', 'name = "b"\nuses = "check.thing"')
    setting.push(other)
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE))
    assert [f"{change.action} {change.address}" for change in plan.steps[1].changes] == [
        "destroy one/b",
        "change one/everybody",
    ]
    accepted = setting.planning.apply(ADMIN, plan.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert sorted(setting.world.things) == ["one/a", "one/everybody"]
    assert [step for _, step in setting.world.notes] == ["a"]


def test_what_the_plan_does_not_show_is_not_taken_away(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=["a"]))
    setting.world.lose("one/b")
    setting.push(services(a=[]))
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE))
    owner = setting.environment().id
    setting.world.things["one/b"] = owner  # it is back, by hand
    accepted = setting.planning.apply(ADMIN, plan.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.FAILED
    failure = setting.environment().failure
    assert failure is not None
    assert (failure.code, failure.step) == ("plan_stale", "b")
    assert "one/b" in setting.world.things


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("effects", range(4))
def test_a_crash_while_steps_are_taken_away_goes_on(setting: EngineHarness, effects: int) -> None:
    start(setting, services(a=[], b=["a"], c=["b"]))
    setting.push(services(a=[]))
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE))
    dying = threading.Event()
    left = [effects]  # of: erase c, remove c, erase b, remove b

    def die(verb: str, address: str) -> None:
        if left[0] == 0:
            dying.set()
        left[0] -= 1
        if dying.is_set():
            raise Dead

    setting.world.before = die
    accepted = setting.planning.apply(ADMIN, plan.id)
    assert dying.wait(120)
    setting.crash()
    allow(setting)
    setting.open()
    with setting.database.write() as tx:
        tx.deployments.release_all()
    setting.worker.start()
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert sorted(setting.world.things) == ["one/a", "one/everybody"]
    assert [step for _, step in setting.world.notes] == ["a"]


# --- going back -------------------------------------------------------------------------------------------------------


def test_a_failed_update_is_rolled_back_by_hand(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    good = setting.environment().last_good
    refuse(setting, "one/right", BackendError("No."))
    state, _ = update(
        setting,
        TEMPLATE.replace('version = "1"', 'version = "2"').replace(
            '"right"\nuses = "test.thing"', '"right"\nuses = "test.thing"\nwith = { says = "new" }'
        ),
        word="bye",
    )
    assert state is DeploymentState.FAILED
    assert setting.environment().last_good == good
    allow(setting)
    back = setting.recovery.rollback(ADMIN, "one")
    assert setting.ended(back.deployment_id) is DeploymentState.SUCCEEDED
    environment = setting.environment()
    assert environment.state is State.READY
    assert (environment.template_version, environment.parameters) == ("1", {"word": "hello"})
    assert environment.outputs["word"]["value"] == "hello!"
    assert setting.world.said["one/left"] == "hello"
    assert environment.last_good == back.deployment_id
    with setting.database.read() as tx:
        found = tx.deployments.get(back.deployment_id or "")
        asked = [
            e.message
            for e in tx.events.after(0, environment_id=None, limit=1000)
            if e.deployment_id == back.deployment_id and e.type is EventType.DEPLOYMENT_REQUESTED
        ]
    assert found is not None
    assert found.rollback_to == good
    assert asked == [f"update of one: back to {good}; secret parameters stay as they are in OpenBao"]


def test_a_named_earlier_deployment_is_gone_back_to_through_a_plan(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    first = setting.environment().last_good
    update(setting, word="second")
    update(setting, word="third")
    with pytest.raises(NotFound):
        setting.recovery.rollback(ADMIN, "one", deployment="dep-unknown")
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE, rollback_to=first))
    assert plan.parameters == {"word": "hello"}
    accepted = setting.planning.apply(ADMIN, plan.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert setting.environment().outputs["word"]["value"] == "hello!"


def test_without_a_good_deployment_there_is_nothing_to_go_back_to(setting: EngineHarness) -> None:
    setting.push(TEMPLATE)
    refuse(setting, "one/right", BackendError("No."))
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    setting.wait_for(State.FAILED)
    with pytest.raises(NotAllowedNow, match="never been ready"):
        setting.recovery.rollback(ADMIN, "one")


ROLLS_BACK = TEMPLATE.replace('name = "right"', 'name = "right"\non_failure = "rollback"')


def test_a_step_may_ask_for_a_rollback(setting: EngineHarness) -> None:
    start(setting, ROLLS_BACK)
    good = setting.environment().last_good
    new = ROLLS_BACK.replace('"right"\non', '"right"\nwith = { says = "new" }\non')

    def once(verb: str, address: str) -> None:
        if address == "one/right" and setting.environment().parameters["word"] == "bye":
            raise BackendError("Nomad is cross today.")

    setting.world.before = once
    state, failed = update(setting, new, word="bye")
    assert state is DeploymentState.FAILED
    assert setting.ended(f"{failed}-back") is DeploymentState.SUCCEEDED
    environment = setting.wait_for(State.READY)
    assert environment.outputs["word"]["value"] == "hello!"
    assert setting.world.said["one/left"] == "hello"
    with setting.database.read() as tx:
        back = tx.deployments.get(f"{failed}-back")
    assert back is not None
    assert (back.rollback_to, back.reason) == (good, f"back to {good}, because step 'right' failed")


def test_a_rollback_is_never_rolled_back(setting: EngineHarness) -> None:
    start(setting, ROLLS_BACK)
    new = ROLLS_BACK.replace('"right"\non', '"right"\nwith = { says = "new" }\non')
    state, failed = update(setting, new)
    assert state is DeploymentState.SUCCEEDED
    setting.world.tamper("one/right")
    refuse(setting, "one/right", BackendError("Nomad is cross today."))
    state, failed = update(setting, new.replace('"new"', '"newer"'))
    assert state is DeploymentState.FAILED
    assert setting.ended(f"{failed}-back") is DeploymentState.FAILED
    with setting.database.read() as tx:
        known = tx.deployments.of(setting.environment().id)
    assert len(known) == 4
    failure = setting.environment().failure
    assert failure is not None
    assert failure.message.endswith("This was a rollback, so nothing is rolled back.")


def test_a_create_with_nothing_to_go_back_to_stops_and_says_so(setting: EngineHarness) -> None:
    setting.push(ROLLS_BACK)
    refuse(setting, "one/right", BackendError("Nomad is cross today."))
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    failure = setting.wait_for(State.FAILED).failure
    assert failure is not None
    assert failure.message.startswith("Nomad is cross today. There is nothing to roll back to")
    with setting.database.read() as tx:
        assert len(tx.deployments.of(setting.environment().id)) == 1


# --- failures that don't stop, and attempts ---------------------------------------------------------------------------


def test_a_failure_may_leave_the_rest_alone(setting: EngineHarness) -> None:
    text = (
        TEMPLATE.replace('name = "left"', 'name = "left"\non_failure = "continue"')
        + 'plain = "{{ steps.right.said }}-"\n'
    )
    setting.push(text)
    refuse(setting, "one/left", BackendError("Nomad is cross today."))
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    environment = setting.wait_for(State.READY, State.FAILED)
    assert environment.state is State.READY
    assert environment.failure is None
    assert list(environment.outputs) == ["plain"]
    with setting.database.read() as tx:
        deployment = tx.deployments.of(environment.id)[0]
        events = tx.events.after(0, environment_id=None, limit=1000)
    states = {name: step.state for name, step in journal(setting, deployment.id).items()}
    assert states == {
        "left": StepState.FAILED,
        "right": StepState.DONE,
        "top": StepState.SKIPPED,
        "check": StepState.SKIPPED,
    }
    said = [event.message for event in events if event.type is EventType.DEPLOYMENT_STATE]
    assert said[-1] == "create: succeeded without left, top, check (left: Nomad is cross today.)"
    allow(setting)
    assert update(setting)[0] is DeploymentState.SUCCEEDED
    assert setting.environment().outputs["word"]["value"] == "hello!"


def test_nothing_is_taken_away_while_something_is_missing(setting: EngineHarness) -> None:
    start(setting, services(a=[], b=[]))
    new = services(a=[], c=[]).replace('name = "c"', 'name = "c"\non_failure = "continue"')
    refuse(setting, "one/c", BackendError("No."))
    state, deployment = update(setting, new)
    assert state is DeploymentState.SUCCEEDED
    assert "one/b" in setting.world.things
    assert journal(setting, deployment)["b"].state is StepState.SKIPPED
    allow(setting)
    assert update(setting)[0] is DeploymentState.SUCCEEDED
    assert "one/b" not in setting.world.things


def test_a_transient_failure_is_tried_again_as_often_as_the_step_says(setting: EngineHarness) -> None:
    setting.push(TEMPLATE.replace('name = "right"', 'name = "right"\nretries = 2'))
    tries: list[str] = []

    def away(verb: str, address: str) -> None:
        if address == "one/right":
            tries.append(address)
            raise BackendUnavailable("Consul is away.")

    setting.world.before = away
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    environment = setting.wait_for(State.READY, State.FAILED)
    assert environment.state is State.FAILED
    assert len(tries) == 3
    with setting.database.read() as tx:
        deployment = tx.deployments.of(environment.id)[0]
    assert journal(setting, deployment.id)["right"].attempts == 3
    assert sum("retry " in line for line in logs(setting, deployment.id, "right")) == 2


def test_what_will_not_pass_is_not_tried_again(setting: EngineHarness) -> None:
    setting.push(TEMPLATE)
    tries: list[str] = []

    def no(verb: str, address: str) -> None:
        if address == "one/right":
            tries.append(address)
            raise BackendError("No.")

    setting.world.before = no
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    setting.wait_for(State.FAILED)
    assert len(tries) == 1


def test_destroy_cuts_a_pause_between_attempts_short(setting: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "RETRY_PAUSE", 50.0)
    setting.push(TEMPLATE)
    refuse(setting, "one/right", BackendUnavailable("Consul is away."))
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    with setting.database.read() as tx:
        deployment = tx.deployments.of(setting.environment().id)[0]
    setting.until(lambda: any("will be retried" in line for line in logs(setting, deployment.id, "right")))
    began = time.monotonic()
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert time.monotonic() - began < 40


# --- repair -----------------------------------------------------------------------------------------------------------


def test_a_repair_puts_right_what_was_changed_by_hand_and_nothing_else(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    setting.world.tamper("one/left")
    setting.world.lose("one/right")
    accepted = setting.recovery.repair(ADMIN, "one")
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert setting.world.made == ["one/right"]
    assert setting.world.changed == ["one/left"]
    with setting.database.read() as tx:
        found = tx.deployments.get(accepted.deployment_id or "")
    assert found is not None
    assert found.kind is DeploymentKind.REPAIR
    assert found.parameters == {"word": "hello"}
    assert logs(setting, found.id, "top") == []
    assert told(setting, found.id, "top") == "top: done, nothing to change"


def test_a_failed_environment_is_repaired(setting: EngineHarness) -> None:
    setting.push(TEMPLATE)
    refuse(setting, "one/right", BackendError("No."))
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    setting.wait_for(State.FAILED)
    allow(setting)
    setting.recovery.repair(ADMIN, "one")
    assert setting.wait_for(State.READY).last_good is not None


def test_a_deployment_forgets_what_was_seen_of_drift(setting: EngineHarness) -> None:
    start(setting, TEMPLATE)
    seen = Drift(observed_at=setting.clock(), unexpected=(Unexpected(kind="thing", address="one/stray"),))
    with setting.database.write() as tx:
        tx.environments.change(setting.environment().id, drift=seen)
    assert setting.environment().drift is not None
    update(setting)
    assert setting.environment().drift is None
