"""Running the tests from the task graph: static checks, then pytest by kind, ended by one line `N passed, N failed`."""

import os
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from doit.exceptions import TaskFailed

from images.commands import run
from images.places import CHECKOUT, state_folder

KINDS = ("unit", "component", "contract", "integration", "images", "snapshots", "cases", "attack", "fuzz", "e2e")
"""The folders of tests, the quick ones first."""

LANES: dict[str, tuple[str, ...]] = {
    "renewals": (
        "integration/test_certificates.py",
        "integration/test_degraded.py",
        "integration/test_meta_edge.py",
        "integration/test_meta_edge_sources.py",
        "integration/test_neighbours.py",
        "integration/test_port_thieves.py",
    ),
    "e2e": ("e2e",),
    "parts": ("integration",),
    "engine": ("component/engine",),
    "programs": (
        "integration/test_agents.py",
        "integration/test_docs_site.py",
        "integration/test_edge_acme.py",
        "integration/test_first_look.py",
        "integration/test_gitea_forge.py",
        "integration/test_images_build.py",
        "integration/test_images_catalogue.py",
        "integration/test_images_recipes.py",
        "integration/test_isolation.py",
        "integration/test_module_states.py",
        "integration/test_opentofu.py",
        "integration/test_opentofu_killed.py",
        "integration/test_opentofu_service.py",
        "integration/test_release.py",
        "integration/test_second_machine.py",
        "integration/test_toolchain.py",
        "integration/test_toolchain_bootstrap.py",
        "integration/test_warnings_delivered.py",
        "integration/test_workers.py",
    ),
    "contract": ("contract", "fuzz"),
    "rules": ("unit", "component"),
    "deploys": (
        "e2e/test_deploy_with_nomad.py",
        "e2e/test_edge.py",
        "e2e/test_hand_over.py",
        "e2e/test_interrupts.py",
        "e2e/test_meta_postgres.py",
    ),
    "screens": ("component/tui", "component/ui", "component/web", "snapshots"),
    "attack": ("attack",),
    "cases": ("cases", "images", "e2e/test_starters.py"),
}
"""Folders and files that run in one process and share its cluster and its PostgreSQL.

Lanes start in this order: a long one that starts late would run alone at the end. A lane with a folder leaves out what
other lanes have of it. `renewals` are the integration tests that wait most of their time, for certificates that end or
for what Nomad does every few minutes; `programs` are those that don't use the shared cluster, `deploys` the tests that
deploy Calvinverse several times. `engine` and `screens` are the component tests that take longest: with `rules` in one
process they would take longer than all others beside them.
"""

AT_ONCE = 4
"""How many lanes run side by side, one of which waits at first: more of them would only make each other wait on a
machine with two cores."""

QUICK = ("unit", "component")
"""Kinds without real parts, beside `snapshots`. Their files are spread over all cores."""

SLOWEST = 20
"""How many of the slowest tests are listed."""

MESSAGE = 300
"""How many characters of a failure's message stand in the list at the end."""

LIMIT = 75 * 60.0
"""Seconds that all tests together may take."""

CHECK_LIMIT = 600.0
"""Seconds that one static check may take."""

CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports", "--no-logo"),
    # What ships declares what it imports, and imports what it declares.
    ("deptry", "environments", "tui"),
    # A checkout may import what the groups declare as well.
    ("deptry", ".", "--non-dev-dependency-groups", "images,test,lint,docs,release", "--ignore", "DEP002"),
)
"""The static checks, each a command from the virtual environment. `.pre-commit-config.yaml` has the same ones."""


