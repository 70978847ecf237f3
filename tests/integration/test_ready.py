"""What makes jobs ready on a real Nomad, how canaries are promoted, and how jobs go away that are slow to stop."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import StepTimeout
from environments.providers.backend.connections import Connections
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.job_handler import JobHandler
from environments.steps.base import StepContext
from environments.steps.registry import StepRegistry
from tests.support.busy import patient
from tests.support.step_harness import Run
from tests.support.web_harness import Made, folder, new_owner, tools, until

PATIENT = (('"20s"', '"20m"'), ('"25s"', '"25m"'))
"""Deadlines of a case's rollout that a busy machine keeps, and that the step's own limit comes before."""

CASES = Path(__file__).parents[1] / "cases" / "templates"


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Connections:
    """A real cluster: that of CALVINVERSE_TEST_CONNECTIONS (a connections file) if it is set, else one of our own."""
    running = os.environ.get("CALVINVERSE_TEST_CONNECTIONS")
    if running:
        return Connections.load(Path(running))
    found: Connections = request.getfixturevalue("cluster").connections
    return found


@pytest.fixture(scope="session")
def box(connections: Connections) -> StepRegistry:
    return tools(connections)


@pytest.fixture
def made(box: StepRegistry) -> Iterator[Made]:
    made = Made(box, new_owner("r"), folder(CASES / "slowworker"))
    yield made
    made.destroy()


def case(made: Made, name: str, *changes: tuple[str, str]) -> None:
    """The environment's template is that of a case, with texts of its files replaced."""
    texts = {file.name: file.read_text() for file in (CASES / name).iterdir()}
    for old, new in changes:
        assert any(old in text for text in texts.values()), old
        texts = {file: text.replace(old, new) for file, text in texts.items()}
    made.bundle = folder(CASES / name, texts)


def promote(made: Made, **parameters: Any) -> None:
    """As a deployment applies the step that a person asked for to promote."""
    (step,) = made.bundle.template().steps
    context: StepContext = replace(made._context(step, parameters), promotes=True)
    made.outputs["app"] = made.box.executors["nomad.job"].apply(context, Run(limit=60))


def running(made: Made, connections: Connections) -> dict[int, int]:
    """How many instances of each version of the job run and are to run."""
    found = [one for one in NomadClient(lambda: connections).allocations(made.owner.name, "app")[1] if not one.terminal]
    return {
        version: sum(one.job_version == version and one.desired == "run" for one in found)
        for version in {one.job_version for one in found if one.desired == "run"}
    }


def runs_out_of_time(made: Made, said: str) -> None:
    """The step isn't ready in time, and says why. A busy machine may need longer to get that far, and gets it once."""
    for limit in (8, 90):
        with pytest.raises(StepTimeout) as caught:
            made.apply(limit=limit)
        if re.search(said, caught.value.message):
            return
    pytest.fail(caught.value.message)


def test_an_instance_whose_other_task_never_starts_is_not_ready(made: Made) -> None:
    case(made, "slowworker", *PATIENT)
    runs_out_of_time(made, r"task 'worker': .*Missing: vault.read")


def test_tasks_of_every_lifecycle_are_ready_as_they_should_be(made: Made, connections: Connections) -> None:
    case(made, "lifecycle", ("consul {}", ""), *PATIENT)
    made.apply()
    (found,) = NomadClient(lambda: connections).allocations(made.owner.name, "app")[1]
    assert {task.name: task.state for task in found.tasks} == {
        "init": "dead",
        "side": "running",
        "after": "dead",
        "web": "running",
        "bye": "pending",
    }
    made.destroy()
    case(made, "batchside")
    made.apply()


def test_a_system_job_is_ready_when_its_checks_pass(made: Made) -> None:
    case(made, "system")
    made.apply()
    assert made.url.startswith("http://127.0.0.1:")
    made.destroy()  # Consul keeps what it knew of a check for a moment when only the check changes
    case(made, "system", ('path = "/"', 'path = "/nothing"'))
    runs_out_of_time(made, f"service '{made.owner.name}--web' doesn't pass its checks")


def test_no_instance_wanted_is_ready_at_once(made: Made) -> None:
    case(made, "zero")
    begin = time.monotonic()
    made.apply(replicas=0)
    assert time.monotonic() - begin < patient(20)
    none = {"name": f"{made.owner.name}--web", "address": None, "port": None, "url": None}
    assert made.outputs["app"]["services"] == {"web": none}
    made.apply(replicas=1)
    assert made.url.startswith("http://127.0.0.1:")
    made.apply(replicas=0)
    assert made.outputs["app"]["services"] == {"web": none}


@pytest.mark.parametrize("name", ["canary1", "canaryauto"])
def test_canaries_are_promoted_and_the_address_is_the_new_one(made: Made, connections: Connections, name: str) -> None:
    case(made, name)
    made.apply(count=2)
    first = made.url
    made.apply(mark="v2", count=2)
    assert made.outputs["app"]["awaiting_promotion"] is False
    assert made.url != first
    until(lambda: running(made, connections) == {1: 2})
    assert any("is promoted" in line for line in made.log) == (name == "canary1")


def test_canaries_wait_for_a_person_and_are_replaced_given_up_or_promoted(made: Made, connections: Connections) -> None:
    manual = ("with = {", 'with = { promotion = "manual",')
    case(made, "canary1", manual)
    made.apply(count=1)
    first = made.url
    made.apply(mark="v2")
    assert made.outputs["app"]["awaiting_promotion"] is True
    assert made.url == first
    assert running(made, connections) == {0: 1, 1: 1}
    assert made.plan(mark="v2") == {}, "nothing has drifted"
    made.apply(mark="v2")
    assert made.outputs["app"]["awaiting_promotion"] is True

    made.apply(mark="v3")
    assert made.outputs["app"]["awaiting_promotion"] is True
    until(lambda: running(made, connections) == {0: 1, 2: 1})

    made.apply(mark="v1")
    assert made.outputs["app"]["awaiting_promotion"] is False
    assert made.url == first
    until(lambda: running(made, connections) == {3: 1})

    made.apply(mark="v4")
    assert made.outputs["app"]["awaiting_promotion"] is True
    promote(made, mark="v4")
    assert made.outputs["app"]["awaiting_promotion"] is False
    assert made.url != first
    until(lambda: running(made, connections) == {4: 1})
    made.apply(mark="v5")
    made.destroy()
    assert made.left() == []


def test_a_slow_task_is_named_and_a_hanging_one_after_the_others_is_killed(
    made: Made, connections: Connections
) -> None:
    case(
        made,
        "lifecycle",
        (
            "import time; time.sleep(600)",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        ),
        ("print(2)", "import time; time.sleep(600)"),
        ('"2s"', '"6s"'),
        *PATIENT,
        # With an identity for Consul Nomad starts a task after the others a minute later.
        ("consul {}", ""),
    )
    made.apply()
    handler = JobHandler(NomadClient(lambda: connections), timedelta(seconds=1))
    address = f"{made.owner.name}/app"
    # Main tasks, then the sidecar, then those after them, which may be started again once.
    assert timedelta(seconds=138) < handler.time_needed(address) < timedelta(seconds=240)
    run = Run(limit=120)
    handler.destroy(address, made.owner, run)
    said = "\n".join(run.lines)
    assert re.search(r"waiting for task 'web' .* to stop; it was asked to at .*, and its kill_timeout is 6s", said)
    assert "has not ended by itself in 6s after the others have stopped, and is killed" in said
    assert "was started again by its restart policy, and is killed again" in said
