"""A container that somebody else killed: recognised in what Nomad tells, told while a job is watched and afterwards."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from environments.domain.environment import ResourceRef
from environments.domain.errors import StepFailed
from environments.providers.nomad.answers import allocation
from environments.providers.nomad.incidents import KILLED_FROM_OUTSIDE, killed_from_outside
from environments.providers.nomad.ports import Allocation, Task, TaskEvent
from environments.providers.nomad.registered import Registered
from environments.providers.nomad.rollout import RolloutWatcher
from tests.fakes.backends.nomad_instances import Fate
from tests.support.step_harness import Run, StepHarness

SERVICE: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}}
AT = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp() * 1_000_000_000)


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


def event(kind: str, **more: Any) -> dict[str, Any]:
    """As Nomad's API has it."""
    return {"Type": kind, "Time": AT, "DisplayMessage": "", "Details": {}, "ExitCode": 0, **more}


STARTED = event("Started")
GONE = event(
    "Terminated",
    ExitCode=137,
    DisplayMessage='Exit Code: 137, Exit Message: "Docker container exited with non-zero exit code: 137"',
    Details={"exit_code": "137", "oom_killed": "false", "signal": "0"},
)


@pytest.mark.parametrize(
    ("events", "times"),
    [
        ([STARTED, GONE], 1),
        ([STARTED, GONE, event("Restarting"), STARTED, GONE], 2),
        ([STARTED, event("Killing"), GONE, event("Killed")], 0),
        ([STARTED, event("Restart Signaled"), GONE], 0),
        ([STARTED, event("Signaling"), GONE], 0),
        ([STARTED, event("Sibling Task Failed"), GONE], 0),
        ([STARTED, event("Restart Signaled"), GONE, event("Restarting"), STARTED, GONE], 1),
        ([STARTED, event("Terminated", ExitCode=1)], 0),
        ([STARTED, event("Terminated", ExitCode=143)], 0),
        ([STARTED, {**GONE, "Details": {"oom_killed": "true"}}], 0),
        ([STARTED, event("Terminated", Details=None)], 0),
        ([GONE], 1),
    ],
)
def test_it_is_told_from_every_other_end(events: list[dict[str, Any]], times: int) -> None:
    found = allocation(
        {
            "ID": "a",
            "JobVersion": 0,
            "TaskGroup": "group",
            "DesiredStatus": "run",
            "ClientStatus": "running",
            "TaskStates": {"app": {"State": "running", "Events": events}},
        }
    )
    assert len(killed_from_outside([found])) == times


def test_the_log_of_a_deployment_says_what_may_have_done_it_and_what_to_do(world: StepHarness) -> None:
    world.apply("nomad.job", SERVICE)
    world.nomad.kill_from_outside("alpha", "web", AT)
    run, job = Run(), world.nomad.job("alpha", "web")
    assert job is not None
    RolloutWatcher(world.nomad, world.consul, Registered(job, 0, ""), run).until_healthy()
    (line,) = [line for line in run.lines if KILLED_FROM_OUTSIDE in line]
    assert line.startswith("alpha-we task: ")
    assert "another Nomad on the same Docker engine" in line
    assert "dangling_containers { enabled = false }" in line
    assert "calvinverse doctor" in line


def test_a_step_that_fails_because_of_it_hints_at_it(world: StepHarness) -> None:
    world.nomad.fate = Fate.FAILING
    with pytest.raises(StepFailed) as caught:
        world.apply("nomad.job", SERVICE)
    assert "dangling_containers" not in caught.value.hint
    world.nomad.kill_from_outside("alpha", "web", AT)
    job = world.nomad.job("alpha", "web")
    assert job is not None
    with pytest.raises(StepFailed) as caught:
        RolloutWatcher(world.nomad, world.consul, Registered(job, 0, ""), Run()).until_healthy()
    assert "dangling_containers" in caught.value.hint
    assert "env retry" in caught.value.hint


def test_the_reason_is_what_nomad_knows_when_the_deployment_has_failed(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the deployment fails after the instances were read, and before their ends are known here."""
    world.nomad.fate = Fate.FAILING
    read = world.nomad.allocations
    reads = []

    def late(namespace: str, job: str, *, index: int = 0, wait: float = 0.0) -> tuple[int, list[Allocation]]:
        index, found = read(namespace, job, index=index, wait=wait)
        reads.append(index)
        if len(reads) > 1:
            return index, found
        running = Task("task", "running", False, (TaskEvent(1, "Started", ""),))
        return index, [replace(each, client="running", healthy=None, tasks=(running,)) for each in found]

    monkeypatch.setattr(world.nomad, "allocations", late)
    with pytest.raises(StepFailed, match="Exit Code: 1"):
        world.apply("nomad.job", SERVICE)


def test_it_is_reported_when_observed_also_after_nomad_has_started_another(world: StepHarness) -> None:
    world.apply("nomad.job", SERVICE)
    (source,) = world.registry.incident_sources
    known = frozenset({ResourceRef(kind="nomad.job", address="alpha/web"), ResourceRef(kind="thing", address="x/y")})
    assert source.incidents(known) == []
    world.nomad.kill_from_outside("alpha", "web", AT)
    (found,) = source.incidents(known)
    assert (found.kind, found.address) == ("nomad.job", "alpha/web")
    assert found.at == datetime(2026, 11, 26, 12, tzinfo=UTC)
    assert "task task of allocation alpha-we" in found.detail
    assert "dangling_containers" in found.detail
    assert source.incidents(frozenset()) == []


BATCH = """
job "once" {
  type = "batch"
  group "group" {
    network {
      mode = "bridge"
    }
    task "task" {
      config { image = "any" }
      template { data = "${var.text}" }
    }
  }
}
variable "text" {}
"""


def test_a_finished_job_is_not_registered_again_unless_it_differs(world: StepHarness) -> None:
    """The service may be killed between a job's end and the note of it: the step is applied again, by another login."""
    files = {"once.nomad.hcl": BATCH}
    options: dict[str, Any] = {"file": "once.nomad.hcl", "variables": {"text": "one"}}
    world.apply("nomad.job", options, files=files)
    before = world.nomad.registrations
    world.apply("nomad.job", options, files=files)
    assert world.nomad.registrations == before
    world.apply("nomad.job", {**options, "variables": {"text": "two"}}, files=files)
    assert world.nomad.registrations == before + 1
    world.nomad.deregister("alpha", "once", purge=False)
    world.apply("nomad.job", {**options, "variables": {"text": "two"}}, files=files)
    assert world.nomad.registrations == before + 1
