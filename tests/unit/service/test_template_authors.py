"""Template authors are trusted: only admins are, and even their jobs get no folder of a node that isn't declared."""

from typing import Any

import pytest

from environments.domain.errors import InvalidJob
from environments.domain.names import SERVICE_VOLUMES
from environments.providers.nomad.rules import adopt
from environments.steps.base import Owner


def job(*sources: str, **more: Any) -> dict[str, Any]:
    """A job that asks for host volumes."""
    volumes = {f"v{number}": {"Type": "host", "Source": source, **more} for number, source in enumerate(sources)}
    return {"ID": "web", "TaskGroups": [{"Name": "web", "Volumes": volumes, "Tasks": []}]}


def test_a_job_gets_no_host_volume_unless_it_is_the_services_own() -> None:
    asking = job("calvinverse-data")
    with pytest.raises(InvalidJob, match="asks for the host volume 'calvinverse-data'"):
        adopt(asking, "web", Owner("env-1", "alpha"))
    assert adopt(asking, "web", Owner("env-0", "meta"), trusted=True)["Namespace"] == "meta"


@pytest.mark.parametrize("volume", sorted(SERVICE_VOLUMES))
def test_volumes_of_the_service_stay_with_it(volume: str) -> None:
    with pytest.raises(InvalidJob, match=f"asks for the host volume '{volume}'"):
        adopt(job(volume), "web", Owner("env-1", "alpha"), volumes=frozenset({volume}))


def test_a_job_gets_the_host_volumes_that_its_template_declares_and_no_others() -> None:
    alpha = Owner("env-1", "alpha")
    declared = frozenset({"docker-socket", "builds"})
    assert adopt(job("docker-socket", "builds"), "web", alpha, volumes=declared)
    for asking, allowed in (
        (job("docker-socket"), frozenset({"builds"})),
        (job("builds", "calvinverse-data"), declared | {"calvinverse-data"}),
        (job("builds", PerAlloc=True), declared),
        (job("${node.unique.name}"), declared),
        (job(""), declared),
    ):
        with pytest.raises(InvalidJob, match="volume"):
            adopt(asking, "web", alpha, volumes=allowed)