@dataclass(frozen=True)
class Count:
    """How many tests passed, failed (errors are failures) and were skipped, and which failed, a line for each."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = field(default=(), compare=False)

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.failures + other.failures,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


def lint() -> object:
    """Run every static check, and fail if one does."""
    count = check()
    return True if not count.failed else TaskFailed(f"Static checks: {count}")


def everything() -> object:
    """Run the static checks and all kinds of tests; the last line, also kept for `.ci/run`, counts them.

    Each line of output says which lane it comes from.
    """
    summary = state_folder() / "tests" / "summary"
    summary.parent.mkdir(parents=True, exist_ok=True)
    summary.unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as beside:
        checks = beside.submit(check, partial(_say_from, "checks"))
        count = run_lanes() + checks.result()
    summary.write_text(f"{count}\n")
    return end(count)


def run_lanes() -> Count:
    """Run all kinds of tests, `AT_ONCE` lanes side by side, and say which tests took longest."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        count = sum(pool.map(_run_lane, LANES), Count())
    _tell_durations(LANES)
    return count


def quick() -> object:
    """Run what needs no real part but PostgreSQL: static checks and snapshots beside the tests of `QUICK`."""
    spread = ("-q", "-n", "auto", "--dist", "loadfile")
    with ThreadPoolExecutor(2) as pool:
        tests = pool.submit(pytest, QUICK, spread, tell=partial(_say_from, "tests"))
        count = check()
        count += pytest(("snapshots",), tell=partial(_say_from, "snapshots"))
        count += tests.result()
    _tell_durations(["-".join(QUICK), "snapshots"])
    return end(count)


def kind(name: str, pytest_arguments: Sequence[str] = ()) -> object:
    """Run the tests of one folder by themselves, in full where all tests together run a sample of them.

    Those that fuzz take CALVINVERSE_FUZZ_SECONDS, or ten minutes.
    """
    if name == "fuzz":
        os.environ.setdefault("CALVINVERSE_FUZZ_SECONDS", "600")
    if name == "cases":
        os.environ.setdefault("CALVINVERSE_EVERY_CASE", "1")
    return end(pytest((name,), pytest_arguments))


def crash() -> object:
    """Run the tests named after crashes with many kills, not a sample; CALVINVERSE_CRASHES says how many."""
    os.environ.setdefault("CALVINVERSE_CRASHES", "100")
    return end(pytest(("e2e",), ["-s", "-k", "crash"]))


def interrupts() -> object:
    """Interrupt deploy, undeploy and builds many times, not a sample; CALVINVERSE_INTERRUPTS says how often."""
    os.environ.setdefault("CALVINVERSE_INTERRUPTS", "20")
    return end(pytest(("e2e/test_interrupts.py",), ["-s"]))


def kill_matrix() -> object:
    """Run every cell of the kill matrix, not a sample; its table goes into the docs."""
    os.environ.setdefault("CALVINVERSE_KILL_CELLS", "0")
    return end(pytest(("e2e",), ["-s", "-k", "kill_matrix"]))


def decisions() -> object:
    """Simulate a million decisions to destroy, not a sample; CALVINVERSE_DECISIONS says how many."""
    os.environ.setdefault("CALVINVERSE_DECISIONS", "1000000")
    return end(pytest(("component",), ["-s", "-k", "test_decisions"]))


def check(tell: Callable[[str], object] | None = None) -> Count:
    """Run the static checks one after the other, each counted as one test; `tell` gets a line for each."""
    count = Count()
    tell = tell or say
    for command in CHECKS:
        began = time.monotonic()
        program = Path(sys.executable).parent / command[0]
        lines: list[str] = []
        ended = run([str(program), *command[1:]], limit=CHECK_LIMIT, cwd=CHECKOUT, on_line=lines.append)
        good = ended.status == 0 and not ended.timed_out
        if not good:
            for line in lines:
                tell(line)
        outcome = f"{' '.join(command)}: {'passed' if good else ended.reason()}"
        tell(f"{outcome} ({time.monotonic() - began:.1f} s)")
        count += Count(passed=1) if good else Count(failed=1, failures=(outcome,))
    return count


