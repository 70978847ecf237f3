"""What a machine without CNI plugins is told, and what is installed there."""

from pathlib import Path

import pytest

from environments import cni
from environments.node_firewall import REACHED, Lack, Reason
from images import job_networks, machine
from images.errors import PackagesMissing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where plugins may be; it has none."""
    monkeypatch.setattr(cni, "PLUGIN_FOLDERS", (tmp_path,))
    return tmp_path


def install(folder: Path) -> None:
    for name in cni.PLUGINS:
        (folder / name).touch()


@pytest.mark.parametrize(("installs", "hint"), [(True, "`doit docker` installs"), (False, "apt-get install")])
def test_doctor_says_what_is_missing_and_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, installs: bool, hint: str
) -> None:
    monkeypatch.setattr(machine, "can_install_packages", lambda: installs)
    (check,) = machine.job_networks()
    assert check.verdict == "warn"
    assert "Nomad runs no job in bridge mode" in check.sentence
    assert hint in check.hint
    assert "containernetworking-plugins" in check.hint
    install(folder)
    (check,) = machine.job_networks()
    assert (check.verdict, str(folder) in check.sentence) == ("ok", True)


def test_doctor_says_what_keeps_jobs_of_different_environments_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(machine.isolation()) == []  # the check above says it
    install(folder)
    missing = Lack(Reason.NO_BRIDGE_NETFILTER, "br_netfilter isn't loaded.", "Run modprobe br_netfilter.")
    monkeypatch.setattr(machine, "lack", lambda plugins: missing)
    (check,) = machine.isolation()
    assert (check.name, check.verdict, check.hint) == ("isolation", "warn", "Run modprobe br_netfilter.")
    assert check.sentence == f"br_netfilter isn't loaded. {REACHED}"
    monkeypatch.setattr(machine, "lack", lambda plugins: None)
    (check,) = machine.isolation()
    assert check.verdict == "ok"


def test_a_folder_that_lacks_one_plugin_is_none(folder: Path) -> None:
    install(folder)
    assert cni.plugin_folder() == folder
    (folder / "portmap").unlink()
    assert cni.plugin_folder() is None


def test_they_are_installed_where_that_is_possible(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(job_networks, "can_install_packages", lambda: True)
    monkeypatch.setattr(job_networks, "ensure_debian_packages", lambda *_, **__: install(folder))
    job_networks.ensure_plugins(said.append)
    assert said == []
    job_networks.ensure_plugins(said.append)
    assert said == []


@pytest.mark.parametrize("installs", [True, False])
def test_where_they_cannot_be_installed_it_is_said_what_is_not_isolated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, installs: bool
) -> None:
    """And everything else goes on."""

    def fail(*_: object, **__: object) -> None:
        raise PackagesMissing("Installing them failed.")

    said: list[str] = []
    monkeypatch.setattr(job_networks, "can_install_packages", lambda: installs)
    monkeypatch.setattr(job_networks, "ensure_debian_packages", fail)
    job_networks.ensure_plugins(said.append)
    assert said[-1].startswith("Warning: The CNI plugins are missing")
    assert "reach whatever listens on it, on loopback too" in said[-1]
    assert len(said) == 1 + installs
