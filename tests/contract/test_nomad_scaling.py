"""A job that is scaled to zero and back, on a Nomad in memory and on a real one."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from environments.providers.backend.connections import Connections
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.ports import Job, NomadApi
from environments.providers.nomad.scaling import former_counts, started, stop_job, what_runs
from environments.steps.base import Owner
from environments.steps.hcl import literals as hcl
from environments.steps.marks import MARK
from tests.contract.test_nomad import JOB
from tests.fakes.backends.nomad import MemoryNomad
from tests.support import images_here
from tests.support.step_harness import Run

SCALED = JOB.replace("count = var.count", "count = var.count\n    scaling {\n      min = 1\n      max = 5\n    }")


BATCH = re.sub(r"update \{.*?\}", "", JOB.replace('"service"', '"batch"'), flags=re.DOTALL)


@pytest.fixture(params=["memory", "real"])
def nomad(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> NomadApi:
    return MemoryNomad() if request.param == "memory" else NomadClient(real)


@pytest.fixture
def owner(nomad: NomadApi, name: str) -> Iterator[Owner]:
    """An environment with a namespace."""
    nomad.write_namespace(name, "a test", {MARK: "env-1"})
    yield Owner("env-1", name)
    for job in nomad.jobs(name):
        nomad.deregister(name, job, purge=False)
        until(lambda job=job: not nomad.running(name).get(job))  # type: ignore[misc]  # the job of this turn
        nomad.deregister(name, job, purge=True)
    until(lambda: not nomad.running(name))
    end = time.monotonic() + 120
    while nomad.namespace(name) is not None:
        assert time.monotonic() < end
        nomad.remove_namespace(name)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def parsed(nomad: NomadApi, owner: Owner, text: str, **variables: Any) -> Job:
    image = "any" if isinstance(nomad, MemoryNomad) else images_here.reference("base")
    job = nomad.parse(text, hcl.assignments({"text": "x", "image": image, **variables}))
    return {**job, "Namespace": owner.name, "Meta": {MARK: owner.id}}


def register(nomad: NomadApi, owner: Owner, job: Job) -> None:
    present = nomad.job(owner.name, "app")
    nomad.register(owner.name, job, present["JobModifyIndex"] if present else 0)


@pytest.mark.parametrize(
    ("text", "count"),
    [(JOB, 2), (JOB.replace('"service"', '"system"'), 1), (SCALED, 2)],
    ids=["service", "system", "with a scaling policy"],
)
def test_all_instances_end_and_as_many_come_back(nomad: NomadApi, owner: Owner, text: str, count: int) -> None:
    job = parsed(nomad, owner, text, count=count)
    register(nomad, owner, job)
    until(lambda: nomad.running(owner.name).get("app") == count)

    for _ in range(2):
        stop_job(nomad, owner.name, "app", owner, Run(limit=120))
        assert nomad.running(owner.name) == {}
        assert former_counts(nomad.job(owner.name, "app")) == {"group": count}
    present = nomad.job(owner.name, "app")
    assert present is not None
    assert what_runs(present) == []

    register(nomad, owner, started(job, nomad.job(owner.name, "app")))
    until(lambda: nomad.running(owner.name).get("app") == count)
    assert former_counts(nomad.job(owner.name, "app")) is None
    again = nomad.job(owner.name, "app")
    assert again is not None
    assert what_runs(again) == [f"group group, count: {count} → 0"]


def test_a_count_that_somebody_chose_comes_back(nomad: NomadApi, owner: Owner) -> None:
    job = parsed(nomad, owner, JOB, count=1)
    register(nomad, owner, {**job, "TaskGroups": [{**job["TaskGroups"][0], "Count": 3}]})
    until(lambda: nomad.running(owner.name).get("app") == 3)
    stop_job(nomad, owner.name, "app", owner, Run(limit=120))
    register(nomad, owner, started(job, nomad.job(owner.name, "app")))
    until(lambda: nomad.running(owner.name).get("app") == 3)


def test_a_schedule_rests_and_goes_on(nomad: NomadApi, owner: Owner) -> None:
    job = {**parsed(nomad, owner, BATCH), **NIGHTLY}
    register(nomad, owner, job)
    stop_job(nomad, owner.name, "app", owner, Run(limit=120))
    present = nomad.job(owner.name, "app")
    assert present is not None
    assert present["Periodic"]["Enabled"] is False
    stop_job(nomad, owner.name, "app", owner, Run(limit=120))
    register(nomad, owner, started(job, present))
    again = nomad.job(owner.name, "app")
    assert again is not None
    assert again["Periodic"]["Enabled"] is True


NIGHTLY = {
    "Periodic": {
        "Enabled": True,
        "Spec": "",
        "Specs": ["0 0 1 1 *"],
        "SpecType": "cron",
        "ProhibitOverlap": False,
        "TimeZone": "UTC",
    }
}
