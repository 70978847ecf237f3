"""Template authors are trusted: only admins are, and even their jobs get no folder of the host."""

from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import Forbidden, InvalidJob
from environments.domain.template import make_bundle
from environments.executors.base import Owner
from environments.executors.nomad_rules import adopt
from environments.service.access import Principal
from tests.fakes.service import WEB, make_service


def test_a_user_makes_environments_from_templates_but_pushes_none(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    try:
        before = service.catalogue.template("web").digest
        with pytest.raises(Forbidden):
            service.catalogue.push(
                Principal("eve", "user", "tok-eve"), make_bundle({"template.toml": WEB.encode(), "x": b""})
            )
        assert service.catalogue.template("web").digest == before
    finally:
        service.database.close()


def test_a_job_gets_no_host_volume_unless_it_is_the_services_own() -> None:
    volumes = {"data": {"Type": "host", "Source": "calvinverse-data"}}
    job: dict[str, Any] = {"ID": "web", "TaskGroups": [{"Name": "web", "Volumes": volumes, "Tasks": []}]}
    with pytest.raises(InvalidJob, match="asks for the host volume 'calvinverse-data'"):
        adopt(job, "web", Owner("env-1", "alpha"))
    assert adopt(job, "web", Owner("env-0", "meta"), trusted=True)["Namespace"] == "meta"
