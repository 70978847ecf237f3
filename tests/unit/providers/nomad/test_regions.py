"""Regions and pools of nodes that a job names."""

from typing import Any

import pytest

from environments.domain.errors import InvalidJob
from environments.providers.nomad.regions import pool_faults, region_faults
from environments.providers.nomad.rules import adopt
from environments.steps.base import Owner
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import parse

ALPHA = Owner("env-1", "alpha")


def job(**more: Any) -> dict[str, Any]:
    group = {"Name": "web", "Tasks": [{"Name": "web", "Driver": "docker"}], "Networks": [{"Mode": "bridge"}]}
    return {"ID": "web", "TaskGroups": [group], **more}


@pytest.mark.parametrize(
    "more", [{}, {"Region": None}, {"Region": "global"}, {"NodePool": ""}, {"NodePool": "default"}]
)
def test_a_job_that_names_nothing_else_runs(more: dict[str, Any]) -> None:
    assert adopt(job(**more), "web", ALPHA)


@pytest.mark.parametrize(
    ("more", "said", "by_admins"),
    [
        ({"Region": "europe"}, "it names the region 'europe'; leave region out", False),
        ({"Multiregion": {"Regions": [{"Name": "europe"}]}}, "it has a block multiregion; leave it out", False),
        ({"NodePool": "gpu"}, "it names the node pool 'gpu', whose nodes may not isolate jobs", True),
        ({"NodePool": "all"}, "it names the node pool 'all'", True),
    ],
)
def test_a_job_stays_in_its_region_and_pool(more: dict[str, Any], said: str, by_admins: bool) -> None:
    asking = job(**more)
    with pytest.raises(InvalidJob) as caught:
        adopt(asking, "web", ALPHA)
    assert said in caught.value.message
    for declared in ({"host_network": True}, {"volumes": {"builds"}}):
        if by_admins:
            assert adopt(asking, "web", ALPHA, **declared)
        else:
            with pytest.raises(InvalidJob, match="region"):
                adopt(asking, "web", ALPHA, **declared)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", None),
        ('region = "global"', None),
        ("region = var.region", None),
        ('node_pool = "default"', None),
        ('region = "europe"', "a job can't name the region 'europe'"),
        ('multiregion {\nregion "europe" {}\n}', "a job can't have a block multiregion"),
        ('node_pool = "gpu"', "a job can't name the node pool 'gpu'"),
    ],
)
def test_the_check_of_a_template_says_it_with_the_line(line: str, said: str | None) -> None:
    source = Source("app.hcl", parse(f'job "app" {{\n{line}\ngroup "app" {{}}\n}}\n'))
    found = [*region_faults(source), *pool_faults(source)]
    if said is None:
        assert found == []
    else:
        (fault,) = found
        assert fault.line == 2
        assert fault.message.startswith(said)
