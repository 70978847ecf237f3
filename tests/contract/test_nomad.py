"""What the executors rely on in Nomad."""

import time
from collections.abc import Callable, Iterator

import pytest

from environments.adapters.connections import Connections
from environments.adapters.memory import MemoryNomad
from environments.adapters.nomad import Nomad
from environments.domain.errors import InvalidJob
from environments.executors import hcl
from environments.executors.nomad_ports import Allocation, Job, Scheduler
from tests import images_here

JOB = """
variable "image" { default = "any" }
variable "text" { default = "" }
variable "count" { default = 1 }

job "app" {
  type = "service"
  group "group" {
    count = var.count
    update {
      min_healthy_time = "0s"
    }
    task "task" {
      driver = "docker"
      kill_timeout = "1s"
      config {
        image      = var.image
        force_pull = false
        init       = true
        network_mode = "host"
        command    = "/usr/bin/sleep"
        args       = ["3600"]
      }
      template {
        destination = "local/text"
        data = "it is ${var.text}"
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""


@pytest.fixture(params=["memory", "real"])
def nomad(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> Scheduler:
    return MemoryNomad() if request.param == "memory" else Nomad(real)


@pytest.fixture
def namespace(nomad: Scheduler, name: str) -> Iterator[str]:
    nomad.write_namespace(name, "a test", {"owner": "me"})
    yield name
    for job in nomad.jobs(name):
        nomad.deregister(name, job, purge=False)
        _until(nomad, name, job, lambda found: all(item.terminal for item in found))
        nomad.deregister(name, job, purge=True)
    end = time.monotonic() + 10
    while nomad.namespace(name) is not None:
        assert time.monotonic() < end
        nomad.remove_namespace(name)


def test_a_namespace_is_made_and_removed(nomad: Scheduler, name: str) -> None:
    assert nomad.namespace(name) is None
    assert nomad.jobs(name) == []
    nomad.write_namespace(name, "a test", {"owner": "me"})
    assert nomad.namespace(name) == {"owner": "me"}
    assert nomad.jobs(name) == []
    assert nomad.variables(name) == []
    nomad.remove_namespace(name)
    nomad.remove_namespace(name)
    assert nomad.namespace(name) is None


def test_nothing_is_known_of_a_job_that_never_was(nomad: Scheduler, namespace: str) -> None:
    assert nomad.job(namespace, "app") is None
    assert nomad.allocations(namespace, "app")[1] == []
    assert nomad.rollout(namespace, "app") is None
    assert nomad.evaluation(namespace, "00000000-0000-0000-0000-000000000000") is None
    nomad.deregister(namespace, "app", purge=True)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        'quotes " and \\ backslash',
        "${env} %{ if true } $${x} %%{y} $",
        '"}\njob "evil" {',
        "line\nbreak\ttab\r",
        "ünï \U0001f600 \u2028",
        "\x01\x7f",
    ],
)
def test_no_value_of_a_variable_becomes_code(nomad: Scheduler, text: str) -> None:
    job = nomad.parse(JOB, hcl.assignments({"text": text, "count": 3}))
    assert job["ID"] == "app"
    assert job["TaskGroups"][0]["Count"] == 3
    assert job["TaskGroups"][0]["Tasks"][0]["Templates"][0]["EmbeddedTmpl"] == f"it is {text}"


@pytest.mark.parametrize("text", ['job "app" {', "nothing at all"])
def test_a_file_that_is_no_job_is_refused(nomad: Scheduler, text: str) -> None:
    with pytest.raises(InvalidJob, match="Nomad rejects the job"):
        nomad.parse(text, "")


def test_a_job_runs_and_registering_it_again_changes_nothing(nomad: Scheduler, namespace: str) -> None:
    job = _parsed(nomad, namespace)
    assert nomad.register(namespace, job, 0)
    (first,) = _until(nomad, namespace, "app", lambda found: any(item.healthy for item in found))
    assert (first.client, first.desired, first.job_version, first.group) == ("running", "run", 0, "group")
    assert first.tasks[0].name == "task"
    assert first.tasks[0].events
    present = nomad.job(namespace, "app")
    assert present is not None
    assert present["Meta"] == {"mark": "1"}
    assert nomad.jobs(namespace) == ["app"]
    evaluation = nomad.register(namespace, job, present["JobModifyIndex"])
    again = nomad.job(namespace, "app")
    assert again is not None
    assert again["Version"] == 0
    time.sleep(0.3)
    assert [item.id for item in nomad.allocations(namespace, "app")[1]] == [first.id]
    said = nomad.evaluation(namespace, evaluation)
    assert said is not None
    assert said.unplaced == {}
    rollout = nomad.rollout(namespace, "app")
    assert rollout is not None
    assert rollout.job_version == 0


def test_a_job_that_somebody_else_registered_is_not_overwritten(nomad: Scheduler, namespace: str) -> None:
    job = _parsed(nomad, namespace)
    nomad.register(namespace, job, 0)
    with pytest.raises(InvalidJob, match="Enforcing job modify index"):
        nomad.register(namespace, {**job, "Meta": {"mark": "2"}}, 0)


def test_a_stopped_job_ends_its_allocations_and_is_forgotten_when_purged(nomad: Scheduler, namespace: str) -> None:
    nomad.register(namespace, _parsed(nomad, namespace), 0)
    _until(nomad, namespace, "app", lambda found: any(item.client == "running" for item in found))
    nomad.deregister(namespace, "app", purge=False)
    assert _until(nomad, namespace, "app", lambda found: all(item.terminal for item in found))
    stopped = nomad.job(namespace, "app")
    assert stopped is not None
    assert stopped["Stop"] is True
    nomad.deregister(namespace, "app", purge=True)
    assert nomad.job(namespace, "app") is None


def _parsed(nomad: Scheduler, namespace: str) -> Job:
    image = "any" if isinstance(nomad, MemoryNomad) else images_here.reference("base")
    return {
        **nomad.parse(JOB, hcl.assignments({"text": "x", "image": image})),
        "Namespace": namespace,
        "Meta": {"mark": "1"},
    }


def _until(nomad: Scheduler, namespace: str, job: str, enough: Callable[[list[Allocation]], bool]) -> list[Allocation]:
    index, found = nomad.allocations(namespace, job)
    end = time.monotonic() + 30
    while not enough(found):
        assert time.monotonic() < end, found
        index, found = nomad.allocations(namespace, job, index=index, wait=1.0)
    return found