def pytest(
    places: Sequence[str],
    arguments: Sequence[str] = (),
    tell: Callable[[str], object] | None = None,
    *,
    report: str = "",
) -> Count:
    """Run pytest over folders and files of tests in one process, give each line of its output to `tell`, and count.

    `report` names the JUnit file; without it, it is named after the places. A run that ends otherwise than by its tests
    (a crash, the time limit, nothing collected) counts as one failure.
    """
    file = _report(report or "-".join(places))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    tell = tell or say
    found = [f"tests/{place}" for place in places if _has_tests(CHECKOUT / "tests" / place)]
    if not found:
        missing = f"There are no tests in tests/{', tests/'.join(places)}."
        say(missing)
        return Count(failed=1, failures=(missing,))
    command = [sys.executable, "-m", "pytest", "--color", "yes" if sys.stdout.isatty() else "no"]
    command += ["--junit-xml", str(file), "-o", "junit_family=xunit2", *arguments, *found]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    ended = run(command, limit=LIMIT, cwd=CHECKOUT, on_line=tell, env=env)
    count = read_report(file)
    reason = f"pytest ended with status {ended.status}."
    if ended.timed_out:
        reason = f"The tests took longer than {LIMIT / 60:.0f} minutes and were stopped."
    if ended.timed_out or (ended.status != 0 and not count.failed):
        tell(reason)
        count += Count(failed=1, failures=(f"{file.stem}: {reason}",))
    return count


def left_out(lane: str) -> list[str]:
    """What other lanes run of the folders of this one."""
    return [
        place
        for other, places in LANES.items()
        if other != lane
        for place in places
        if any(place.startswith(f"{folder}/") for folder in LANES[lane])
    ]


def read_report(report: Path) -> Count:
    """Count the test cases of a JUnit file; all zero if there is none."""
    if not report.is_file():
        return Count()
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - we have just had pytest write it
    count = Count()
    for suite in suites:
        total, failures, errors, skipped = (
            int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
        )
        bad = failures + errors
        count += Count(total - bad - skipped, bad, skipped, tuple(_failures(suite)))
    return count


def _failures(suite: ET.Element) -> Iterator[str]:
    """A line for each test that failed: its name, and the first line of what it said."""
    for case in suite.iter("testcase"):
        for child in case:
            if child.tag in ("failure", "error"):
                first = (child.get("message") or child.text or "").strip().split("\n")[0][:MESSAGE]
                yield f"{case.get('classname')}.{case.get('name')}: {first}"


def say(text: str) -> None:
    """Print at once, so that what runs is seen as it runs."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _run_lane(name: str) -> Count:
    tell = partial(_say_from, name)
    began = time.monotonic()
    ignored = [f"--ignore=tests/{place}" for place in left_out(name)]
    count = pytest(LANES[name], ignored, tell, report=name)
    tell(f"{count} in {(time.monotonic() - began) / 60:.1f} minutes")
    return count


def _say_from(source: str, text: str) -> None:
    say(f"{source:9} | {text}")


def _has_tests(place: Path) -> bool:
    return place.is_file() or any(place.glob("**/test_*.py"))


def _report(name: str) -> Path:
    """The JUnit file of a run of pytest."""
    return state_folder() / "tests" / f"{name}.xml"


def _tell_durations(reports: Iterable[str]) -> None:
    """Say how many tests of each kind ran and how long they took together, and which were the slowest."""
    tests = [
        (float(case.get("time", "0")), f"{case.get('classname')}.{case.get('name')}")
        for path in map(_report, reports)
        if path.is_file()
        for case in ET.parse(path).getroot().iter("testcase")  # noqa: S314 - we have just had pytest write it
    ]
    for kind in KINDS:
        took = [seconds for seconds, name in tests if name.startswith(f"tests.{kind}.")]
        if took:
            say(f"{kind}: {len(took)} tests in {sum(took):.0f} s")
    if tests:
        say(f"The slowest {SLOWEST}:")
    for seconds, name in sorted(tests, reverse=True)[:SLOWEST]:
        say(f"{seconds:6.1f} s  {name}")


def end(count: Count) -> object:
    """Say what was skipped and what failed; the result is that of a task, its last line the count."""
    if count.skipped:
        say(f"{count.skipped} skipped")
    for line in count.failures:
        say(f"Failed: {line}")
    if count.failed:
        return TaskFailed(str(count))
    say(str(count))
    return True
