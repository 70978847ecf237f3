"""Validates an image with pytest-testinfra, in a container of this image.

Every image passes `tests/images/test_hygiene.py`, and `tests/images/test_<image>.py` where there is one.
"""

import hashlib
import os
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from environments.domain.counting import counted
from images.catalogue.packages import Package, list_packages
from images.catalogue.records import VALIDATION_LOG, Validation
from images.commands import run
from images.docker import Docker
from images.errors import CommandFailed, ImageValidationFailed, InvalidRecipe
from images.names import FILE
from images.pipeline.files import digest
from images.pipeline.packer import LAST, where
from images.pipeline.progress import Progress
from images.pipeline.recipe import Recipe
from images.places import whoami

SHARED = ("conftest.py", "test_hygiene.py")
REPORT = "validation.xml"

BEFORE = ("collection failure", "failed on setup", "failed on teardown")
"""What pytest's report says of what went wrong outside of a test; the reason is below."""

LINES = 1000
"""Lines of pytest's output among which those are looked for that say what is wrong."""


@dataclass(frozen=True)
class Outcome:
    """The result of a validation that passed: its details, and the packages in the image."""

    validation: Validation
    packages: tuple[Package, ...]


def files_of_tests(recipe: Recipe, checkout: Path) -> list[Path]:
    """The files of the tests for this image."""
    folder = checkout / "tests" / "images"
    own = folder / f"test_{recipe.name}.py"
    return [*(folder / name for name in SHARED), *([own] if own.is_file() else [])]


def digests_of_tests(recipe: Recipe, checkout: Path) -> dict[str, str]:
    """SHA-256 of the files of these tests, by path in the checkout. Raises InvalidRecipe without shared tests."""
    try:
        return {file.relative_to(checkout).as_posix(): digest(file) for file in files_of_tests(recipe, checkout)}
    except FileNotFoundError as error:
        raise InvalidRecipe(f"{error.filename} is missing: without it no image can be validated.") from error
    except OSError as error:
        raise InvalidRecipe(f"{error.filename} can't be read: {error.strerror}.") from error


def digest_of_tests(recipe: Recipe, checkout: Path) -> str:
    """A digest of the tests and of the container's start: if it changes, an image must be validated again."""
    parts = [recipe.validate_.model_dump_json(exclude_none=True), *digests_of_tests(recipe, checkout).values()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def validate(
    recipe: Recipe, image_id: str, build: str, folder: Path, docker: Docker, progress: Progress, checkout: Path
) -> Outcome:
    """Runs the tests in a container of the image `image_id`, lists its packages, and removes the container.

    `folder` gets the log and the report. Raises ImageValidationFailed, which names the first failure, if a test fails
    or none ran, or if the container can't be started.
    """
    started = time.monotonic()
    log = folder / VALIDATION_LOG
    wanted = recipe.validate_
    lines: deque[str] = deque(maxlen=LINES)
    try:
        container = _start(recipe, image_id, build, docker)
        command = [
            *(sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "testinfra.plugin"),
            # The settings of this checkout's own tests may be of plugins that aren't loaded here.
            *("-c", os.devnull, "--import-mode=importlib", "--strict-markers", "-W", "error"),
            *(
                f"--hosts=docker://{container}",
                f"--rootdir={checkout}",
                f"--confcutdir={checkout / 'tests' / 'images'}",
                f"--junitxml={folder / REPORT}",
            ),
            *(str(file) for file in files_of_tests(recipe, checkout) if file.name != "conftest.py"),
        ]
        environment = {
            **os.environ,
            "CALVINVERSE_IMAGE": recipe.name,
            "CALVINVERSE_IMAGE_ID": image_id,
            # Loading other plugins takes longer than running these tests.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

        def on_line(line: str) -> None:
            lines.append(line)
            progress.step(line)

        ended = run(command, limit=wanted.time_limit, env=environment, cwd=checkout, log=log, on_line=on_line)
        said = docker.logs(container)
        state = docker.container(container)["State"]
        packages = list_packages(docker, container) if state["Running"] else ()
        with log.open("a", encoding="utf-8") as kept:
            kept.write(f"\n--- output of the container ---\n{said}")
    finally:
        docker.remove_containers(build)
    if ended.timed_out:
        raise ImageValidationFailed(
            f"The tests of {recipe.name} took longer than {wanted.time_limit:.0f} s and were stopped.",
            hint=where(log, decisive(lines)),
        )
    names, failures = _outcome(folder / REPORT)
    if not state["Running"]:
        written = said.strip().splitlines() or ["it wrote nothing"]
        raise ImageValidationFailed(
            f"The container of {recipe.name} ended early with status {state['ExitCode']}: {written[-1]}",
            hint=where(log, written[-LAST:-1]),
        )
    if failures or ended.status != 0 or not names:
        wrong = decisive(lines)
        ending = f"pytest ended with status {ended.status} and {counted(len(names), 'test')}: {''.join(wrong[-1:])}"
        what = failures[0] if failures else ending.removesuffix(": ")
        raise ImageValidationFailed(f"The image {recipe.name} failed its tests: {what}.", hint=where(log, wrong))
    found = Validation(
        tests=digest_of_tests(recipe, checkout),
        files=digests_of_tests(recipe, checkout),
        passed=len(names),
        failed=0,
        names=tuple(names),
        at=datetime.now(UTC),
        by=whoami(),
        seconds=round(time.monotonic() - started, 3),
    )
    return Outcome(found, packages)


def _start(recipe: Recipe, image_id: str, build: str, docker: Docker) -> str:
    wanted = recipe.validate_
    try:
        return docker.start(image_id, wanted.command, wanted.environment, build, entrypoint=wanted.entrypoint)
    except CommandFailed as error:
        raise ImageValidationFailed(
            f"The container of {recipe.name} can't be started. {error.message}",
            hint=f"[validate] in images/{recipe.name}/{FILE} says what it runs instead of what the image runs.",
        ) from error


def decisive(lines: Sequence[str]) -> list[str]:
    """The lines of pytest's output that say what is wrong: those that it marks with E, else its last ones."""
    marked = [line[1:].rstrip() for line in lines if re.match(r"E\s", line)]
    shown = marked or [line for line in lines if line.strip()]
    return dedent("\n".join(shown[-LAST:])).splitlines()


def _outcome(report: Path) -> tuple[list[str], list[str]]:
    """The names of the tests that passed, and of each that didn't with the first line of the reason.

    A skipped test counts as not passed, because it proves nothing.
    """
    passed: list[str] = []
    failed: list[str] = []
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - our own pytest wrote it
    except (FileNotFoundError, ElementTree.ParseError):
        return passed, failed
    for case in cases:
        test = re.sub(r"\[docker://[0-9a-f]+-?(.*)\]$", r"[\1]", case.get("name", "")).removesuffix("[]")
        name = f"{case.get('classname', '').rpartition('.')[2]}::{test}"
        wrong = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        if wrong is None:
            passed.append(name)
        else:
            message = wrong.get("message") or wrong.tag
            inside = decisive((wrong.text or "").splitlines()) if message.startswith(BEFORE) else []
            failed.append(f"{name.removeprefix('::')}: {(inside or message.splitlines())[-1 if inside else 0].strip()}")
    return passed, failed
