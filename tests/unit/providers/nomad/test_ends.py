"""How a job has ended, by what Nomad says of it and its instances."""

from typing import Any, cast

import pytest

from environments.providers.nomad.ends import NomadJobEnds
from environments.providers.nomad.ports import Allocation, Job, NomadApi


class Told:
    """A Nomad with one job."""

    def __init__(self, job: Job | None, allocations: list[Allocation]) -> None:
        self._job, self._allocations = job, allocations

    def job(self, namespace: str, job: str) -> Job | None:
        return self._job

    def allocations(self, namespace: str, job: str) -> tuple[int, list[Allocation]]:
        return 1, self._allocations


def _job(**values: Any) -> Job:
    return {"Status": "dead", "Type": "batch", "Version": 2, "SubmitTime": 5, "Stop": False, **values}


def _one(client: str, version: int = 2, desired: str = "run", replaced: bool = False) -> Allocation:
    return Allocation("a", version, "work", desired, client, replaced=replaced)


@pytest.mark.parametrize(
    ("job", "allocations", "expected"),
    [
        (None, [], None),
        (_job(), [_one("complete")], "complete"),
        (_job(Type="sysbatch"), [_one("complete"), _one("complete")], "complete"),
        (_job(), [_one("complete"), _one("failed")], "failed"),
        (_job(), [_one("lost")], "failed"),
        (_job(), [_one("failed", replaced=True), _one("complete")], "complete"),
        (_job(), [_one("failed", version=1), _one("complete")], "complete"),
        (_job(), [_one("complete", desired="stop")], None),
        (_job(), [_one("complete"), _one("running")], None),
        (_job(), [], None),
        (_job(Stop=True), [_one("complete")], None),
        (_job(Status="running"), [_one("complete")], None),
        (_job(Type="service"), [_one("complete")], None),
        (_job(Type="service"), [_one("failed")], "failed"),
        (_job(Periodic={"Enabled": True}), [_one("complete")], None),
        (_job(Periodic={"Enabled": True}, ParentID="nightly"), [_one("complete")], "complete"),
        (_job(ParameterizedJob={}, ParentID="asked"), [_one("complete")], "complete"),
    ],
)
def test_a_job_has_ended_when_nothing_of_it_goes_on(
    job: Job | None, allocations: list[Allocation], expected: str | None
) -> None:
    found = NomadJobEnds(cast("NomadApi", Told(job, allocations))).end("one", "work")
    assert (None if found is None else found.outcome) == expected
    if found is not None and job is not None:
        assert (found.submitted, found.parent) == (5, job.get("ParentID", ""))
