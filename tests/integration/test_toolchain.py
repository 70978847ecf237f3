"""The real tools: they run, they are what is pinned or wanted, and building them works from nothing."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from images.docker_engine import ensure_engine
from images.pipeline.prepare import is_static
from images.report import PlainReport
from images.toolchain import NAMES, PROVIDERS, TESTS_ONLY, ensure, locate, packer_environment, provider_mirror, require
from images.toolchain.build import built_from
from images.toolchain.catalogue import tools
from images.toolchain.find import ask_version
from images.toolchain.go import Go
from images.toolchain.needs import Builders
from images.toolchain.versions import Version
from tests.support.busy import patient


@pytest.mark.parametrize("name", [*NAMES, *TESTS_ONLY])
def test_the_tool_runs_in_a_wanted_version(name: str) -> None:
    tool = tools()[name]
    program = require(name)[name]
    version = built_from(program, Go()) if tool.provider else ask_version(program, tool.version_arguments, limit=60)
    assert version is not None
    assert version in tool.wanted


@pytest.mark.parametrize("name", ["packer", "packer-plugin-docker", "registry", "tofu", *PROVIDERS])
def test_what_goes_into_images_is_static(name: str) -> None:
    assert is_static(require(name)[name])


def test_asking_for_all_tools_again_builds_nothing() -> None:
    require(*NAMES)
    began = time.perf_counter()
    require(*NAMES)
    assert time.perf_counter() - began < patient(10)


def test_the_mirror_holds_every_provider_and_is_made_once() -> None:
    mirror = provider_mirror()
    programs = sorted(path for path in mirror.rglob("terraform-provider-*") if path.is_file())
    assert [f"{path.parents[2].parent.name}/{path.parents[2].name}" for path in programs] == sorted(
        tools()[name].provider for name in PROVIDERS
    )
    assert all(os.access(path, os.X_OK) for path in programs)
    assert provider_mirror() == mirror


def test_packer_finds_its_docker_plugin_and_no_other() -> None:
    packer = require("packer")["packer"]
    env = {**os.environ, **packer_environment()}
    command = [str(packer), "plugins", "installed"]
    said = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    assert len(said) == 1
    assert Path(said[0]).name.startswith("packer-plugin-docker_v1.")


def test_the_plugin_folder_is_made_once_for_the_same_programs() -> None:
    first = packer_environment()
    began = time.perf_counter()
    assert packer_environment() == first
    assert time.perf_counter() - began < patient(10)


def test_a_go_tool_and_a_wheel_are_got_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["packer-plugin-docker", "bao"]
    # Those on the PATH would be used instead.
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    bare = [str(folder) for folder in folders if not any((folder / name).exists() for name in names)]
    monkeypatch.setenv("PATH", os.pathsep.join(bare))
    monkeypatch.setenv("CALVINVERSE_CACHE", str(tmp_path / "cache"))
    builders = Builders.detect()
    if any(builders.lack(tools()[name]) for name in names):
        pytest.skip("this machine has its tools on the PATH and can't build them")
    assert [locate(name) for name in names] == [None, None]
    with (tmp_path / "said").open("w+") as stream:
        found = ensure(names, PlainReport(stream))
        stream.seek(0)
        said = stream.read()
    assert set(found) == set(names)
    assert all(path.is_relative_to(tmp_path) for path in found.values())
    assert "bao 2.7.2: fetched in" in said
    assert "packer-plugin-docker 1.1.2: built in" in said
    logs = sorted(file.name.split("-2.")[0].split("-1.")[0] for file in (tmp_path / "cache" / "logs").iterdir())
    assert logs == ["bao", "packer-plugin-docker"]


def test_the_docker_engine_answers() -> None:
    assert Version.find(ensure_engine(lambda _: None)) is not None
