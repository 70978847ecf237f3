"""What the executors rely on in Nomad."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from environments.domain.errors import BackendError, InvalidJob
from environments.providers.backend.connections import Connections
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.ports import Allocation, Edit, Job, JobPlan, NomadApi
from environments.steps.hcl import literals as hcl
from tests.fakes.backends.nomad import MemoryNomad
from tests.support import images_here

JOB = """
variable "image" { default = "any" }
variable "text" { default = "" }
variable "count" { default = 1 }

job "app" {
  type = "service"
  group "group" {
    network {
      mode = "bridge"
    }
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


CANARIES = JOB.replace('min_healthy_time = "0s"', 'min_healthy_time = "0s"\n      canary = 1')
POSTSTOP = JOB.replace(
    '    task "task"',
    """    restart {
      attempts = 0
      mode     = "fail"
    }
    task "bye" {
      driver = "docker"
      lifecycle {
        hook = "poststop"
      }
      config {
        image      = var.image
        force_pull = false
        network_mode = "host"
        command    = "/usr/bin/sleep"
        args       = ["3600"]
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
    task \"task\"""",
)


@pytest.fixture(params=["memory", "real"])
def nomad(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> NomadApi:
    return MemoryNomad() if request.param == "memory" else NomadClient(real)


@pytest.fixture
def namespace(nomad: NomadApi, name: str) -> Iterator[str]:
    nomad.write_namespace(name, "a test", {"owner": "me"})
    yield name
    for job in nomad.jobs(name):
        nomad.deregister(name, job, purge=False)
        _until(nomad, name, job, lambda found: all(item.terminal for item in found))
        nomad.deregister(name, job, purge=True)
    end = time.monotonic() + 120
    while nomad.namespace(name) is not None:
        assert time.monotonic() < end
        nomad.remove_namespace(name)


def test_a_namespace_is_made_and_removed(nomad: NomadApi, name: str) -> None:
    assert nomad.namespace(name) is None
    assert nomad.jobs(name) == []
    nomad.write_namespace(name, "a test", {"owner": "me"})
    assert nomad.namespace(name) == {"owner": "me"}
    assert nomad.jobs(name) == []
    assert nomad.variables(name) == []
    nomad.remove_namespace(name)
    nomad.remove_namespace(name)
    assert nomad.namespace(name) is None


def test_nothing_is_known_of_a_job_that_never_was(nomad: NomadApi, namespace: str) -> None:
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
def test_no_value_of_a_variable_becomes_code(nomad: NomadApi, text: str) -> None:
    job = nomad.parse(JOB, hcl.assignments({"text": text, "count": 3}))
    assert job["ID"] == "app"
    assert job["TaskGroups"][0]["Count"] == 3
    assert job["TaskGroups"][0]["Tasks"][0]["Templates"][0]["EmbeddedTmpl"] == f"it is {text}"


@pytest.mark.parametrize("text", ['job "app" {', "nothing at all"])
def test_a_file_that_is_no_job_is_refused(nomad: NomadApi, text: str) -> None:
    with pytest.raises(InvalidJob, match="Nomad rejects the job"):
        nomad.parse(text, "")


def test_a_job_runs_and_registering_it_again_changes_nothing(nomad: NomadApi, namespace: str) -> None:
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


def test_canaries_run_beside_the_version_before_until_they_are_promoted(nomad: NomadApi, namespace: str) -> None:
    nomad.register(namespace, _parsed(nomad, namespace, CANARIES), 0)
    (first,) = _until(nomad, namespace, "app", lambda found: any(item.healthy for item in found))
    before = nomad.rollout(namespace, "app")
    assert before is not None
    assert (before.awaits_promotion, before.canaries) == (False, frozenset())
    _register_again(nomad, namespace, text="y")
    found = _until(nomad, namespace, "app", lambda found: any(item.healthy and item.job_version == 1 for item in found))
    (canary,) = (item for item in found if item.job_version == 1)
    assert {item.id: item.desired for item in found} == {first.id: "run", canary.id: "run"}
    waiting = nomad.rollout(namespace, "app")
    assert waiting is not None
    assert (waiting.awaits_promotion, waiting.promotes_itself) == (True, False)
    assert (dict(waiting.unpromoted), waiting.canaries) == ({"group": 1}, frozenset({canary.id}))

    # Another version takes the canary's place, not that of the version before.
    _register_again(nomad, namespace, text="z")
    found = _until(nomad, namespace, "app", lambda found: any(item.healthy and item.job_version == 2 for item in found))
    assert {item.job_version for item in found if item.desired == "run"} == {0, 2}
    with pytest.raises(BackendError):
        nomad.promote(namespace, waiting.id)
    waiting = nomad.rollout(namespace, "app")
    assert waiting is not None
    nomad.promote(namespace, waiting.id)
    found = _until(nomad, namespace, "app", lambda found: sum(not item.terminal for item in found) == 1)
    assert [item.job_version for item in found if item.desired == "run"] == [2]
    promoted = nomad.rollout(namespace, "app")
    assert promoted is not None
    assert (promoted.id, promoted.awaits_promotion) == (waiting.id, False)


def test_going_back_to_the_version_before_ends_its_canaries(nomad: NomadApi, namespace: str) -> None:
    nomad.register(namespace, _parsed(nomad, namespace, CANARIES), 0)
    (first,) = _until(nomad, namespace, "app", lambda found: any(item.healthy for item in found))
    _register_again(nomad, namespace, text="y")
    _until(nomad, namespace, "app", lambda found: any(item.healthy and item.job_version == 1 for item in found))
    _register_again(nomad, namespace, text="x")
    found = _until(nomad, namespace, "app", lambda found: sum(not item.terminal for item in found) == 1)
    assert [(item.id, item.job_version) for item in found if item.desired == "run"] == [(first.id, 2)]
    back = nomad.rollout(namespace, "app")
    assert back is None or not back.awaits_promotion


def test_a_task_that_runs_after_the_others_goes_on_until_it_is_killed(nomad: NomadApi, namespace: str) -> None:
    if isinstance(nomad, MemoryNomad):
        nomad.poststop_hangs = True
    nomad.register(namespace, _parsed(nomad, namespace, POSTSTOP), 0)
    (found,) = _until(nomad, namespace, "app", lambda found: any(item.healthy for item in found))
    assert {task.name: task.state for task in found.tasks} == {"task": "running", "bye": "pending"}
    nomad.deregister(namespace, "app", purge=False)
    (found,) = _until(nomad, namespace, "app", lambda found: _state(found, "bye") == "running")
    assert (found.desired, found.terminal, _state([found], "task")) == ("stop", False, "dead")
    nomad.signal(namespace, found.id, "bye", "SIGKILL")
    (found,) = _until(nomad, namespace, "app", lambda found: all(item.terminal for item in found))
    assert _state([found], "bye") == "dead"
    nomad.signal(namespace, found.id, "bye", "SIGKILL")
    nomad.signal(namespace, found.id, "other", "SIGKILL")


def test_a_job_that_somebody_else_registered_is_not_overwritten(nomad: NomadApi, namespace: str) -> None:
    job = _parsed(nomad, namespace)
    nomad.register(namespace, job, 0)
    with pytest.raises(InvalidJob, match="Enforcing job modify index"):
        nomad.register(namespace, {**job, "Meta": {"mark": "2"}}, 0)


def test_a_stopped_job_ends_its_allocations_and_is_forgotten_when_purged(nomad: NomadApi, namespace: str) -> None:
    nomad.register(namespace, _parsed(nomad, namespace), 0)
    _until(nomad, namespace, "app", lambda found: any(item.client == "running" for item in found))
    nomad.deregister(namespace, "app", purge=False)
    assert _until(nomad, namespace, "app", lambda found: all(item.terminal for item in found))
    stopped = nomad.job(namespace, "app")
    assert stopped is not None
    assert stopped["Stop"] is True
    nomad.deregister(namespace, "app", purge=True)
    assert nomad.job(namespace, "app") is None


def test_a_registered_job_is_planned_by_what_differs(nomad: NomadApi, namespace: str) -> None:
    job = _parsed(nomad, namespace)
    nomad.register(namespace, job, 0)
    _until(nomad, namespace, "app", lambda found: any(item.healthy for item in found))
    before = _stable(nomad, namespace)
    assert nomad.plan(namespace, job) == JobPlan()

    counted = nomad.plan(namespace, _parsed(nomad, namespace, count=2))
    assert counted == JobPlan((Edit(("group group",), "Count", "1", "2"),))

    place = ("group group", "task task")
    image = _image(nomad)
    imaged = nomad.plan(namespace, _parsed(nomad, namespace, image="sha256:0000"))
    assert imaged == JobPlan((Edit((*place, "Config"), "image", image, "sha256:0000"),), frozenset({"group"}))

    text = nomad.plan(namespace, _parsed(nomad, namespace, text="y"))
    assert text == JobPlan((Edit((*place, "Template"), "EmbeddedTmpl", "it is x", "it is y"),), frozenset({"group"}))

    marked = nomad.plan(namespace, {**job, "Meta": {"mark": "2", "more": "3"}})
    assert marked.edits == (Edit((), "Meta[mark]", "1", "2"), Edit((), "Meta[more]", None, "3"))
    assert marked.replaced == {"group"}
    assert nomad.job(namespace, "app") == before, "planning registers nothing"


def test_blocks_that_are_new_or_gone_are_planned_as_one_edit_each(nomad: NomadApi, namespace: str) -> None:
    job = _parsed(nomad, namespace)
    nomad.register(namespace, job, 0)
    group = job["TaskGroups"][0]
    (template,) = group["Tasks"][0]["Templates"]
    other = {**template, "DestPath": "local/other"}
    task = {**group["Tasks"][0], "Templates": [template, other]}
    (added,) = nomad.plan(namespace, {**job, "TaskGroups": [{**group, "Tasks": [task]}]}).edits
    assert (added.place, added.field) == (("group group", "task task", "Template", "local/other"), "")
    assert (added.old is None, added.new is None) == (True, False)

    second = {**group, "Name": "second"}
    (added,) = nomad.plan(namespace, {**job, "TaskGroups": [group, second]}).edits
    assert (added.place, added.field, added.old) == (("group second",), "", None)
    gone = nomad.plan(namespace, {**job, "TaskGroups": [second]}).edits
    assert [(edit.place, edit.old is None, edit.new is None) for edit in sorted(gone, key=lambda edit: edit.place)] == [
        (("group group",), False, True),
        (("group second",), True, False),
    ]


def test_a_stopped_job_is_planned_to_run_again(nomad: NomadApi, namespace: str) -> None:
    job = _parsed(nomad, namespace)
    nomad.register(namespace, job, 0)
    nomad.deregister(namespace, "app", purge=False)
    assert nomad.plan(namespace, job) == JobPlan((Edit((), "Stop", "true", "false"),))


def test_a_job_can_not_be_planned_into_a_namespace_that_is_not_there(nomad: NomadApi, name: str) -> None:
    with pytest.raises(InvalidJob, match="nonexistent namespace"):
        nomad.plan(name, _parsed(nomad, name))


def test_what_runs_in_a_namespace_is_counted_by_its_job(nomad: NomadApi, namespace: str) -> None:
    assert nomad.running(namespace) == {}
    nomad.register(namespace, _parsed(nomad, namespace, count=2), 0)
    _until(nomad, namespace, "app", lambda found: len(found) == 2)
    assert nomad.running(namespace) == {"app": 2}
    nomad.deregister(namespace, "app", purge=False)
    _until(nomad, namespace, "app", lambda found: all(item.terminal for item in found))
    assert nomad.running(namespace) == {}


def test_a_namespace_that_is_not_there_has_nothing(nomad: NomadApi, name: str) -> None:
    assert nomad.running(name) == {}
    assert nomad.volumes(name) == []
    assert nomad.variables(name) == []
    assert nomad.given_ports(name) == []


def test_volumes_are_listed_by_namespace(nomad: NomadApi, namespace: str, real: Callable[[], Connections]) -> None:
    if isinstance(nomad, MemoryNomad):
        nomad.write_volume(namespace, "vol-1")
        assert nomad.volumes(namespace) == ["vol-1"]
        assert nomad.volumes("default") == []
        _is_removed(nomad, namespace, "vol-1")
        return
    caller = real().caller("nomad")
    mode = {"AttachmentMode": "file-system", "AccessMode": "single-node-writer"}
    volume = {"Name": "a", "Namespace": namespace, "PluginID": "mkdir", "RequestedCapabilities": [mode]}
    made = caller.call("PUT", f"/v1/volume/host/create?namespace={namespace}", {"Volume": volume})["Volume"]["ID"]
    try:
        assert nomad.volumes(namespace) == [made]
        assert nomad.volumes("default") == []
        _is_removed(nomad, namespace, made)
    finally:
        if nomad.volumes(namespace):
            caller.call("DELETE", f"/v1/volume/host/{made}/delete?namespace={namespace}")


def _is_removed(nomad: NomadApi, namespace: str, volume: str) -> None:
    nomad.remove_volume("default", volume)
    assert nomad.volumes(namespace) == [volume]
    nomad.remove_volume(namespace, volume)
    nomad.remove_volume(namespace, volume)
    assert nomad.volumes(namespace) == []


def _image(nomad: NomadApi) -> str:
    return "any" if isinstance(nomad, MemoryNomad) else images_here.reference("base")


def _state(found: list[Allocation], task: str) -> str:
    return next(known.state for item in found for known in item.tasks if known.name == task)


def _register_again(nomad: NomadApi, namespace: str, **variables: Any) -> None:
    present = nomad.job(namespace, "app")
    assert present is not None
    nomad.register(namespace, _parsed(nomad, namespace, CANARIES, **variables), present["JobModifyIndex"])


def _parsed(nomad: NomadApi, namespace: str, file: str = JOB, **variables: Any) -> Job:
    return {
        **nomad.parse(file, hcl.assignments({"text": "x", "image": _image(nomad), **variables})),
        "Namespace": namespace,
        "Meta": {"mark": "1"},
    }


def _until(nomad: NomadApi, namespace: str, job: str, enough: Callable[[list[Allocation]], bool]) -> list[Allocation]:
    index, found = nomad.allocations(namespace, job)
    end = time.monotonic() + 120
    while not enough(found):
        assert time.monotonic() < end, found
        index, found = nomad.allocations(namespace, job, index=index, wait=1.0)
    return found


def _stable(nomad: NomadApi, namespace: str) -> Job:
    """The job once Nomad calls its version stable, which changes it after its allocations are healthy."""
    end = time.monotonic() + 120
    while (found := nomad.job(namespace, "app")) is None or not found.get("Stable", True):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def test_the_newest_evaluation_of_a_job_is_known(nomad: NomadApi, namespace: str) -> None:
    assert nomad.newest_evaluation(namespace, "app") == ""
    assert not nomad.goes_on(namespace, "app")
    job = nomad.parse(JOB, hcl.assignments({"image": images_here.reference("base")}))
    job = {**job, "Namespace": namespace}
    first = nomad.register(namespace, job, 0)
    _until(nomad, namespace, "app", lambda found: any(item.client == "running" for item in found))
    present = nomad.job(namespace, "app")
    assert present is not None
    group = {**job["TaskGroups"][0], "Count": 2}
    second = nomad.register(namespace, {**job, "TaskGroups": [group]}, present["JobModifyIndex"])
    newest = nomad.newest_evaluation(namespace, "app")
    assert newest not in ("", first)
    found = nomad.evaluation(namespace, newest)
    assert found is not None
    # The deployment that follows has evaluations of its own.
    assert newest == second or found.status in ("pending", "complete")


def test_a_job_is_validated_without_being_registered(nomad: NomadApi) -> None:
    job = {**nomad.parse(JOB, hcl.assignments({"image": _image(nomad)})), "Namespace": "default"}
    assert nomad.validate(job) == []
    group = job["TaskGroups"][0]
    twice = {**group, "Tasks": [group["Tasks"][0], group["Tasks"][0]]}
    (said,) = nomad.validate({**job, "TaskGroups": [twice]})
    assert "Task group group validation failed: 1 error occurred:" in said
    assert "Task 2 redefines 'task' from task 1" in said
    assert nomad.job("default", "app") is None
