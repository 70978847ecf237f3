"""A job that is scaled to zero and back: its counts, its schedule, jobs that ran to their end, and kills in between."""

from typing import Any

import pytest

from environments.domain.errors import Interrupted
from environments.providers.nomad.scaling import COUNTS, former_counts, started, stopped, what_runs
from environments.steps.base import Owner, Presence
from tests.support.step_harness import JOB, Run, StepHarness

OPTIONS: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 2}}
ADDRESS = "alpha/web"
BATCH = {"web.nomad.hcl": JOB.replace('type = "service"', 'type = "batch"')}


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


def live(world: StepHarness) -> int:
    return sum(not found.terminal for found in world.nomad.allocations("alpha", "web")[1])


def counts(world: StepHarness) -> list[int]:
    job = world.nomad.job("alpha", "web")
    assert job is not None
    return [group["Count"] for group in job["TaskGroups"]]


def test_a_stop_scales_to_zero_and_a_start_to_the_former_count(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.stop("nomad.job", ADDRESS)
    assert (counts(world), live(world)) == ([0], 0)
    assert former_counts(world.nomad.job("alpha", "web")) == {"group": 2}
    assert world.presence("nomad.job", ADDRESS) is Presence.OURS

    outputs = world.apply("nomad.job", OPTIONS, starts=True)
    assert (counts(world), live(world)) == ([2], 2)
    assert outputs["services"]["web"]["port"]
    job = world.nomad.job("alpha", "web")
    assert job is not None
    assert COUNTS not in job["Meta"]
    assert world.plan("nomad.job", OPTIONS) == []


def test_a_count_that_somebody_changed_by_hand_comes_back(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.nomad.scale("alpha", "web", 3)
    world.stop("nomad.job", ADDRESS)
    world.apply("nomad.job", OPTIONS, starts=True)
    assert counts(world) == [3]
    world.apply("nomad.job", OPTIONS, starts=True)
    assert counts(world) == [3], "a start that was interrupted after the registration goes on"
    world.apply("nomad.job", OPTIONS)
    assert counts(world) == [2], "any other deployment makes what the job file says"


def test_stopping_twice_registers_once(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.stop("nomad.job", ADDRESS)
    before = world.nomad.registrations
    world.stop("nomad.job", ADDRESS)
    assert world.nomad.registrations == before
    assert former_counts(world.nomad.job("alpha", "web")) == {"group": 2}


def test_interrupted_anywhere_a_stop_and_a_start_go_on(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    for at in range(1, 4):
        try:
            world.stop("nomad.job", ADDRESS, Run(stop_at=at))
        except Interrupted:
            world.stop("nomad.job", ADDRESS)
        assert (counts(world), former_counts(world.nomad.job("alpha", "web"))) == ([0], {"group": 2})
        try:
            world.apply("nomad.job", OPTIONS, Run(stop_at=at), starts=True)
        except Interrupted:
            world.apply("nomad.job", OPTIONS, starts=True)
        assert (counts(world), live(world)) == ([2], 2)


def test_a_job_that_ran_to_its_end_is_not_run_again_even_with_other_inputs(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS, files=BATCH)
    before = world.nomad.registrations
    world.stop("nomad.job", ADDRESS)
    other = {**OPTIONS, "variables": {"text": "another port", "count": 2}}
    world.apply("nomad.job", other, files=BATCH, starts=True)
    assert world.nomad.registrations == before
    world.apply("nomad.job", other, files=BATCH)
    assert world.nomad.registrations == before, "what a start found done is done for its inputs"
    assert world.plan("nomad.job", OPTIONS, files=BATCH, stopped=True) == []


def test_a_plan_of_a_stopped_job_finds_what_runs(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.stop("nomad.job", ADDRESS)
    assert world.plan("nomad.job", OPTIONS, stopped=True) == []
    assert [change.address for change in world.plan("nomad.job", OPTIONS)] == [ADDRESS]
    world.nomad.scale("alpha", "web", 1)
    (change,) = world.plan("nomad.job", OPTIONS, stopped=True)
    assert change.details == ("group group, count: 1 → 0",)


def test_nothing_of_somebody_else_is_stopped(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.stop("nomad.job", ADDRESS, owner=Owner("env-2", "alpha"))
    world.stop("nomad.job", "alpha/another")
    assert live(world) == 2


def test_a_job_that_somebody_has_removed_is_made_again(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.stop("nomad.job", ADDRESS)
    world.nomad.deregister("alpha", "web", purge=True)
    world.stop("nomad.job", ADDRESS)
    assert world.plan("nomad.job", OPTIONS, stopped=True) == []
    world.apply("nomad.job", OPTIONS, starts=True)
    assert counts(world) == [2]


def test_schedules_and_scaling_policies_rest_too() -> None:
    job = {
        "ID": "web",
        "Meta": {"mark": "env-1"},
        "Periodic": {"Enabled": True, "Spec": "0 * * * *"},
        "TaskGroups": [
            {"Name": "one", "Count": 2, "Scaling": {"Min": 1, "Max": 5, "Enabled": True}},
            {"Name": "two", "Count": 0},
        ],
    }
    rests = stopped(job)
    assert rests["Periodic"] == {"Enabled": False, "Spec": "0 * * * *"}
    assert rests["TaskGroups"] == [
        {"Name": "one", "Count": 0, "Scaling": {"Min": 0, "Max": 5, "Enabled": False}},
        {"Name": "two", "Count": 0},
    ]
    assert rests["Meta"] == {"mark": "env-1", COUNTS: '{"one": 2, "two": 0}'}
    assert started(job, rests) == job
    assert stopped(rests) == rests
    assert (what_runs(job), what_runs(rests)) == (["group one, count: 2 → 0", "its schedule starts runs"], [])


@pytest.mark.parametrize("kept", ["", "[]", "nonsense", '{"one": "many"}'])
def test_counts_that_nobody_can_read_are_those_of_the_job_file(kept: str) -> None:
    job = {"ID": "web", "TaskGroups": [{"Name": "one", "Count": 2}]}
    present = {"ID": "web", "Meta": {COUNTS: kept}, "TaskGroups": [{"Name": "one", "Count": 0}]}
    assert started(job, present) == job
