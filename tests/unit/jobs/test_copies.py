"""Neither deploy nor undeploy works in a copy: its context leads to the service of the original."""

import shutil
from pathlib import Path

import pytest

from environments.domain.errors import MachineError
from environments.providers.local_cluster.agents.local import LocalAgents
from jobs import deploy as deployment
from jobs import undeploy as removal
from jobs.places import Places


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    def reached(*_: object) -> None:
        raise AssertionError("a service is started or called")

    for module in (deployment, removal):
        monkeypatch.setattr(module, "local_service", reached)
        monkeypatch.setattr(module, "connect", reached)
    LocalAgents(tmp_path / "original", {}).supervisor.settle()
    (tmp_path / "original" / "local").mkdir()
    return Places(Path(shutil.copytree(tmp_path / "original", tmp_path / "copy")))


@pytest.mark.parametrize("options", [{}, {"force": True}, {"destroy_environments": True}])
def test_undeploy_refuses_it_before_it_calls_anything(copy: Places, options: dict[str, bool]) -> None:
    with pytest.raises(MachineError, match="is a copy of") as refused:
        removal.undeploy(copy, lambda line: None, **options)
    assert "remove the copy" in refused.value.hint


def test_deploy_refuses_it_before_it_starts_anything(copy: Places) -> None:
    with pytest.raises(MachineError, match="is a copy of"):
        deployment.deploy(copy, deployment.DeployRequest(image="", binaries={}), lambda line: None)
    assert not copy.lock.exists()
