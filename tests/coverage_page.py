"""Measuring which branches the tests run, over all processes, and writing the page of the docs that tells it."""

import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coverage import Coverage
from doit.exceptions import TaskFailed

from images.commands import run
from images.places import CHECKOUT, state_folder
from tests import measured, suite

PAGE = CHECKOUT / "docs" / "reference" / "coverage.md"
BEGIN, END = "<!-- made by `doit coverage`: begin -->", "<!-- made by `doit coverage`: end -->"

LARGEST = 10
"""Untested places that the page lists."""


@dataclass(frozen=True)
class Package:
    """How many statements and branches a package has, and how many of them tests run."""

    name: str
    statements: int
    statements_run: int
    branches: int
    branches_run: int


@dataclass(frozen=True, order=True)
class Place:
    """A function or method with statements that no test runs."""

    missing: int
    module: str
    name: str
    statements: int


def main(kinds: str = "") -> object:
    """Measure what the tests run, and write the page. `kinds`: folders and files of tests, separated by commas.

    Without `kinds`, all tests run as `doit test` runs them.
    """
    folder = state_folder() / "coverage"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    chosen = tuple(kinds.split(",")) if kinds else ()
    with measuring(folder):
        count = suite.pytest(chosen, ["-q"], report="coverage") if chosen else suite.run_lanes()
    env = {**os.environ, "COVERAGE_FILE": str(folder / "data")}
    for words in (["combine", "--quiet"], ["json", "--quiet", "-o", str(folder / "report.json")]):
        command = [sys.executable, "-m", "coverage", *words]
        run(command, limit=1800.0, cwd=CHECKOUT, env=env).check(f"coverage {words[0]} failed")
    report = json.loads((folder / "report.json").read_text())
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    PAGE.write_text(
        f"{head}{BEGIN}\n{page(report, chosen or suite.KINDS, datetime.now(UTC))}\n{END}{rest.split(END)[1]}"
    )
    suite.say(f"Written: {PAGE.relative_to(CHECKOUT)}")
    return TaskFailed(f"Tests under coverage: {count}") if count.failed else True


@contextmanager
def measuring(folder: Path) -> Iterator[None]:
    """Meanwhile each new process of the virtual environment is measured, into files of its own in the folder.

    The `.pth` file asks whether this process still runs, so one that a killed run leaves behind does nothing.
    """
    settings = folder / "settings"
    made = Coverage(data_file=str(folder / "data"), config_file=str(CHECKOUT / "pyproject.toml"))
    settings.write_text(made.config.serialize())
    start = f"__import__({measured.__name__!r}, fromlist=['start']).start({str(settings)!r})"
    hook = Path(sysconfig.get_path("purelib")) / "calvinverse_coverage.pth"
    hook.write_text(f"import os; os.path.exists('/proc/{os.getpid()}') and {start}\n")
    try:
        yield
    finally:
        hook.unlink()


def page(report: Mapping[str, Any], kinds: Sequence[str], moment: datetime) -> str:
    """The generated part of the page, from the JSON report of coverage.py."""
    found = packages(report["files"])
    lines = [
        f"{moment:%Y-%m-%d %H:%M} UTC; tests of {', '.join(kinds)}.",
        "",
        "| package | statements | run | branches | run |",
        "| --- | --: | --: | --: | --: |",
    ]
    for item in [*found, _total(found)]:
        run_statements, run_branches = (
            _share(item.statements_run, item.statements),
            _share(item.branches_run, item.branches),
        )
        lines.append(f"| {item.name} | {item.statements} | {run_statements} | {item.branches} | {run_branches} |")
    lines += ["", f"The {LARGEST} functions with the most statements that no test runs:", ""]
    lines += ["| module | function | statements | not run |", "| --- | --- | --: | --: |"]
    for place in sorted(places(report["files"]), key=lambda place: (-place.missing, place.module, place.name))[
        :LARGEST
    ]:
        lines.append(f"| `{place.module}` | `{place.name}` | {place.statements} | {place.missing} |")
    return "\n".join(lines)


def packages(files: Mapping[str, Any]) -> list[Package]:
    """One line a package: `environments` by its folders, the others as a whole."""
    sums: dict[str, list[int]] = {}
    for file, found in files.items():
        parts = Path(file).parts
        depth = 3 if parts[:2] == ("environments", "providers") else 2 if parts[0] == "environments" else 1
        name = "/".join(parts[: min(depth, len(parts) - 1)])
        summary = found["summary"]
        counts = sums.setdefault(name, [0, 0, 0, 0])
        keys = ("num_statements", "covered_lines", "num_branches", "covered_branches")
        for index, key in enumerate(keys):
            counts[index] += summary[key]
    return [Package(name, *counts) for name, counts in sorted(sums.items()) if counts[0]]


def places(files: Mapping[str, Any]) -> Iterator[Place]:
    """Functions with statements that weren't run, each with its module."""
    for file, found in files.items():
        module = ".".join(Path(file).with_suffix("").parts)
        for name, function in (found.get("functions") or {}).items():
            missing = function["summary"]["missing_lines"]
            if name and missing:
                yield Place(missing, module, name, function["summary"]["num_statements"])


def _total(found: Sequence[Package]) -> Package:
    return Package(
        "all",
        sum(item.statements for item in found),
        sum(item.statements_run for item in found),
        sum(item.branches for item in found),
        sum(item.branches_run for item in found),
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""
