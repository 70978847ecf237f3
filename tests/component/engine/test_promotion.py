"""Awaiting promotion: a flag on a ready environment, and the deployment with which a person ends it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.api import presenting
from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.environment import Environment, EventType
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.service.drift import Drifting
from environments.wire.environments import EnvironmentView
from tests.support.engine_harness import ADMIN, DATABASES, EngineHarness, open_harness

TEMPLATE = """
[template]
name = "things"
version = "1"
[parameters.word]
type = "string"
default = "one"
[[steps]]
name = "app"
uses = "test.canary"
with = { says = "{{ parameters.word }}" }
[[steps]]
name = "top"
uses = "test.thing"
needs = ["app"]
with = { says = "{{ steps.app.said }}!" }
[outputs]
word = "{{ steps.top.said }}"
"""


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    setting.create()
    setting.wait_for(State.READY)
    yield setting
    setting.stop()


def updated(setting: EngineHarness, word: str) -> Environment:
    """The environment after an update."""
    asked = setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": word}))
    assert setting.ended(asked.deployment_id) is DeploymentState.SUCCEEDED
    return setting.environment()


def view(setting: EngineHarness) -> EnvironmentView:
    return presenting.environment(setting.environment())


def told(setting: EngineHarness) -> list[str]:
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=1000)
    return [event.message for event in events if event.type is EventType.ENVIRONMENT_AWAITING_PROMOTION]


def test_a_ready_environment_awaits_promotion_until_a_person_asks_for_it(setting: EngineHarness) -> None:
    assert view(setting).awaiting_promotion == ()
    with pytest.raises(NotAllowedNow, match="Nothing of environment 'one' awaits promotion") as caught:
        setting.recovery.promote(ADMIN, "one")
    assert 'promotion = "manual"' in caught.value.hint
    with pytest.raises(NotAllowedNow, match="awaits promotion"):
        setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.PROMOTE))
    good = setting.environment().last_good

    waiting = updated(setting, "two")
    assert (waiting.state, waiting.awaiting_promotion) == (State.READY, ("app",))
    assert view(setting).awaiting_promotion == ("app",)
    assert view(setting).outputs["word"].value == "one!", "what serves is what was there before"
    assert waiting.last_good == good, "a rollback gives the new version up"
    assert told(setting) == ["one awaits promotion of app: `calvinverse env promote one`"]
    with setting.database.read() as tx:
        assert not tx.deployments.running()

    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.PROMOTE))
    assert [step.step for step in plan.steps if step.changes] == ["app"]
    asked = setting.recovery.promote(ADMIN, "one")
    with pytest.raises(NotAllowedNow):
        setting.recovery.promote(ADMIN, "one")
    assert setting.ended(asked.deployment_id) is DeploymentState.SUCCEEDED
    promoted = setting.environment()
    assert (promoted.state, promoted.awaiting_promotion) == (State.READY, ())
    assert promoted.last_good == asked.deployment_id
    assert view(setting).outputs["word"].value == "two!"
    with setting.database.read() as tx:
        (newest, *_) = tx.deployments.of(promoted.id)
    assert (newest.kind, newest.reason) == (DeploymentKind.PROMOTE, "promotion of app")


def test_other_changes_end_the_waiting_too(setting: EngineHarness) -> None:
    updated(setting, "two")
    assert updated(setting, "three").awaiting_promotion == ("app",)
    repaired = setting.recovery.repair(ADMIN, "one")
    assert setting.ended(repaired.deployment_id) is DeploymentState.SUCCEEDED
    assert setting.environment().awaiting_promotion == ("app",), "a repair promotes nothing"
    assert updated(setting, "one").awaiting_promotion == ()
    updated(setting, "two")
    setting.requests.destroy(ADMIN, "one")
    assert setting.environment().awaiting_promotion == ()
    setting.until(lambda: setting.world.things == {})


def test_an_output_with_a_null_in_it_is_null(setting: EngineHarness) -> None:
    text = TEMPLATE.replace('"{{ steps.app.said }}!"', '"{{ none }}"').replace("things", "nulls")
    address = 'address = "http://{{ steps.top.said }}:80/"\nnamed = "None {{ parameters.word }}"\n'
    setting.push(text + address + """or = "http://{{ steps.top.said or 'nobody' }}/"\n""")
    setting.requests.create(ADMIN, CreateEnvironment(name="two", template="nulls"))
    found = presenting.environment(setting.wait_for(State.READY, name="two")).outputs
    assert {name: output.value for name, output in found.items()} == {
        "word": None,
        "address": None,
        "named": "None one",
        "or": "http://nobody/",
    }


def test_a_saved_plan_promotes(setting: EngineHarness) -> None:
    updated(setting, "two")
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.PROMOTE))
    asked = setting.planning.apply(ADMIN, plan.id)
    assert setting.ended(asked.deployment_id) is DeploymentState.SUCCEEDED
    assert view(setting).outputs["word"].value == "two!"


def test_a_promotion_that_fails_leaves_a_failed_environment_that_awaits_nothing(setting: EngineHarness) -> None:
    updated(setting, "two")

    def refuse(verb: str, address: str) -> None:
        raise NotAllowedNow("It is not well.")

    setting.world.before = refuse
    asked = setting.recovery.promote(ADMIN, "one")
    assert setting.ended(asked.deployment_id) is DeploymentState.FAILED
    failed = setting.environment()
    assert (failed.state, failed.awaiting_promotion) == (State.FAILED, ())
    with pytest.raises(NotAllowedNow, match="can't be promoted now"):
        setting.recovery.promote(ADMIN, "one")


def test_an_observation_for_drift_ends_the_waiting_for_what_no_longer_exists(setting: EngineHarness) -> None:
    registry = setting.make_registry()
    planner = BackendPlanner(setting.database, registry)
    drifting = Drifting(
        setting.database, BackendObserver(setting.database, registry, planner, setting.clock), setting.clock
    )
    updated(setting, "two")
    drifting.observe(ADMIN, "one")
    assert (view(setting).awaiting_promotion, view(setting).drifted) == (("app",), False)
    setting.world.waiting.clear()
    drifting.observe(ADMIN, "one")
    assert (view(setting).awaiting_promotion, view(setting).drifted) == ((), True)
    assert told(setting)[-1] == "one no longer awaits promotion of app: the new version no longer exists"
