"""The task graph, how failures of tasks are shown, and how tests are counted."""

import re
from pathlib import Path

import pytest

from images.parents import images_on_request
from images.pipeline.recipe import load_recipes
from images.places import CHECKOUT
from tests.suite import LANES, Count, left_out, read_report


def test_errors_count_as_failures_and_skipped_tests_as_neither(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>')
    assert read_report(report) == Count(passed=3, failed=3, skipped=3)
    assert str(read_report(report)) == "3 passed, 3 failed"
    assert read_report(tmp_path / "none") == Count()


@pytest.mark.parametrize(
    "lock",
    ["requirements.lock", *(f"images/{image}/requirements.lock" for image in ("build-agent", "provisioning", "ui"))],
)
def test_locks_hold_hashes_for_everything_and_no_address(lock: str) -> None:
    text = (CHECKOUT / lock).read_text()
    assert "://" not in text
    pinned = re.findall(r"^([a-z0-9][^=\s]*)==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-zA-Z0-9]", text, re.MULTILINE)) > 15


def test_every_test_file_runs_in_exactly_one_lane() -> None:
    tests = CHECKOUT / "tests"
    ran = []
    for lane, places in LANES.items():
        ignored = [tests / place for place in left_out(lane)]
        for place in places:
            files = [tests / place] if place.endswith(".py") else list((tests / place).rglob("test_*.py"))
            assert files, place
            ran += [file for file in files if not any(map(file.is_relative_to, ignored))]
    assert sorted(ran) == sorted(tests.rglob("test_*.py"))


def test_no_deployment_waits_for_an_image_that_is_built_on_request() -> None:
    asked = images_on_request()
    assert asked == ["build-agent", "registry"]
    assert [name for name, recipe in load_recipes().items() if recipe.image.on_request] in (asked, asked[::-1])
    # The page is made from the tasks, and another test fails when it isn't current.
    page = (CHECKOUT / "docs" / "reference" / "tasks.md").read_text(encoding="utf-8")
    after = dict(re.findall(r"^\| `doit (\S+)` \|(.*)$", page, re.MULTILINE))
    waits = {name: [image for image in asked if f"`build:{image}`" in after[name]] for name in ("build", "test")}
    assert waits == {"build": [], "test": asked}
