"""Jobs that end by themselves: done is done, for an environment and its inputs, whatever Nomad remembers."""

from collections.abc import Callable
from typing import Any

import pytest

from environments.domain.errors import ForeignResource, Interrupted, InvalidInput, StepFailed
from environments.domain.plan import Action
from environments.providers.nomad.done import RUN, why_not_again
from tests.fakes.backends.nomad import MemoryNomad
from tests.fakes.backends.nomad_instances import Fate
from tests.support.step_harness import JOB, Run, StepHarness, bundle

SEED = JOB.replace('"service"', '"batch"').replace('job "web"', 'job "seed"')
FILES = {"web.nomad.hcl": SEED}
KEY = ("nomad.job", "alpha/seed")
OPTIONS: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}}
OTHER: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "bye", "count": 1}}


@pytest.fixture
def world() -> StepHarness:
    """With a job that has run to its end."""
    world = StepHarness()
    world.apply("nomad.job", OPTIONS, files=FILES)
    assert world.nomad.registrations == 1
    return world


def apply(world: StepHarness, options: dict[str, Any] = OPTIONS, **more: Any) -> Run:
    """Applies the step; plan and deed have to agree on whether anything is done."""
    run, files = Run(), {"files": FILES, **more}
    before = world.nomad.registrations
    planned = [found for found in world.plan("nomad.job", options, **files) if found.kind == "nomad.job"]
    world.apply("nomad.job", options, run, **files)
    assert bool(planned) == (world.nomad.registrations > before)
    return run


def another_token(nomad: MemoryNomad) -> None:
    nomad.token = "another"


def registered_by_another(nomad: MemoryNomad) -> None:
    nomad.token = "another"
    job = nomad.job("alpha", "seed")
    assert job is not None
    nomad.register("alpha", job, job["JobModifyIndex"])
    nomad.registrations -= 1


def forgotten(nomad: MemoryNomad) -> None:
    nomad.collect_garbage()
    assert nomad.job("alpha", "seed") is None


def edited_by_hand(nomad: MemoryNomad) -> None:
    nomad.scale("alpha", "seed", 2)
    nomad.registrations -= 1


@pytest.mark.parametrize("what", [another_token, registered_by_another, forgotten, edited_by_hand])
def test_a_job_that_ran_to_its_end_is_done_whatever_nomad_remembers(
    world: StepHarness, what: Callable[[MemoryNomad], None]
) -> None:
    what(world.nomad)
    before = world.nomad.allocations("alpha", "seed")
    run = apply(world)
    assert run.lines == []
    assert world.nomad.allocations("alpha", "seed") == before
    assert world.nomad.registrations == 1


def test_other_inputs_run_it_again_and_earlier_ones_once_more(world: StepHarness) -> None:
    (planned,) = world.plan("nomad.job", OTHER, files=FILES)
    assert planned.action is Action.CHANGE
    assert planned.details[0] == "runs again"
    apply(world, OTHER)
    assert world.nomad.registrations == 2
    forgotten(world.nomad)
    assert not world.plan("nomad.job", OTHER, files=FILES)
    (planned,) = world.plan("nomad.job", OPTIONS, files=FILES)
    assert (planned.action, planned.details[0]) == (Action.CREATE, "runs again")
    apply(world, OPTIONS)
    assert world.nomad.registrations == 3


