"""Plans and updates with the real step kinds on twins in memory: single services of an environment come and go."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.plan import Plan, summary
from environments.domain.template import make_bundle
from environments.steps.registry import StepRegistry
from tests.support import step_harness
from tests.support.engine_harness import ADMIN, EngineHarness

HEAD = """
[template]
name = "services"
[parameters.message]
type = "string"
default = "Hello"
[parameters.pin]
type = "string"
writeOnly = true

[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { message = "{{ parameters.message }}" } }

[[steps]]
name = "password"
uses = "vault.secret"
with = { generate = { password = {} }, from_parameters = { pin = "pin" } }

[[steps]]
name = "certificate"
uses = "vault.certificate"
with = { service = "web" }
"""

SERVICE = """
[[steps]]
name = "{0}"
uses = "nomad.job"
needs = ["settings", "password", "certificate"]
with = {{ file = "{0}.nomad.hcl", variables = {{ count = {1} }} }}
"""

JOB = """
variable "environment" {}
variable "count" {}
job "NAME" {
  type = "service"
  group "group" {
    network {
      mode = "bridge"
    }
    count = var.count
    service {
      name = "${var.environment}--NAME"
    }
    task "task" {
      driver = "docker"
      config {
        image = "true"
      }
    }
  }
}
"""


class Cluster(EngineHarness):
    """A service on a cluster in memory."""

    def __init__(self, folder: Path) -> None:
        self.cluster = step_harness.StepHarness(ThreadPoolExecutor)
        super().__init__(folder)

    def make_registry(self) -> StepRegistry:
        """The real step kinds."""
        return self.cluster.registry

    def jobs(self) -> list[str]:
        """Ids of the environment's jobs."""
        return sorted(self.cluster.nomad.jobs("alpha"))

    def keep(self, **counts: int) -> None:
        """Pushes a template with these services, so many instances of each."""
        files = {"template.toml": HEAD + "".join(SERVICE.format(name, count) for name, count in counts.items())}
        files |= {f"{name}.nomad.hcl": JOB.replace("NAME", name) for name in counts}
        self.catalogue.push(ADMIN, make_bundle({path: text.encode() for path, text in files.items()}))

    def plan(self, kind: DeploymentKind, **values: object) -> Plan:
        """A saved plan."""
        return self.planning.plan(ADMIN, "alpha", MakePlan.model_validate({"kind": kind, **values}))

    def apply(self, plan: Plan) -> None:
        """Applies a plan, which must succeed."""
        self.ends_well(self.planning.apply(ADMIN, plan.id).deployment_id)

    def ends_well(self, deployment_id: str | None) -> None:
        """Waits for the end of a deployment, which must have succeeded."""

        def state() -> DeploymentState:
            with self.database.read() as tx:
                found = tx.deployments.get(deployment_id or "")
            assert found is not None
            return found.state

        self.until(lambda: state() not in (DeploymentState.QUEUED, DeploymentState.RUNNING))
        assert state() is DeploymentState.SUCCEEDED, self.environment("alpha").failure


def shown(plan: Plan) -> dict[str, list[str]]:
    found = {
        step.step: [f"{change.action} {change.kind} {change.address}" for change in step.changes] for step in plan.steps
    }
    return {step: changes for step, changes in found.items() if changes}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "data")
    cluster.worker.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def ready(cluster: Cluster) -> Cluster:
    """With an environment of three services."""
    cluster.keep(web=1, queue=1, worker=2)
    accepted = cluster.requests.create(
        ADMIN, CreateEnvironment(name="alpha", template="services", parameters={"pin": "1234"})
    )
    cluster.ends_well(accepted.deployment_id)
    return cluster


def test_a_create_is_made_as_its_plan_shows(cluster: Cluster) -> None:
    cluster.keep(web=1, queue=1, worker=2)
    plan = cluster.plan(DeploymentKind.CREATE, template="services", parameters={"pin": "1234"})
    assert not any(step.deferred for step in plan.steps)
    assert "create nomad.job alpha/web" in shown(plan)["web"]
    assert "1234" not in plan.model_dump_json()
    cluster.apply(plan)
    assert cluster.jobs() == ["queue", "web", "worker"]


