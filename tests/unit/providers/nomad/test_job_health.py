"""Which jobs of a ready environment work, by what Nomad tells of them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from environments.domain.environment import DegradedReason
from environments.domain.lifecycle import State
from environments.engine.environment_troubles import forgotten
from environments.engine.known_cluster import KnownCluster
from environments.providers.nomad.answers import seen_task
from environments.providers.nomad.ports import Task, TaskEvent
from environments.service.storage.environments import Watched
from environments.steps.cluster_events import Listing, SeenInstance, SeenJob, SeenTask
from environments.steps.job_health import GRACE, RUN, SETTLED, TASK_KIND, JobFacts, Trouble, job_troubles

SECOND = 1_000_000_000
READY = 1_000 * SECOND
"""When the environment got ready."""
LATER = READY + 100 * SECOND

JOB = SeenJob("demo", "web", "service", 2, False, 1)
TASK = SeenTask("task", "running", True, started_at=READY - SECOND)


def instance(number: int = 1, **values: object) -> SeenInstance:
    usual = SeenInstance(
        "demo", "web", f"a{number}", "group", f"node{number}", "run", "running", 1, LATER, tasks=(TASK,)
    )
    return replace(usual, **values)  # type: ignore[arg-type]


def failed(number: int = 1, **values: object) -> SeenInstance:
    task = SeenTask("task", "dead", True, LATER, "Exit Code: 1", READY)
    return instance(number, client="failed", tasks=(task,), **values)


def troubles(job: SeenJob | None, *instances: SeenInstance, now: int = LATER, **facts: object) -> list[Trouble]:
    known = JobFacts(job, instances, **facts)  # type: ignore[arg-type]
    return job_troubles("nomad.job", "demo/web", known, READY, now)


def test_a_service_with_all_its_instances_works() -> None:
    assert troubles(JOB, instance(1), instance(2)) == []
    # One more, such as a canary, and one that is on its way out.
    assert troubles(JOB, instance(1), instance(2), instance(3), instance(4, desired="stop")) == []


def test_an_instance_that_is_moved_has_a_moment() -> None:
    (trouble,) = troubles(JOB, instance(1), instance(2, client="pending", tasks=()))
    assert trouble.said == "1 of 2 instances run"
    assert trouble.grace == GRACE


def test_an_instance_that_failed_is_told_with_its_task() -> None:
    (trouble,) = troubles(JOB, instance(1), failed(2, delayed=True))
    assert trouble.said == "1 of 2 instances run; task 'task' failed"
    assert trouble.quote == "Exit Code: 1"
    assert trouble.grace == GRACE
    (trouble,) = troubles(JOB, instance(1), failed(2))
    assert trouble.said == "1 of 2 instances run; Nomad won't retry it; task 'task' failed"
    assert trouble.grace < GRACE
    assert troubles(JOB, instance(1), failed(2, replaced=True), instance(3)) == []


def test_a_canary_that_is_given_up_is_told_though_the_others_run() -> None:
    (trouble,) = troubles(JOB, instance(1), instance(2), failed(3))
    assert trouble.said == "A canary has failed; Nomad won't retry it; task 'task' failed"
    assert troubles(JOB, instance(1), instance(2), failed(3, delayed=True)) == []


def test_a_run_that_failed_is_told_until_another_one_begins_though_nomad_forgets_it() -> None:
    since = datetime.fromtimestamp(LATER / SECOND, UTC)
    told = DegradedReason(
        since=since, step="a", kind="nomad.job", address="demo/web", reason=f"{RUN}web/1) has failed."
    )
    watched = Watched("env-1", "demo", State.READY, since, (told,), {"demo/web": "a"}, {})
    world, parent = KnownCluster(), replace(JOB, type="batch", starts_later=True)
    world.list_jobs(Listing([parent]))
    assert list(forgotten(world, "nomad.job", watched)) == [("nomad.job", "demo/web")]
    stopped = told.model_copy(update={"reason": "The job is stopped."})
    assert list(forgotten(world, "nomad.job", watched._replace(degraded=(stopped,)))) == []
    run = replace(JOB, id="web/2", type="batch", parent="web", submitted=LATER + SECOND)
    world.take([run])
    assert list(forgotten(world, "nomad.job", watched)) == []


def test_a_node_that_is_away_is_told() -> None:
    for client, desired in (("unknown", "run"), ("lost", "stop"), ("lost", "run")):
        (trouble,) = troubles(JOB, instance(1), instance(2, client=client, desired=desired, tasks=()))
        assert "a node doesn't answer, or is gone" in trouble.said


def test_a_task_that_waits_for_its_restart_keeps_its_instance_from_running() -> None:
    waiting = SeenTask("task", "pending", True, LATER, "Exit Code: 137", READY)
    (trouble,) = troubles(JOB, instance(1), instance(2, tasks=(waiting, replace(TASK, name="other"))))
    assert trouble.said == "1 of 2 instances run; task 'task' failed"
    hangs = SeenTask("task", "pending", True)
    (trouble,) = troubles(JOB, instance(1), instance(2, client="pending", tasks=(hangs,)))
    assert trouble.said == "1 of 2 instances run; task 'task' has not started"


def test_lifecycle_tasks_that_ended_or_come_later_are_well() -> None:
    before = SeenTask("before", "dead", True, started_at=READY - 2 * SECOND)
    after = SeenTask("after", "pending", False)
    assert troubles(JOB, instance(1, tasks=(before, TASK, after)), instance(2)) == []


def test_a_task_that_failed_and_runs_again_has_to_run_for_a_while() -> None:
    again = SeenTask("task", "running", True, LATER, "OOM Killed", LATER + SECOND)
    instances = (instance(1, tasks=(again,)), instance(2, tasks=(again,)))
    (trouble,) = troubles(JOB, *instances, now=LATER + 2 * SECOND)
    assert (trouble.kind, trouble.address) == (TASK_KIND, "demo/web/task")
    assert (trouble.said, trouble.quote) == ("Task 'task' failed, and was started again", "OOM Killed")
    assert trouble.grace == 0
    assert trouble.until == LATER + SECOND + int(SETTLED * SECOND)
    assert troubles(JOB, *instances, now=trouble.until) == []


def test_what_failed_on_the_way_to_ready_isnt_told() -> None:
    early = SeenTask("task", "running", True, READY - SECOND, "Exit Code: 1", READY - SECOND // 2)
    assert troubles(JOB, instance(1, tasks=(early,)), instance(2), now=READY) == []


def test_a_job_that_is_stopped_or_gone_is_told_unless_it_need_not_run() -> None:
    assert [one.said for one in troubles(replace(JOB, stopped=True))] == [
        "The job is stopped: somebody has stopped it in Nomad"
    ]
    assert [one.said for one in troubles(None)] == ["The job is gone: somebody has removed it from Nomad"]
    assert troubles(None, may_be_forgotten=True) == []
    assert troubles(replace(JOB, count=0)) == []
    assert troubles(replace(JOB, count=0, stopped=True)) == []


@pytest.mark.parametrize("type", ["batch", "sysbatch"])
def test_batch_jobs_are_done(type: str) -> None:
    job = replace(JOB, type=type)
    assert troubles(job) == []
    assert troubles(replace(job, stopped=True)) == []
    assert troubles(job, failed(1, at=READY - SECOND)) == []
    assert troubles(job, failed(1, replaced=True)) == []
    (trouble,) = troubles(job, failed(1))
    assert trouble.said.startswith("A run that was started again has failed")


def test_a_system_job_works_on_every_node_that_it_is_on() -> None:
    job = replace(JOB, type="system", count=1)
    assert troubles(job, instance(1), instance(2)) == []
    (trouble,) = troubles(job, instance(1), failed(2))
    assert trouble.said == "It doesn't run on 1 node where it should; Nomad won't retry it; task 'task' failed"
    assert troubles(job, instance(1), instance(2, client="lost", desired="stop")) == []
    assert troubles(job, instance(1), failed(2), instance(3, node="node2")) == []
    assert len(troubles(replace(job, stopped=True))) == 1


def test_of_a_job_that_starts_others_the_newest_run_counts() -> None:
    parent = replace(JOB, type="batch", starts_later=True)
    old = SeenJob("demo", "web/periodic-1", "batch", 1, False, 2, "web", submitted=LATER)
    new = replace(old, id="web/periodic-2", submitted=LATER + SECOND)
    assert troubles(parent, runs={}) == []
    assert troubles(parent, runs={old: [failed(1)], new: []}) == []
    (trouble,) = troubles(parent, runs={old: [], new: [failed(1)]})
    assert trouble.said.startswith("Its newest run (web/periodic-2) has failed")
    assert len(troubles(replace(parent, stopped=True), runs={})) == 1


def event(at: int, kind: str, message: str = "", *, bad: bool = False) -> TaskEvent:
    return TaskEvent(at, kind, message, bad)


def test_a_task_that_was_asked_to_end_has_not_failed_by_itself() -> None:
    begin = (event(1, "Received"), event(2, "Task Setup"), event(3, "Started"))
    assert seen_task(Task("t", "pending", events=begin[:1])) == SeenTask("t", "pending")
    assert seen_task(Task("t", "running", events=begin)) == SeenTask("t", "running", True, started_at=3)
    restarted = (
        *begin,
        event(4, "Restart Signaled"),
        event(5, "Terminated", "Exit Code: 143", bad=True),
        event(6, "Started"),
    )
    assert seen_task(Task("t", "running", events=restarted)) == SeenTask("t", "running", True, started_at=6)
    killed = (*restarted, event(7, "Terminated", "Exit Code: 137", bad=True), event(8, "Not Restarting", bad=True))
    assert seen_task(Task("t", "dead", True, killed)) == SeenTask("t", "dead", True, 7, "Exit Code: 137", 6)
