"""What makes a job ready, how canaries are promoted, and how jobs whose tasks are slow to stop go away."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from environments.domain.environment import Resource
from environments.domain.errors import InvalidJob, StepFailed, StepTimeout
from environments.domain.lifecycle import ResourceStatus
from environments.domain.plan import Action
from environments.engine.removal import Inspector
from environments.providers.nomad import stopping as nomad_stopping
from environments.providers.nomad.job_handler import JobHandler
from environments.providers.nomad.lifecycle import Duties
from environments.providers.nomad.namespace import NamespaceHandler
from environments.providers.nomad.ports import Allocation, Task
from environments.providers.nomad.registered import Outcome
from environments.providers.nomad.stopping import POSTSTOP_PATIENCE, time_to_stop
from environments.steps.base import Presence, StepContext
from tests.fakes.backends.nomad_instances import Fate
from tests.support.step_harness import ALPHA, JOB, NOW, Run, StepHarness

OPTIONS: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}}
CHANGED: dict[str, Any] = {**OPTIONS, "variables": {"text": "bye", "count": 1}}
MANUAL: dict[str, Any] = {"promotion": "manual"}


def files(*, head: str = "", tasks: str = "") -> dict[str, str]:
    """The job file with more in its group, and more tasks."""
    text = JOB.replace('group "group" {', f'group "group" {{\n{head}')
    return {"web.nomad.hcl": text.replace('    task "task"', f'{tasks}\n    task "task"') if tasks else text}


def lifecycle(name: str, hook: str, *, sidecar: bool = False, more: str = "") -> str:
    return f'task "{name}" {{ {more} lifecycle {{ hook = "{hook}" sidecar = {str(sidecar).lower()} }} }}'


CANARY = files(head="update { canary = 1 }")
AUTO = files(head="update {\n canary = 1\n auto_promote = true\n}")
BYE = files(tasks=lifecycle("bye", "poststop"))


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


def address(outputs: dict[str, Any]) -> int:
    port: int = outputs["services"]["web"]["port"]
    return port


def versions(world: StepHarness) -> list[int]:
    """Versions of the instances that run."""
    return sorted(found.job_version for found in world.nomad.allocations("alpha", "web")[1] if found.desired == "run")


# --- ready ---


def test_a_job_whose_other_task_hangs_is_not_ready_whatever_nomad_says(world: StepHarness) -> None:
    world.nomad.fate = Fate.HANGING_TASK
    both = files(tasks='task "server" { }')
    with pytest.raises(StepTimeout, match=r"task 'task': Template: Missing: vault.read"):
        world.apply("nomad.job", OPTIONS, Run(limit=0.3), files=both)
    (found,) = world.nomad.allocations("alpha", "web")[1]
    assert (found.healthy, found.client) == (True, "running")


def test_tasks_that_end_by_themselves_and_those_that_run_after_the_others_keep_nothing_waiting(
    world: StepHarness,
) -> None:
    tasks = "\n".join(
        [
            lifecycle("init", "prestart"),
            lifecycle("side", "prestart", sidecar=True),
            lifecycle("after", "poststart"),
            lifecycle("bye", "poststop"),
        ]
    )
    outputs = world.apply("nomad.job", OPTIONS, files=files(tasks=tasks))
    assert outputs["services"]["web"]["name"] == "alpha--web"
    assert outputs["awaiting_promotion"] is False


@pytest.mark.parametrize(
    ("kind", "states", "lacking"),
    [
        ("service", {"main": "running", "init": "dead", "side": "running", "after": "dead", "bye": "pending"}, []),
        ("service", {"main": "running", "init": "dead", "side": "running", "after": "dead"}, []),
        ("system", {"main": "running", "init": "dead", "side": "running", "after": "dead"}, []),
        ("service", {"main": "pending", "init": "running", "side": "running"}, ["init", "main", "after"]),
        ("service", {"main": "running", "init": "dead", "side": "pending", "after": "dead"}, ["side"]),
        ("service", {"main": "running", "init": "dead", "side": "running", "after": "running"}, ["after"]),
        ("service", {"main": "running", "init": "failed", "side": "running", "after": "dead"}, ["init"]),
        ("batch", {"main": "dead", "init": "dead", "side": "running", "after": "dead", "bye": "dead"}, []),
        ("batch", {"main": "dead", "init": "dead", "side": "running", "after": "dead", "bye": "running"}, ["bye"]),
        ("sysbatch", {"main": "running", "init": "dead", "after": "dead", "bye": "dead"}, ["main"]),
        ("batch", {}, ["init", "main", "after", "bye"]),
    ],
)
def test_each_task_is_judged_by_what_it_is_for(kind: str, states: dict[str, str], lacking: list[str]) -> None:
    hooks = {"init": ("prestart", False), "side": ("prestart", True), "after": ("poststart", False)}
    tasks: list[dict[str, Any]] = [
        {"Name": "init", "Lifecycle": {"Hook": "prestart", "Sidecar": False}},
        {"Name": "main"},
        {"Name": "side", "Lifecycle": {"Hook": hooks["side"][0], "Sidecar": True}},
        {"Name": "after", "Lifecycle": {"Hook": "poststart", "Sidecar": False}},
        {"Name": "bye", "Lifecycle": {"Hook": "poststop"}},
    ]
    known = Duties({"Type": kind, "TaskGroups": [{"Name": "g", "Tasks": tasks}]})
    told = tuple(
        Task(name, "dead" if state == "failed" else state, state == "failed") for name, state in states.items()
    )
    allocation = Allocation("a", 0, "g", "run", "running", tasks=told)
    assert [task.name for task in known.lacking(allocation)] == lacking


@pytest.mark.parametrize(("update", "waits"), [("", True), ("require_healthy", True), ("ignore", False)])
def test_a_system_job_is_ready_when_its_checks_pass(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch, update: str, waits: bool
) -> None:
    parse = world.nomad.parse

    def parsed(text: str, variables: str) -> dict[str, Any]:
        job = parse(text, variables)
        job["TaskGroups"][0]["Services"][0]["Checks"] = [{"Type": "http", "OnUpdate": update}]
        return {**job, "Type": "system"}

    monkeypatch.setattr(world.nomad, "parse", parsed)
    world.nomad.fate = Fate.NEVER_HEALTHY
    if waits:
        with pytest.raises(StepTimeout, match="service 'alpha--web' doesn't pass its checks"):
            world.apply("nomad.job", OPTIONS, Run(limit=0.3))
        (instance,) = world.consul.instances("alpha--web")[1]
        world.consul.register(replace(instance, passing=True))
    assert world.apply("nomad.job", OPTIONS, Run(limit=60))["services"]["web"]["port"]


def test_nothing_wanted_is_ready_at_once_and_its_service_has_no_address(world: StepHarness) -> None:
    run = Run(limit=60)
    none = {**OPTIONS, "variables": {"text": "hello", "count": 0}}
    outputs = world.apply("nomad.job", none, run)
    assert outputs["services"] == {"web": {"name": "alpha--web", "address": None, "port": None}}
    assert any("service web has no address: its group has count = 0" in line for line in run.lines)
    again = Run(limit=60)
    assert world.apply("nomad.job", none, again) == outputs
    assert again.lines == []
    with pytest.raises(StepFailed, match="The service 'web' can't answer: its group has count = 0"):
        world.apply("check.http", {"service": "web"}, Run(limit=60))
    assert world.apply("nomad.job", OPTIONS)["services"]["web"]["port"]
    assert world.apply("nomad.job", none)["services"]["web"]["port"] is None
    assert versions(world) == []


def test_services_of_a_group_without_instances_have_a_url_that_is_null_where_they_would_have_one(
    world: StepHarness,
) -> None:
    from environments.providers.nomad.service_addresses import addresses

    check = {"Name": "alpha--api", "Provider": "consul", "Checks": [{"Type": "http"}]}
    job = {"Type": "service", "TaskGroups": [{"Name": "g", "Count": 0, "Services": [check], "Tasks": []}]}
    assert addresses(world.consul, job, ALPHA, Outcome(), Run(), tell=True)["api"] == {
        "name": "alpha--api",
        "address": None,
        "port": None,
        "url": None,
    }


def test_the_address_is_of_an_instance_of_the_version_that_was_made(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = address(world.apply("nomad.job", OPTIONS))
    monkeypatch.setattr(world.nomad, "_withdraw", lambda _: None)
    after = address(world.apply("nomad.job", CHANGED))
    assert after != before, "Consul still knows the old instance, which sorts first"


# --- canaries ---


def test_healthy_canaries_are_promoted(world: StepHarness) -> None:
    first = world.apply("nomad.job", OPTIONS, files=CANARY)
    run = Run()
    outputs = world.apply("nomad.job", CHANGED, run, files=CANARY)
    assert versions(world) == [1]
    assert outputs["awaiting_promotion"] is False
    assert address(outputs) != address(first)
    assert "version 1 has healthy canaries, and is promoted" in run.lines


def test_canaries_that_nomad_promotes_are_left_to_it(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS, files=AUTO)
    run = Run()
    world.apply("nomad.job", CHANGED, run, files=AUTO)
    assert versions(world) == [1]
    assert not any("promoted" in line for line in run.lines)
    with pytest.raises(InvalidJob, match="group 'group' of job 'web' has auto_promote = true") as caught:
        world.apply("nomad.job", {**CHANGED, **MANUAL}, files=AUTO)
    assert 'promotion = "manual"' in caught.value.hint


def promote(world: StepHarness, options: dict[str, Any], run: Run | None = None, **more: Any) -> dict[str, Any]:
    """As a deployment applies the step that a person asked for to promote."""
    context: StepContext = replace(world.context("nomad.job", options, **more), promotes=True)
    return world.registry.executors["nomad.job"].apply(context, run or Run())


def test_canaries_wait_for_a_person_where_the_step_says_so(world: StepHarness) -> None:
    first = world.apply("nomad.job", {**OPTIONS, **MANUAL}, files=CANARY)
    assert first["awaiting_promotion"] is False, "there was nothing to run beside"
    run = Run()
    waiting = world.apply("nomad.job", {**CHANGED, **MANUAL}, run, files=CANARY)
    assert waiting["awaiting_promotion"] is True
    assert address(waiting) == address(first)
    assert versions(world) == [0, 1]
    assert "version 1 has healthy canaries, which wait for promotion" in run.lines

    again = Run()
    assert world.apply("nomad.job", {**CHANGED, **MANUAL}, again, files=CANARY) == waiting, (
        "a repair leaves them waiting"
    )
    assert again.lines == [], "and has nothing to tell"
    assert world.plan("nomad.job", {**CHANGED, **MANUAL}, files=CANARY) == []
    (planned,) = world.plan("nomad.job", CHANGED, files=CANARY)
    assert (planned.action, planned.details) == (
        Action.CHANGE,
        ("version 1 is promoted: it takes the place of the version before",),
    )

    outputs = promote(world, {**CHANGED, **MANUAL}, files=CANARY)
    assert outputs["awaiting_promotion"] is False
    assert address(outputs) != address(first)
    assert versions(world) == [1]


def test_an_update_takes_the_place_of_canaries_that_wait_and_going_back_ends_them(world: StepHarness) -> None:
    first = world.apply("nomad.job", {**OPTIONS, **MANUAL}, files=CANARY)
    world.apply("nomad.job", {**CHANGED, **MANUAL}, files=CANARY)
    third = {**OPTIONS, **MANUAL, "variables": {"text": "third", "count": 1}}
    assert world.apply("nomad.job", third, files=CANARY)["awaiting_promotion"] is True
    assert versions(world) == [0, 2]
    back = world.apply("nomad.job", {**OPTIONS, **MANUAL}, files=CANARY)
    assert back["awaiting_promotion"] is False
    assert address(back) == address(first)
    assert versions(world) == [3]
    world.apply("nomad.job", {**CHANGED, **MANUAL}, files=CANARY)
    world.destroy("nomad.job", "alpha/web")
    assert world.presence("nomad.job", "alpha/web") is Presence.ABSENT


def test_a_deployment_whose_canaries_fail_is_no_longer_promoted(world: StepHarness) -> None:
    world.apply("nomad.job", {**OPTIONS, **MANUAL}, files=CANARY)
    world.apply("nomad.job", {**CHANGED, **MANUAL}, files=CANARY)
    world.nomad.fail_rollout("alpha", "web", "Failed due to unhealthy allocations")
    with pytest.raises(StepFailed, match="can't be promoted: Failed due to unhealthy allocations"):
        promote(world, {**CHANGED, **MANUAL}, files=CANARY)


def test_a_canary_that_nomad_gives_up_while_it_waits_is_told_at_once_and_started_anew(world: StepHarness) -> None:
    world.apply("nomad.job", {**OPTIONS, **MANUAL}, files=CANARY)
    world.apply("nomad.job", {**CHANGED, **MANUAL}, files=CANARY)
    world.nomad.give_up("alpha", "web")
    said = "Version 1 of job 'web' can't be promoted: a canary has failed, and Nomad won't start another one"
    with pytest.raises(StepFailed, match=said):
        promote(world, {**CHANGED, **MANUAL}, files=CANARY)
    context = replace(world.context("nomad.job", {**CHANGED, **MANUAL}, files=CANARY), promotes=True)
    with pytest.raises(StepFailed, match=said):
        world.registry.executors["nomad.job"].plan(context, Run())
    (planned,) = world.plan("nomad.job", {**CHANGED, **MANUAL}, files=CANARY)
    assert planned.details[0] == "version 1 has failed and will be started again"
    waiting = world.apply("nomad.job", {**CHANGED, **MANUAL}, files=CANARY)
    assert waiting["awaiting_promotion"] is True
    assert promote(world, {**CHANGED, **MANUAL}, files=CANARY)["awaiting_promotion"] is False


@pytest.mark.parametrize("fate", [Fate.NEVER_HEALTHY, Fate.HANGING_TASK])
def test_canaries_that_are_not_well_are_not_promoted(world: StepHarness, fate: Fate) -> None:
    first = address(world.apply("nomad.job", OPTIONS, files=CANARY))
    world.nomad.fate = fate
    with pytest.raises(StepTimeout):
        world.apply("nomad.job", CHANGED, Run(limit=0.3), files=CANARY)
    assert versions(world) == [0, 1]
    assert any(found.port == first for found in world.consul.instances("alpha--web")[1])


def test_waiting_in_vain_for_nomads_own_promotion_is_told_as_such(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply("nomad.job", OPTIONS, files=AUTO)
    found = world.nomad._jobs["alpha", "web"]
    monkeypatch.setattr(world.nomad, "_promote", lambda _: None)
    with pytest.raises(StepTimeout, match="its canaries run and wait for promotion by Nomad"):
        world.apply("nomad.job", CHANGED, Run(limit=0.3), files=AUTO)
    assert found is not world.nomad._jobs["alpha", "web"]


# --- stopping ---


def test_a_destroy_names_the_tasks_that_it_waits_for(world: StepHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nomad_stopping, "_QUIET", 0.0)
    slow = files(tasks='task "slow" { kill_timeout = "600s" shutdown_delay = "5s" }')
    world.apply("nomad.job", OPTIONS, files=slow)
    world.nomad.stops_slowly = True
    run = Run(limit=1.5)
    with pytest.raises(StepTimeout) as caught:
        world.destroy("nomad.job", "alpha/web", run)
    said = "task 'slow' of job 'web' (alpha-we) to stop; it was asked to at 00:00:02 UTC, and its kill_timeout is 10m"
    assert said in caught.value.message
    assert "task 'task' of job 'web'" in caught.value.message
    assert f"waiting for {said}, after a shutdown_delay of 5s" in run.lines
    assert len(run.lines) == len(set(run.lines)), "the same is told once"
    world.nomad.finish_stopping("alpha", "web")
    world.destroy("nomad.job", "alpha/web")
    assert world.presence("nomad.job", "alpha/web") is Presence.ABSENT


@pytest.mark.parametrize("restarts", [0, 2])
def test_a_task_that_runs_on_after_the_others_is_killed(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch, restarts: int
) -> None:
    monkeypatch.setattr(nomad_stopping, "_KILL_PAUSE", 0.0)
    world.nomad.poststop_hangs, world.nomad.poststop_restarts = True, restarts
    world.apply("nomad.job", OPTIONS, files=BYE)
    run = Run()
    JobHandler(world.nomad, timedelta(seconds=0.1)).destroy("alpha/web", ALPHA, run)
    assert world.presence("nomad.job", "alpha/web") is Presence.ABSENT
    assert world.nomad.signals == [("bye", "SIGKILL")] * (restarts + 1)
    killed = "task 'bye' of job 'web' (alpha-we) has not ended by itself in 1s after the others have stopped"
    assert f"{killed}, and is killed" in run.lines
    assert sum("started again by its restart policy" in line for line in run.lines) == restarts


def test_what_hangs_in_the_namespace_is_killed_too(world: StepHarness) -> None:
    world.nomad.poststop_hangs = True
    world.apply("nomad.job", OPTIONS, files=BYE)
    NamespaceHandler(world.nomad, timedelta(0)).destroy("alpha", ALPHA, Run())
    assert world.nomad.namespace("alpha") is None


def test_a_stop_may_take_as_long_as_the_job_file_asks_for(world: StepHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = files(tasks='task "slow" { kill_timeout = "600s" shutdown_delay = "5s" }')
    world.apply("nomad.job", OPTIONS, files=slow)
    handler = JobHandler(world.nomad)
    assert handler.time_needed("alpha/web") == timedelta(minutes=11, seconds=5)
    assert handler.time_needed("alpha/other") == timedelta(minutes=1)
    assert NamespaceHandler(world.nomad).time_needed("alpha") == timedelta(minutes=11, seconds=5)
    slow = files(tasks='task "slow" { kill_timeout = "86400s" }')
    world.apply("nomad.job", OPTIONS, files=slow)
    assert handler.time_needed("alpha/web") == timedelta(minutes=61), "then it is tried again"
    world.apply("nomad.job", OPTIONS, files=BYE)
    late = timedelta(minutes=1)
    assert time_to_stop(world.nomad, "alpha", ["web"]) == late + POSTSTOP_PATIENCE + timedelta(minutes=1)
    job = world.nomad.job("alpha", "web")
    assert job is not None
    job["TaskGroups"][0]["RestartPolicy"] = {"Attempts": 2, "Delay": 4_000_000_000}
    monkeypatch.setattr(world.nomad, "job", lambda *_: job)
    again = 2 * (late + timedelta(seconds=10))  # each time it is killed it starts late again
    assert time_to_stop(world.nomad, "alpha", ["web"]) == late + POSTSTOP_PATIENCE + timedelta(minutes=1) + again


def test_a_destroy_gives_tasks_that_stop_slowly_the_time_they_ask_for(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS, files=files(tasks='task "slow" { kill_timeout = "600s" }'))

    def limit(address: str, status: ResourceStatus = ResourceStatus.PRESENT) -> float:
        inspector = Inspector(world.registry, ALPHA, ())
        job = Resource(
            environment_id="env-1", kind="nomad.job", address=address, status=status, created_at=NOW, updated_at=NOW
        )
        return inspector.time_limit([job])

    assert limit("alpha/web") == 660
    assert limit("alpha/web", ResourceStatus.GONE) == limit("alpha/other") == 180
