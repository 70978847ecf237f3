"""Plans on a small world: what they show, that they are kept to, and what makes them stale."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import MakePlan, UpdateEnvironment
from environments.domain.errors import (
    ForeignResource,
    InvalidInput,
    NameTaken,
    NotAllowedNow,
    PlanStale,
    UnknownPlan,
)
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, StepState
from environments.domain.plan import Plan, summary
from environments.service.authorization import Principal
from tests.support.crashes import Dead
from tests.support.engine_harness import ADMIN, TEMPLATE, USER, EngineHarness

SECRET = {"code": "swordfish"}
ALL = ["one/left", "one/right", "one/top", "one/everybody"]
BYE = TEMPLATE.replace('default = "hello"', 'default = "bye"')


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    yield setting
    setting.stop()


@pytest.fixture
def ready(setting: EngineHarness) -> EngineHarness:
    """With an environment that is ready."""
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    return setting


def plan(setting: EngineHarness, kind: DeploymentKind, principal: Principal = ADMIN, **values: Any) -> Plan:
    return setting.planning.plan(principal, "one", MakePlan(kind=kind, **values))


def shown(plan: Plan) -> dict[str, list[str]]:
    """Step → `create one/left` for each change."""
    return {step.step: [f"{change.action} {change.address}" for change in step.changes] for step in plan.steps}


def test_a_plan_to_create_shows_what_will_be_made_and_changes_nothing(setting: EngineHarness) -> None:
    made = plan(setting, DeploymentKind.CREATE, template="things", parameters={"word": "hi", **SECRET})
    assert shown(made) == {
        "left": ["create one/left", "create one/everybody"],
        "right": ["create one/right"],
        "top": [],
        "check": [],
    }
    assert {step.step: step.deferred for step in made.steps if step.deferred} == {"top": "decided when left is done"}
    assert summary(made.steps) == "3 to create; 1 step decided later"
    assert setting.world.made == []
    with setting.database.read() as tx:
        assert tx.environments.named("one") is None


def test_a_plan_to_create_makes_what_it_showed(setting: EngineHarness) -> None:
    made = plan(setting, DeploymentKind.CREATE, template="things", parameters={"word": "hi", **SECRET}, ttl="1h")
    setting.worker.start()
    accepted = setting.planning.apply(ADMIN, made.id)
    environment = setting.wait_for(State.READY, State.FAILED)
    assert environment.state is State.READY
    assert environment.outputs["word"]["value"] == "hi!"
    assert environment.deadline is not None
    assert environment.deadline - environment.created_at == timedelta(hours=1)
    with setting.database.read() as tx:
        deployment = tx.deployments.get(accepted.deployment_id or "")
        known = tx.plans.get(made.id)
        assert known is not None
        assert known.used_by == accepted.deployment_id
        assert known.environment_id == environment.id
        assert tx.plans.sealed(made.id) is None
    assert deployment is not None
    assert deployment.plan_id == made.id


def test_secret_parameters_of_a_plan_are_nowhere_in_the_database(setting: EngineHarness) -> None:
    made = plan(setting, DeploymentKind.CREATE, template="things", parameters=SECRET)
    assert "swordfish" not in made.model_dump_json()
    content = b"".join(path.read_bytes() for path in setting.folder.iterdir())
    assert b"swordfish" not in content


def test_a_plan_to_update_shows_only_what_differs(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    assert shown(made) == {
        "left": ["change one/left", "change one/everybody"],
        "right": [],
        "top": [],
        "check": [],
    }
    assert made.steps[2].deferred == "decided when left is done"
    assert made.steps[0].changes[0].details == ("says: 'hello' → 'bye'",)


def test_a_plan_of_what_is_as_it_should_be_is_empty(ready: EngineHarness) -> None:
    for kind in (DeploymentKind.UPDATE, DeploymentKind.REPAIR):
        assert summary(plan(ready, kind).steps) == "nothing to do"


def test_a_plan_to_update_is_kept_to(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    accepted = ready.planning.apply(ADMIN, made.id)
    assert ready.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert ready.environment().outputs["word"]["value"] == "bye!"
    assert sorted(ready.world.changed) == ["one/left", "one/top"]
    assert sorted(ready.world.made) == sorted(ALL)


def test_a_plan_to_destroy_names_what_is_there_in_the_order_of_going(ready: EngineHarness) -> None:
    ready.world.lose("one/right")
    made = plan(ready, DeploymentKind.DESTROY)
    assert list(shown(made).items()) == [
        ("top", ["destroy one/top"]),
        ("left", ["destroy one/left"]),
        ("shared", ["destroy one/everybody"]),
    ]
    ready.planning.apply(ADMIN, made.id)
    ready.wait_for(State.DESTROYED)
    assert ready.world.things == {}


def test_a_plan_to_repair_shows_what_was_changed_by_hand_and_puts_it_right(ready: EngineHarness) -> None:
    ready.world.tamper("one/left")
    ready.world.lose("one/right")
    made = plan(ready, DeploymentKind.REPAIR)
    assert shown(made)["left"] == ["change one/left"]
    assert shown(made)["right"] == ["create one/right"]
    accepted = ready.planning.apply(ADMIN, made.id)
    assert ready.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert ready.world.said["one/left"] == "hello"
    assert "one/right" in ready.world.things


def test_a_step_whose_options_need_no_changed_outputs_is_planned(ready: EngineHarness) -> None:
    ready.push(TEMPLATE.replace("steps.left", "steps.right"))
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    assert shown(made)["left"] == ["change one/left", "change one/everybody"]
    assert shown(made)["top"] == ["change one/top"]
    assert not any(step.deferred for step in made.steps)


def test_steps_that_share_a_thing_keep_to_the_plan_together(setting: EngineHarness) -> None:
    setting.push(
        TEMPLATE.replace(
            'name = "right"\nuses = "test.thing"', 'name = "right"\nuses = "test.thing"\nwith = { shared = true }'
        )
    )
    made = plan(setting, DeploymentKind.CREATE, template="things", parameters=SECRET)
    assert shown(made)["left"][1] == shown(made)["right"][1] == "create one/everybody"
    setting.worker.start()
    accepted = setting.planning.apply(ADMIN, made.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED


def test_what_a_deferred_step_shares_with_others_may_be_there_already(setting: EngineHarness) -> None:
    text = TEMPLATE.replace('needs = ["left", "right"]\nwith = {', 'needs = ["left", "right"]\nwith = { shared = true,')
    text += """
