"""Why a job finds no node, in words."""

from typing import Any

import pytest

from environments.providers.nomad.answers import lacks_drivers, why_unplaced
from environments.providers.nomad.placement import unplaced
from environments.providers.nomad.ports import Evaluation

LACKING = {"NodesEvaluated": 2, "ConstraintFiltered": {"missing drivers": 2}}


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"NodesEvaluated": 1, "DimensionExhausted": {"memory": 1}}, "1 node has no room for memory"),
        ({"NodesEvaluated": 2, "DimensionExhausted": {"cpu": 2}}, "2 nodes have no room for cpu"),
        (
            {"NodesEvaluated": 3, "ConstraintFiltered": {"missing drivers": 2, "${attr.cpu.arch} = arm64": 1}},
            "2 nodes lack its drivers, 1 node lacks what it asks for: ${attr.cpu.arch} = arm64",
        ),
        ({"NodesEvaluated": 1, "ClassFiltered": {"gpu": 1}}, "1 node of class gpu does not fit"),
        ({"NodesEvaluated": 0}, "no node is in the job's datacenters and node pool and takes new work"),
        ({"NodesEvaluated": 1}, "the scheduler gives no reason"),
    ],
)
def test_what_the_scheduler_counts(metric: dict[str, Any], words: str) -> None:
    assert why_unplaced(metric) == words
    assert not lacks_drivers(metric)


def test_drivers_that_no_node_has_are_named() -> None:
    assert lacks_drivers(LACKING)
    evaluation = Evaluation("complete", "", {"one": "2 nodes lack its drivers", "two": "x"}, frozenset({"one"}))
    job: dict[str, Any] = {
        "TaskGroups": [{"Name": "one", "Tasks": [{"Driver": "raw_exec"}]}, {"Name": "two", "Tasks": []}]
    }
    assert unplaced(job, evaluation) == "group 'one': no node has the driver raw_exec; group 'two' finds no node: x"
    job["TaskGroups"][0]["Tasks"] = [{"Driver": "raw_exec"}, {"Driver": "docker"}, {"Driver": "docker"}]
    assert unplaced(job, evaluation).startswith("group 'one': no node has the drivers docker and raw_exec")
    assert unplaced(job, Evaluation("complete")) == ""
