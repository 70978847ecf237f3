"""Batch jobs in whole environments: done once, also after failures and retries, and again when a person wants that."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from environments.api import presenting
from environments.cli.plan_tables import plan_lines, plan_next
from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.environment import EventType
from environments.domain.errors import BackendError, InvalidInput
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, StepState
from environments.domain.plan import summary
from environments.domain.template import make_bundle
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.moments import moment
from environments.providers.consul.kv import ConsulKv
from environments.steps.registry import StepRegistry
from tests.fakes.backends.nomad_instances import Fate
from tests.support.engine_harness import ADMIN, EngineHarness
from tests.support.step_harness import JOB, StepHarness

SEED = JOB.replace('"service"', '"batch"').replace('job "web"', 'job "seed"')
TEMPLATE = """
[template]
name = "seeded"
version = "1"
[lifetime]
default = "8h"
[parameters.word]
type = "string"
default = "hello"
[parameters.reply]
type = "string"
default = "it is"
[[steps]]
name = "first"
uses = "consul.kv"
with = { keys = { word = "{{ parameters.word }}", reply = "{{ parameters.reply }}" } }
[[steps]]
name = "seed"
uses = "nomad.job"
needs = ["first"]
with = { file = "seed.nomad.hcl", variables = { text = "{{ parameters.word }}", count = 1 } }
[[steps]]
name = "app"
uses = "nomad.job"
needs = ["seed"]
with = { file = "web.nomad.hcl", variables = { text = "x", count = 1 } }
[[steps]]
name = "answers"
uses = "check.http"
needs = ["app"]
with = { service = "web" }
"""


class Nomad(EngineHarness):
    """A service whose step kinds are the real ones, on a cluster in memory."""

    def make_registry(self) -> StepRegistry:
        """Those of the cluster."""
        self.cluster = getattr(self, "cluster", None) or StepHarness()
        return self.cluster.registry

    def runs(self, job: str = "seed") -> int:
        """How often the job has run, as far as Nomad knows."""
        found = self.cluster.nomad.job("one", job)
        return 0 if found is None else found["Version"] + 1


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Nomad]:
    setting = Nomad(tmp_path)
    files = {"template.toml": TEMPLATE, "seed.nomad.hcl": SEED, "web.nomad.hcl": JOB}
    setting.catalogue.push(ADMIN, make_bundle({name: text.encode() for name, text in files.items()}))
    setting.worker.start()
    setting.requests.create(ADMIN, CreateEnvironment(name="one", template="seeded"))
    setting.wait_for(State.READY)
    yield setting
    setting.stop()


def update(setting: Nomad, *run_again: str, **parameters: str) -> DeploymentState:
    request = UpdateEnvironment(parameters=parameters or None, run_again=run_again)
    return setting.ended(setting.requests.update(ADMIN, "one", request).deployment_id)


def lines(setting: Nomad) -> list[str]:
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=10_000)
    return [event.message for event in events if event.type is EventType.LOG]


def drifted(setting: Nomad) -> bool:
    planner = BackendPlanner(setting.database, setting.cluster.registry)
    found = BackendObserver(setting.database, setting.cluster.registry, planner, setting.clock).observe(
        setting.environment()
    )
    assert not found.troubles
    return found.found


def test_nothing_is_done_when_nothing_differs_whatever_nomad_remembers(setting: Nomad) -> None:
    nomad = setting.cluster.nomad
    before, told = nomad.registrations, lines(setting)
    nomad.token = "of the next hour"
    assert update(setting) is DeploymentState.SUCCEEDED
    nomad.collect_garbage()
    assert not drifted(setting)
    assert update(setting) is DeploymentState.SUCCEEDED
    assert setting.ended(setting.recovery.repair(ADMIN, "one").deployment_id) is DeploymentState.SUCCEEDED
    assert (nomad.registrations, nomad.job("one", "seed")) == (before, None)
    # Of the file's words only what they mean counts; other inputs are another job, and so are those of a rollback.
    assert update(setting, word="bye") is DeploymentState.SUCCEEDED
    assert nomad.registrations == before + 1
    assert lines(setting)[: len(told)] == told
    with setting.database.read() as tx:
        first = tx.deployments.of(setting.environment().id)[-1].id
    accepted = setting.recovery.rollback(ADMIN, "one", deployment=first)
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED
    assert nomad.registrations == before + 2
    assert not drifted(setting)


def test_an_update_that_changes_nothing_logs_nothing(setting: Nomad) -> None:
    told = lines(setting)
    assert told, "the create said what it did"
    assert update(setting) is DeploymentState.SUCCEEDED
    assert lines(setting) == told
    # And all that a step logs comes before its end.
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=10_000)
    ended: set[tuple[str | None, str | None]] = set()
    for event in events:
        assert event.type is not EventType.LOG or (event.deployment_id, event.step) not in ended, event
        if event.type is EventType.STEP_STATE and event.data["state"] == StepState.DONE.value:
            ended.add((event.deployment_id, event.step))


def test_the_retry_of_another_step_leaves_a_done_job_alone(setting: Nomad) -> None:
    nomad = setting.cluster.nomad
    nomad.scale("one", "web", 3)
    nomad.collect_garbage()
    nomad.fate = Fate.FAILING
    assert update(setting) is DeploymentState.FAILED
    nomad.fate = Fate.HEALTHY
    assert setting.ended(setting.requests.retry(ADMIN, "one").deployment_id) is DeploymentState.SUCCEEDED
    assert nomad.job("one", "seed") is None


def test_a_person_runs_a_step_again(setting: Nomad) -> None:
    nomad = setting.cluster.nomad
    planned = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE, run_again=("seed",)))
    (step,) = (step for step in planned.steps if step.changes)
    assert (step.step, step.changes[0].details[0]) == ("seed", "runs again, as requested")
    assert setting.ended(setting.planning.apply(ADMIN, planned.id).deployment_id) is DeploymentState.SUCCEEDED
    assert setting.runs() == 2
    assert update(setting, "seed", "seed") is DeploymentState.SUCCEEDED
    assert setting.runs() == 3
    with setting.database.read() as tx:
        assert tx.deployments.of(setting.environment().id)[0].reason == "updated, to run seed again"
    assert update(setting) is DeploymentState.SUCCEEDED
    assert setting.runs() == 3
    nomad.collect_garbage()
    assert update(setting, "seed") is DeploymentState.SUCCEEDED
    assert setting.runs() == 1


def test_a_wish_that_could_not_be_fulfilled_goes_on_with_the_retry(
    setting: Nomad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise BackendError("No.")

    with monkeypatch.context() as patch:
        patch.setattr(ConsulKv, "apply", refuses)
        assert update(setting, "seed", reply="it was") is DeploymentState.FAILED
    assert setting.runs() == 1
    assert setting.ended(setting.requests.retry(ADMIN, "one").deployment_id) is DeploymentState.SUCCEEDED
    assert setting.runs() == 2
    assert setting.ended(setting.recovery.repair(ADMIN, "one").deployment_id) is DeploymentState.SUCCEEDED
    assert setting.runs() == 2


def test_what_can_not_be_run_again_is_refused(setting: Nomad) -> None:
    for step, sentence, hint in (
        ("sed", "no step 'sed' to run again", "Did you mean 'seed'?"),
        ("nothing-like-it", "no step 'nothing-like-it'", "It has: first, seed, app, answers."),
        ("app", "'app' can't be run again: its job keeps running", "Only batch and sysbatch jobs"),
        ("first", "'first' can't be run again: consul.kv only does", "Only batch and sysbatch jobs"),
    ):
        for ask in (
            lambda step: setting.requests.update(ADMIN, "one", UpdateEnvironment(run_again=(step,))),
            lambda step: setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE, run_again=(step,))),
        ):
            with pytest.raises(InvalidInput, match=sentence) as caught:
                ask(step)
            assert caught.value.hint.startswith(hint)
    with pytest.raises(InvalidInput, match="takes no run_again"):
        setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.REPAIR, run_again=("seed",)))


def test_a_destroyed_environment_forgets_it(setting: Nomad) -> None:
    destroyed = setting.requests.destroy(ADMIN, "one")
    setting.ended(destroyed.deployment_id)
    setting.requests.create(ADMIN, CreateEnvironment(name="one", template="seeded"))
    setting.wait_for(State.READY)
    assert setting.runs() == 1


def test_a_plan_tells_what_is_shared_once_and_that_checks_run(setting: Nomad) -> None:
    zone = ZoneInfo("Europe/Berlin")
    create = MakePlan(kind=DeploymentKind.CREATE, template="seeded")
    planned = setting.planning.plan(ADMIN, "two", create)
    text = "\n".join(plan_lines(presenting.plan(planned), zone))
    assert text.count("nomad.namespace  two") == 1
    assert text.count("consul.policy  env-two") == 1
    assert "will be checked: answers" in text
    assert "unchanged" not in text
    made = sum(text.count(f"  {sign} ") for sign in "+~")
    assert f"{made} to create" in text
    assert re.search(r"expires +8h after its creation \(at ", text)
    until = datetime.now(UTC) + timedelta(hours=3)
    planned = setting.planning.plan(ADMIN, "two", create.model_copy(update={"until": until}))
    assert (planned.deadline, planned.lifetime) == (until, None)
    assert f"{moment(until, zone)}\n" in "\n".join(plan_lines(presenting.plan(planned), zone))
    updated = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.UPDATE))
    text = "\n".join(plan_lines(presenting.plan(updated), zone))
    assert "expires" not in text
    assert "unchanged: first, seed, app\nwill be checked: answers" in text
    assert summary(updated.steps) == "nothing to do"
    assert "only notes the version" in plan_next(presenting.plan(updated), zone)