[[steps]]
name = "last"
uses = "test.thing"
needs = ["top"]
with = { shared = true }
"""
    setting.push(text.replace('says = "{{ parameters.word }}", shared = true', 'says = "{{ parameters.word }}"'))
    made = plan(setting, DeploymentKind.CREATE, template="things", parameters=SECRET)
    assert [step.step for step in made.steps if step.deferred] == ["top"]
    assert shown(made)["last"] == ["create one/last", "create one/everybody"]
    setting.worker.start()
    accepted = setting.planning.apply(ADMIN, made.id)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED


def test_what_another_deployment_did_makes_a_plan_stale(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    other = ready.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "other"}))
    assert ready.ended(other.deployment_id) is DeploymentState.SUCCEEDED
    with pytest.raises(PlanStale) as refused:
        ready.planning.apply(ADMIN, made.id)
    assert refused.value.details["moved"] == [f"ada asked to update one ({other.deployment_id}) after it"]
    assert ready.environment().outputs["word"]["value"] == "other!"


def test_a_taken_name_makes_a_plan_to_create_stale(setting: EngineHarness) -> None:
    made = plan(setting, DeploymentKind.CREATE, template="things", parameters=SECRET)
    setting.create(parameters=SECRET)
    with pytest.raises(PlanStale, match="named 'one' now"):
        setting.planning.apply(ADMIN, made.id)
    with pytest.raises(NameTaken):
        plan(setting, DeploymentKind.CREATE, template="things", parameters=SECRET)


def test_a_plan_is_applied_once(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    first = ready.planning.apply(ADMIN, made.id, "key")
    assert ready.planning.apply(ADMIN, made.id, "key").deployment_id == first.deployment_id
    with pytest.raises(PlanStale, match="applied it already"):
        ready.planning.apply(ADMIN, made.id, "another key")
    assert ready.planning.show(ADMIN, made.id).used_by == first.deployment_id


def test_a_plan_is_kept_for_a_day(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    ready.clock.ahead = timedelta(hours=23, minutes=59)
    assert ready.planning.show(ADMIN, made.id).id == made.id
    ready.clock.ahead = timedelta(hours=24, seconds=1)
    with pytest.raises(UnknownPlan):
        ready.planning.show(ADMIN, made.id)
    with pytest.raises(UnknownPlan):
        ready.planning.apply(ADMIN, made.id)


def test_a_plan_of_somebody_else_is_unknown(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE)
    with pytest.raises(UnknownPlan):
        ready.planning.show(USER, made.id)
    with pytest.raises(UnknownPlan):
        ready.planning.apply(USER, made.id)


def test_an_environment_that_is_being_destroyed_makes_a_plan_stale(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE)
    ready.requests.destroy(ADMIN, "one")
    with pytest.raises(PlanStale):
        ready.planning.apply(ADMIN, made.id)


def test_what_a_kind_of_plan_does_not_take_is_refused(ready: EngineHarness) -> None:
    with pytest.raises(InvalidInput, match="takes no digest, ttl"):
        plan(ready, DeploymentKind.REPAIR, digest="sha256:0", ttl="1h")
    with pytest.raises(InvalidInput, match="name of a template"):
        plan(ready, DeploymentKind.CREATE)


def test_only_what_the_state_allows_is_planned(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    with pytest.raises(NotAllowedNow):
        plan(setting, DeploymentKind.UPDATE)


def test_a_world_that_moved_fails_the_step_before_any_effect(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    ready.world.tamper("one/left", "somebody else's word")
    accepted = ready.planning.apply(ADMIN, made.id)
    assert ready.ended(accepted.deployment_id) is DeploymentState.FAILED
    failure = ready.wait_for(State.FAILED).failure
    assert failure is not None
    assert (failure.code, failure.step) == ("plan_stale", "left")
    assert "thing one/left isn't as it was when the plan was made" in failure.message
    assert ready.world.said["one/left"] == "somebody else's word"
    assert ready.world.changed == []


def test_a_thing_that_went_after_the_plan_fails_the_step(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    ready.world.lose("one/right")  # the plan says that nothing is to be done with it
    accepted = ready.planning.apply(ADMIN, made.id)
    assert ready.ended(accepted.deployment_id) is DeploymentState.FAILED
    failure = ready.environment().failure
    assert failure is not None
    assert "thing one/right would be created now" in failure.message
    assert "one/right" not in ready.world.things


def test_a_deferred_step_is_decided_when_its_turn_comes(ready: EngineHarness) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    ready.world.lose("one/top")
    accepted = ready.planning.apply(ADMIN, made.id)
    assert ready.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert ready.world.said["one/top"] == "bye!"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("effects", range(4))
def test_a_crash_in_the_middle_of_a_planned_deployment_goes_on(ready: EngineHarness, effects: int) -> None:
    made = plan(ready, DeploymentKind.UPDATE, parameters={"word": "bye"})
    dying = threading.Event()
    left = [effects]

    def die(verb: str, address: str) -> None:
        if left[0] == 0:
            dying.set()
        left[0] -= 1
        if dying.is_set():
            raise Dead

    ready.world.before = die
    accepted = ready.planning.apply(ADMIN, made.id)
    if effects < 3:  # left, everybody, top
        assert dying.wait(120)
        ready.crash()
        ready.world.before = lambda verb, address: None
        ready.open()
        with ready.database.write() as tx:
            tx.deployments.release_all()
        ready.worker.start()
    assert ready.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert ready.environment().outputs["word"]["value"] == "bye!"
    assert sorted(ready.world.made) == sorted(ALL)
    with ready.database.read() as tx:
        steps = {step.name: step for step in tx.journal.steps(accepted.deployment_id or "")}
    assert all(step.state is StepState.DONE for step in steps.values())


def test_what_cannot_be_observed_is_the_error_of_the_plan(ready: EngineHarness) -> None:
    def refuse(address: str) -> None:
        raise ForeignResource("It is somebody else's.")

    ready.world.before_observing = refuse
    with pytest.raises(ForeignResource):
        plan(ready, DeploymentKind.REPAIR)
