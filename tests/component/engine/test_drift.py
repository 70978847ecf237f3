"""Drift: detected on request and on the template's schedule, listed, and repaired."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.environment import Drift, EventType, Incident
from environments.domain.errors import BackendUnavailable, InvalidTemplate, NotAllowedNow
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.plan import Action
from environments.engine.observe import UNEXPECTED, BackendObserver
from environments.engine.plan import BackendPlanner
from environments.service.drift import Drifting
from environments.service.planner import Target
from tests.fakes.things import thing_registry
from tests.support.engine_harness import ADMIN, TEMPLATE, EngineHarness


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    setting.create(parameters={"code": "swordfish"})
    setting.wait_for(State.READY)
    yield setting
    setting.stop()


@pytest.fixture
def drifting(setting: EngineHarness) -> Drifting:
    tools = thing_registry(setting.world)
    planner = BackendPlanner(setting.database, tools)
    return Drifting(setting.database, BackendObserver(setting.database, tools, planner, setting.clock), setting.clock)


def observed(drifting: Drifting) -> Drift:
    drift = drifting.observe(ADMIN, "one").drift
    assert drift is not None
    return drift


def told(setting: EngineHarness, kind: EventType = EventType.ENVIRONMENT_DRIFT) -> list[str]:
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=1000)
    return [event.message for event in events if event.type is kind]


def test_nothing_differs_after_a_deployment(setting: EngineHarness, drifting: Drifting) -> None:
    assert drifting.show(ADMIN, "one").drift is None
    drift = observed(drifting)
    assert (drift.found, drift.steps, drift.unexpected, drift.troubles) == (False, (), (), {})
    assert told(setting) == []


def test_what_was_changed_or_taken_by_hand_and_what_is_new_is_listed(
    setting: EngineHarness, drifting: Drifting
) -> None:
    setting.world.tamper("one/top")
    setting.world.lose("one/right")
    setting.world.strays.append("one/stray")
    drift = observed(drifting)
    assert drift.found
    changes = {(change.address, change.action) for step in drift.steps for change in step.changes}
    assert changes == {("one/top", Action.CHANGE), ("one/right", Action.CREATE)}
    assert [found.address for found in drift.unexpected] == ["one/stray"]
    assert told(setting) == ["one has drifted: 2 things to put right, 1 unexpected"]
    assert setting.environment().drift == drift
    observed(drifting)
    assert len(told(setting)) == 1  # told once, not at each observation


def test_of_many_unexpected_things_some_are_kept_and_the_others_counted(
    setting: EngineHarness, drifting: Drifting
) -> None:
    setting.world.strays += [f"one/stray-{number}" for number in range(3 * UNEXPECTED)] + ["one/" + "x" * 100_000]
    observed(drifting)
    drift = setting.environment().drift
    assert drift is not None
    assert (len(drift.unexpected), drift.more_unexpected) == (UNEXPECTED, 2 * UNEXPECTED + 1)
    assert told(setting) == [f"one has drifted: {3 * UNEXPECTED + 1} unexpected"]
    setting.world.strays = ["one/" + "x" * 100_000]
    (found,) = observed(drifting).unexpected
    assert found.address.startswith("one/xxx")
    assert len(found.address) < 1000


def test_it_is_told_when_it_is_gone(setting: EngineHarness, drifting: Drifting) -> None:
    setting.world.strays.append("one/stray")
    observed(drifting)
    setting.world.strays.clear()
    assert not observed(drifting).found
    assert told(setting)[-1] == "one no longer has drift"


def test_what_was_done_from_outside_is_told_once_and_is_no_drift(setting: EngineHarness, drifting: Drifting) -> None:
    def struck(minutes: int, address: str = "one/top") -> Incident:
        at = setting.clock() + timedelta(minutes=minutes)
        return Incident(at=at, kind="thing", address=address, detail=f"killed at {minutes}")

    setting.world.struck = [struck(-60), struck(1), struck(2), struck(3, "two/top")]
    drift = observed(drifting)
    assert not drift.found
    # The first was before the last deployment had ended, the last is another environment's.
    assert [one.detail for one in drift.incidents] == ["killed at 1", "killed at 2"]
    assert told(setting, EventType.ENVIRONMENT_INCIDENT) == ["one, one/top: killed at 1", "one, one/top: killed at 2"]
    setting.world.struck.append(struck(4))
    observed(drifting)
    assert told(setting, EventType.ENVIRONMENT_INCIDENT)[2:] == ["one, one/top: killed at 4"]
    assert told(setting) == []


def test_what_cannot_be_observed_is_named(setting: EngineHarness, drifting: Drifting) -> None:
    def away(address: str) -> None:
        if address == "one/right":
            raise BackendUnavailable("Nomad is away.")

    setting.world.before_observing = away
    setting.world.tamper("one/top")
    drift = observed(drifting)
    assert drift.troubles["right"] == "Nomad is away."
    assert {change.address for step in drift.steps for change in step.changes} == {"one/top"}


def test_all_observations_of_one_environment_end_by_one_deadline(setting: EngineHarness) -> None:
    tools = thing_registry(setting.world)
    planner = BackendPlanner(setting.database, tools, longest=0.0)
    late = Drifting(setting.database, BackendObserver(setting.database, tools, planner, setting.clock), setting.clock)
    drift = observed(late)
    assert drift.steps == ()
    assert set(drift.troubles.values()) == {"Observing the environment took longer than 0 s."}
    environment = setting.environment()
    with setting.database.read() as tx:
        bundle = tx.templates.bundle(environment.bundle)
    assert bundle is not None
    for kind in (DeploymentKind.REPAIR, DeploymentKind.DESTROY):
        with pytest.raises(BackendUnavailable, match="took longer"):
            planner.plan(Target(kind, environment, bundle, {}))


def test_only_a_ready_environment_is_observed(setting: EngineHarness, drifting: Drifting) -> None:
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    with pytest.raises(NotAllowedNow):
        drifting.observe(ADMIN, "one")


def test_an_observation_that_a_change_has_overtaken_counts_for_nothing(
    setting: EngineHarness, drifting: Drifting
) -> None:
    def destroy(address: str) -> None:
        setting.world.before_observing = lambda address: None
        setting.requests.destroy(ADMIN, "one")

    setting.world.before_observing = destroy
    with pytest.raises(NotAllowedNow, match="changed during"):
        drifting.observe(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.environment().drift is None


def test_the_schedule_fires_once_at_each_moment(setting: EngineHarness, drifting: Drifting) -> None:
    assert drifting.observe_due() == []
    setting.push(TEMPLATE.replace("[lifetime]", '[drift]\nschedule = "0 4 * * *"\n[lifetime]'))
    setting.create(name="other", parameters={"code": "swordfish"})
    moment = setting.wait_for(State.READY, name="other").observe_at
    assert moment is not None
    assert (moment.hour, moment.minute, moment > setting.clock()) == (4, 0, True)
    assert drifting.observe_due() == []
    setting.world.tamper("other/top")
    setting.clock.ahead = moment - datetime.now(UTC) + timedelta(seconds=1)
    assert drifting.observe_due() == ["other"]
    found = setting.environment("other")
    assert found.drift is not None
    assert found.drift.found
    assert found.observe_at == moment + timedelta(days=1)
    assert drifting.observe_due() == []


def test_a_template_with_such_a_rule_is_not_pushed(setting: EngineHarness) -> None:
    with pytest.raises(InvalidTemplate, match="no cron expression"):
        setting.push(TEMPLATE.replace("[lifetime]", '[drift]\nschedule = "x"\n[lifetime]'))