def test_a_job_written_in_other_words_is_the_same_and_so_is_one_that_is_sent_otherwise(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = {"web.nomad.hcl": f"# What it is for.\n{SEED}"}
    apply(world, files=spoken)
    parse = world.nomad.parse
    monkeypatch.setattr(world.nomad, "parse", lambda *given: {**parse(*given), "NewField": 7})
    apply(world, files=spoken)
    assert world.nomad.registrations == 1
    monkeypatch.setattr(world.nomad, "parse", lambda *given: {**parse(*given), "Empty": None, "NoSuch": []})
    apply(world, files=FILES)
    assert world.nomad.registrations == 1


def test_a_job_that_failed_is_not_done_and_the_one_before_it_does_not_count(world: StepHarness) -> None:
    world.nomad.fate = Fate.FAILING
    with pytest.raises(StepFailed):
        world.apply("nomad.job", OTHER, files=FILES)
    assert world.finished[KEY] == ()
    world.nomad.fate = Fate.HEALTHY
    forgotten(world.nomad)
    apply(world, OPTIONS)
    assert world.nomad.registrations == 3
    assert world.finished[KEY]


def test_a_worker_that_dies_while_it_runs_or_after_its_end_leaves_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for dies_before_writing in (False, True):
        world = StepHarness()
        run = Run()
        with monkeypatch.context() as patch:
            if dies_before_writing:
                patch.setattr(run, "finished", _dies)
            else:
                patch.setattr(world.nomad, "newest_evaluation", _dies)
                patch.setattr("environments.providers.nomad.rollout.RolloutWatcher.until_healthy", _dies)
            with pytest.raises(Interrupted):
                world.apply("nomad.job", OPTIONS, run, files=FILES)
        another_token(world.nomad)
        apply(world)
        assert world.nomad.registrations == 1
        assert world.finished[KEY]


def _dies(*_: object) -> None:
    raise Interrupted("The worker died.")


def test_what_an_earlier_version_ran_counts(world: StepHarness) -> None:
    """It wrote nothing down: Nomad may know, else the journal says that the step was done with the same."""
    world.finished[KEY] = None
    another_token(world.nomad)
    apply(world)
    assert world.nomad.registrations == 1
    assert world.finished[KEY]
    for before, count in ((bundle(FILES), 1), (bundle({"web.nomad.hcl": f"\n{SEED}"}), 2)):
        forgotten(world.nomad)
        world.finished[KEY] = None
        apply(world, before=before)
        assert world.nomad.registrations == count
        assert world.finished[KEY]


def test_a_person_may_want_it_run_again_and_then_it_runs_once(world: StepHarness) -> None:
    (planned,) = world.plan("nomad.job", OPTIONS, files=FILES, run_again="asked")
    assert planned.action is Action.CHANGE
    assert planned.details[0] == "runs again, as requested"
    (again,) = world.plan("nomad.job", OPTIONS, files=FILES, run_again="dep-2")
    assert again == planned, "what is done doesn't depend on who asked"
    apply(world, run_again="dep-2")
    assert world.nomad.registrations == 2
    job = world.nomad.job("alpha", "seed")
    assert job is not None
    assert job["Meta"][RUN] == "dep-2"
    # The same wish, after another worker has taken over.
    apply(world, run_again="dep-2")
    apply(world)
    world.finished[KEY] = ()
    another_token(world.nomad)
    apply(world, run_again="dep-2")
    assert world.nomad.registrations == 2
    forgotten(world.nomad)
    (planned,) = world.plan("nomad.job", OPTIONS, files=FILES, run_again="dep-3")
    assert (planned.action, planned.details[0]) == (Action.CREATE, "runs again, as requested")
    apply(world, run_again="dep-3")
    assert world.nomad.registrations == 3


def test_only_a_job_that_ends_by_itself_is_run_again(world: StepHarness) -> None:
    for use in (world.plan, world.apply):
        with pytest.raises(InvalidInput, match="isn't one that runs to its end"):
            use("nomad.job", OPTIONS, run_again="dep-2")
    assert why_not_again(SEED) == ""
    assert why_not_again(SEED.replace('"batch"', '"sysbatch"')) == ""
    assert why_not_again(SEED.replace('"batch"', "var.kind")) == ""
    assert why_not_again(JOB) == "its job keeps running"
    later = SEED.replace("group", 'periodic {\n cron = "@daily"\n}\ngroup', 1)
    assert why_not_again(later) == "its job starts on a schedule"
    called = SEED.replace("group", "parameterized {}\ngroup", 1)
    assert why_not_again(called) == "its job starts when it is dispatched"


def test_a_done_job_whose_place_somebody_else_has_is_refused(world: StepHarness) -> None:
    forgotten(world.nomad)
    world.nomad.register("alpha", {**world.nomad.parse(SEED, ""), "Meta": {"calvinverse-environment": "env-2"}}, 0)
    with pytest.raises(ForeignResource):
        world.plan("nomad.job", OPTIONS, files=FILES)


@pytest.mark.parametrize("kind", ["service", "system"])
def test_a_job_that_keeps_running_is_registered_when_it_differs_only(kind: str) -> None:
    world = StepHarness()
    files = {"web.nomad.hcl": JOB.replace('"service"', f'"{kind}"')}
    options = {**OPTIONS, "variables": {"text": "hello", "count": 2}}
    world.apply("nomad.job", options, files=files)
    before = world.nomad.allocations("alpha", "web")[1]
    another_token(world.nomad)
    run = Run()
    world.apply("nomad.job", options, run, files=files)
    assert run.lines == []
    assert (world.nomad.registrations, world.nomad.allocations("alpha", "web")[1]) == (1, before)
    # It is waited for all the same.
    world.nomad.give_up("alpha", "web")
    world.apply("nomad.job", options, Run(), files=files)
    assert world.nomad.registrations == 2
    assert world.finished == {}


def test_only_what_happens_anew_is_told(world: StepHarness) -> None:
    seed = apply(world, OTHER)
    assert [line.partition(" ")[2] for line in seed.lines] == [
        "seed registered in namespace alpha, version 1",
        "task: Started",
    ]