def test_what_was_made_needs_no_change(ready: Cluster) -> None:
    assert shown(ready.plan(DeploymentKind.REPAIR)) == {}
    assert shown(ready.plan(DeploymentKind.UPDATE)) == {}


def test_a_service_is_added_changed_and_taken_out(ready: Cluster) -> None:
    ready.keep(web=1, worker=3, mail=1)
    plan = ready.plan(DeploymentKind.UPDATE)
    assert shown(plan) == {
        "worker": ["change nomad.job alpha/worker"],
        "mail": ["create nomad.job alpha/mail"],
        "queue": ["destroy nomad.job alpha/queue"],
    }
    assert summary(plan.steps) == "1 to create, 1 to change, 1 to destroy"
    before = {name: ready.cluster.nomad.job("alpha", name) for name in ("web",)}
    ready.apply(plan)
    assert ready.jobs() == ["mail", "web", "worker"]
    assert {name: ready.cluster.nomad.job("alpha", name) for name in before} == before
    assert shown(ready.plan(DeploymentKind.REPAIR)) == {}


def test_an_update_of_one_value_touches_one_step(ready: Cluster) -> None:
    plan = ready.plan(DeploymentKind.UPDATE, parameters={"message": "Bye"})
    assert shown(plan) == {"settings": ["change consul.kv environments/alpha/message"]}
    ready.apply(plan)
    assert ready.cluster.consul.tree("environments/alpha/")["environments/alpha/message"].value == b"Bye"


def test_new_secrets_are_planned_without_their_value_and_reach_openbao(ready: Cluster) -> None:
    plan = ready.plan(DeploymentKind.UPDATE, parameters={"pin": "5678"})
    assert list(shown(plan)) == ["password"]
    assert "5678" not in plan.model_dump_json()
    ready.apply(plan)
    assert (ready.cluster.secrets.read("environments/alpha/password") or {})["pin"] == "5678"


def test_a_step_without_jobs_takes_all_around_them_away(ready: Cluster) -> None:
    ready.keep()
    plan = ready.plan(DeploymentKind.UPDATE)
    assert shown(plan)["shared"][-1] == "destroy nomad.namespace alpha"
    ready.apply(plan)
    assert ready.cluster.nomad.namespace("alpha") is None
    assert ready.environment("alpha").state is State.READY


def test_a_job_that_was_changed_by_hand_is_repaired(ready: Cluster) -> None:
    ready.cluster.nomad.deregister("alpha", "queue", purge=True)
    plan = ready.plan(DeploymentKind.REPAIR)
    assert "create nomad.job alpha/queue" in shown(plan)["queue"]
    ready.apply(plan)
    assert ready.jobs() == ["queue", "web", "worker"]


def test_an_update_without_a_plan_does_the_same(ready: Cluster) -> None:
    ready.keep(web=2)
    accepted = ready.requests.update(ADMIN, "alpha", UpdateEnvironment())
    ready.ends_well(accepted.deployment_id)
    assert ready.jobs() == ["web"]


def test_a_step_that_is_called_otherwise_keeps_its_keys_and_its_job(ready: Cluster) -> None:
    files = {"template.toml": renamed(HEAD + SERVICE.format("web", 1), settings="values", web="front")}
    files["front.nomad.hcl"] = JOB.replace("NAME", "web")
    ready.catalogue.push(ADMIN, make_bundle({path: text.encode() for path, text in files.items()}))
    plan = ready.plan(DeploymentKind.UPDATE)
    found = shown(plan)
    assert "settings" not in found
    assert "web" not in found
    assert found["values"] == ["change consul.kv environments/alpha/message"]
    ready.apply(plan)
    assert ready.jobs() == ["web"]
    assert ready.cluster.consul.tree("environments/alpha/")["environments/alpha/message"].value == b"Hello"
    assert shown(ready.plan(DeploymentKind.REPAIR)) == {}


def renamed(text: str, **names: str) -> str:
    """The template with other names of steps."""
    for old, new in names.items():
        text = text.replace(f'"{old}', f'"{new}')
    return text
