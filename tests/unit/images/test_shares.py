"""How long builds take: measured shares, the order, and the time that is left."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.toolchain import DEPLOYED, NAMES, TESTS_ONLY, build, work
from images.toolchain.catalogue import Tool, tools
from images.toolchain.go import MachineGo, wanted_go
from images.toolchain.needs import Builders
from images.toolchain.shares import (
    Share,
    about,
    longest_first,
    read_shares,
    seconds_left,
    share_of,
    shares,
    write_shares,
)
from images.toolchain.versions import Version

KNOWN = {"nomad": Share(400, 1000), "packer": Share(100, 500), "bao": Share(4)}


@dataclass
class Job:
    """A build."""

    tool: Tool
    packages: int = 0
    seconds: float | None = None


def jobs(*names: str) -> list[Job]:
    return [Job(tools()[name]) for name in names]


def test_what_takes_longest_is_built_first() -> None:
    given = [tools()[name] for name in ("bao", "packer", "nomad")]
    assert [tool.name for tool in longest_first(given, {**KNOWN, "packer": Share(900)})] == ["packer", "nomad", "bao"]


def test_where_one_was_not_measured_that_with_the_most_modules_is_built_first() -> None:
    given = [tools()[name] for name in ("bao", "packer", "tofu", "nomad")]
    assert [tool.name for tool in longest_first(given, {"packer": Share(900)})] == ["nomad", "tofu", "packer", "bao"]


def test_no_time_is_told_of_what_was_not_measured() -> None:
    nomad, tofu = jobs("nomad", "tofu")
    assert seconds_left([nomad, tofu], 0, processors=2, known=KNOWN) is None
    tofu.seconds = 9.0
    assert seconds_left([nomad, tofu], 0, processors=2, known=KNOWN) == 200
    job = build.Job(tools()["tofu"], Path("cache"))
    job.began = time.monotonic()
    assert work.progress_line([job], None).endswith("; 1 left")
    assert work.progress_line([job], 95).endswith("; 1 left, about 2 min")


def test_at_first_the_work_is_spread_over_the_processors() -> None:
    assert seconds_left(jobs("nomad", "packer"), 0, processors=2, known=KNOWN) == 250
    assert seconds_left(jobs("nomad", "packer"), 0, processors=4, known=KNOWN) == 125
    assert seconds_left([], 0, processors=2, known=KNOWN) == 0


def test_what_is_done_counts_no_more_and_the_pace_counts_more_and_more() -> None:
    nomad, packer = jobs("nomad", "packer")
    nomad.packages = 500
    expected = seconds_left([nomad, packer], 100, processors=2, known=KNOWN)
    assert expected == pytest.approx(300 * (60 + 100) / (120 + 200))
    # A machine that does something else beside it needs longer for what is left.
    later = seconds_left([nomad, packer], 400, processors=2, known=KNOWN)
    assert expected is not None
    assert later is not None
    assert later > 2 * expected
    nomad.seconds = packer.seconds = 9.0
    assert seconds_left([nomad, packer], 400, processors=2, known=KNOWN) == 0


def test_a_build_that_compiles_more_than_was_measured_still_has_something_left() -> None:
    (nomad,) = jobs("nomad")
    nomad.packages = 5000
    left = seconds_left([nomad], 200, processors=2, known=KNOWN)
    assert left is not None
    assert 0 < left < 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "about 10 s"), (44, "about 40 s"), (89, "about 90 s"), (95, "about 2 min"), (700, "about 12 min")],
)
def test_an_estimate_says_about(seconds: float, text: str) -> None:
    assert about(seconds) == f", {text}"
    assert about(None) == ""


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"nomad": 5}', '{"nomad": {}}', '{"nomad": {"processor_seconds": "x"}}']
)
def test_without_readable_shares_there_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "shares.json"
    assert read_shares(file) == {}
    file.write_text(text)
    assert read_shares(file) == {}
    assert share_of(tools()["nomad"], {}) is None


def test_shares_are_taken_from_what_builds_took(tmp_path: Path) -> None:
    file = tmp_path / "shares.json"
    file.write_text(json.dumps({"packer": {"processor_seconds": 90, "packages": 3}}))
    built = tools()["nomad"].published(tmp_path)
    built.mkdir(parents=True)
    (built / "build.json").write_text(json.dumps({"processor_seconds": 412.3, "packages": 1500, "seconds": 9}))
    # One of before processor time was noted.
    older = tools()["tofu"].published(tmp_path)
    older.mkdir(parents=True)
    (older / "build.json").write_text(json.dumps({"seconds": 1000}))
    write_shares(file, tmp_path)
    assert read_shares(file) == {"nomad": Share(412.3, 1500), "packer": Share(90, 3)}


def test_shares_are_of_tools_and_as_a_build_notes_them() -> None:
    assert set(shares()) <= set(tools())
    assert all(share.processor_seconds > 0 for share in shares().values())


def test_a_deployment_builds_nothing_that_only_others_need() -> None:
    assert set(NAMES) - set(DEPLOYED) == {"registry", "terraform-provider-restapi"}
    assert set(TESTS_ONLY) == {"gitea"}
    assert "go" not in {*NAMES, *TESTS_ONLY}


def test_one_go_is_chosen_for_all_that_is_built() -> None:
    given = [tools()[name] for name in ("packer", "nomad", "bao")]
    assert wanted_go(given) == Version((1, 24, 7))
    assert wanted_go([tools()["bao"]]) is None
    old = MachineGo(Version((1, 24, 5)), fetches_newer=False)
    assert old.fits(tools()["packer"].go_version())
    assert not old.fits(wanted_go(given))
    assert MachineGo(Version((1, 21, 0)), fetches_newer=True).fits(wanted_go(given))
    assert Builders(None, compiler=False, pip=True).machine_builds(None)
    assert not Builders(None, compiler=False, pip=True).machine_builds(wanted_go(given))


def test_the_compiler_collects_no_garbage_only_where_each_of_its_processes_has_enough_memory() -> None:
    gib = 1 << 30
    assert build.garbage_collection(8 * gib, 2) == {}
    assert build.garbage_collection(24 * gib, 2) == {"GOGC": "off", "GOMEMLIMIT": str(3 * gib)}
    assert build.garbage_collection(24 * gib, 16) == {"GOGC": "400"}


def test_a_container_has_the_memory_that_it_may_use(tmp_path: Path) -> None:
    limit, none, missing = tmp_path / "limit", tmp_path / "none", tmp_path / "missing"
    limit.write_text(f"{1 << 20}\n")
    none.write_text("max\n")
    assert build.memory([missing, limit]) == 1 << 20
    assert build.memory([none, missing]) == build.memory([]) > 1 << 20
