"""Plans of jobs: what Nomad tells of a difference, in lines for people."""

from typing import Any

from environments.providers.nomad.answers import job_plan
from environments.providers.nomad.plan import changed
from environments.providers.nomad.ports import Edit

_NAME = {"Name": "Name", "Type": "None", "Old": "shop--web", "New": "shop--web"}


def answer(*checks: dict[str, Any]) -> dict[str, Any]:
    """What Nomad answers about a job in which only checks of a service differ."""
    service = {"Name": "Service", "Type": "Edited", "Fields": [_NAME], "Objects": list(checks)}
    group = {"Name": "web", "Type": "Edited", "Objects": [service]}
    return {"Diff": {"ID": "web", "Type": "Edited", "TaskGroups": [group]}}


def test_a_block_that_differs_in_what_nomad_does_not_tell_is_a_change() -> None:
    plan = job_plan(answer({"Name": "Check", "Type": "Edited"}))
    assert plan.edits == (Edit(("group web", "Service", "Check"), "", "", ""),)
    (change,) = changed("nomad.job", "shop/web", plan)
    assert change.details == ("group web, Service, Check is changed",)


def test_a_block_of_which_nomad_tells_more_is_told_by_that() -> None:
    field = {"Name": "Path", "Type": "Edited", "Old": "/", "New": "/health"}
    plan = job_plan(answer({"Name": "Check", "Type": "Edited", "Fields": [field]}, {"Name": "Check", "Type": "None"}))
    assert plan.edits == (Edit(("group web", "Service", "Check"), "Path", "/", "/health"),)


def test_a_job_that_is_equal_has_no_change() -> None:
    assert changed("nomad.job", "shop/web", job_plan({"Diff": {"ID": "web", "Type": "None"}})) == []
