"""The task graph, how failures of tasks are shown, and how tests are counted."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from doit.exceptions import TaskFailed

from images.pipeline.recipe import load_recipes
from images.places import CHECKOUT
from tests import suite
from tests.suite import Count

DODO = '''
from images.doit_records import RECORDS_FILE, NoRecords
from images.doit_reporter import SentenceReporter, lazy_action
DOIT_CONFIG = {"reporter": SentenceReporter, "verbosity": 2, "codec_cls": NoRecords, "dep_file": RECORDS_FILE}
DOIT_CONFIG["backend"] = "json"
def task_known():
    """fails with an error of ours"""
    return {"actions": [lazy_action("images.toolchain:require")], "task_dep": []}
def task_missing():
    """asks for a tool that isn't there"""
    return {"actions": [(lazy_action("images.toolchain:require"), ["consul"])]}
def task_broken():
    """fails with an error of Python"""
    return {"actions": [(lazy_action("images.toolchain:require"), ["unknown"])]}
def task_after():
    """needs a task that fails"""
    return {"actions": [lazy_action("images.toolchain:locate")], "task_dep": ["missing"]}
'''


def doit(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (folder / "dodo.py").write_text(DODO)
    env = {
        "PATH": "/nonexistent",
        "PYTHONPATH": str(CHECKOUT),
        "CALVINVERSE_CACHE": str(folder / "cache"),
        "CALVINVERSE_STATE": str(folder / "state"),
    }
    command = [sys.executable, "-m", "doit", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_every_task_is_listed_with_one_line_of_help() -> None:
    command = [sys.executable, "-m", "doit", "list"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=True).stdout
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in listed.splitlines())
    expected = {
        "tools",
        "docker",
        "postgres",
        "browser",
        "assets",
        "forge",
        "providers",
        "build",
        "deploy",
        "undeploy",
        "status",
        "test",
        "lint",
        "docs",
        "lock",
        "release",
        "bench",
        "coverage",
        "tidy",
    }
    expected |= {
        "validate:recipes",
        "bench:images",
        "bench:scale",
        "bench:sizes",
        "bench:ui",
        "dispatch",
        *(f"test:{kind}" for kind in (*suite.KINDS, "quick", "crash", "fresh", "interrupts", "kill-matrix", "upgrade")),
    }
    expected |= {"bench:engine", "bench:clock", "test:decisions"}
    images = {f"{what}:{image}" for what in ("build", "validate", "promote") for image in load_recipes()}
    assert expected | images == set(rows)
    assert all(len(doc.split()) > 2 for doc in rows.values())


@pytest.mark.parametrize("left", ["", "[]", None], ids=["empty", "broken", "folder"])
def test_a_task_runs_whatever_is_left_of_its_records_and_keeps_none(tmp_path: Path, left: str | None) -> None:
    records = tmp_path / "doit.db"
    records.mkdir() if left is None else records.write_text(left)
    command = [sys.executable, "-m", "doit", "undeploy"]
    env = {**os.environ, "CALVINVERSE_STATE": str(tmp_path)}
    ended = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "Nothing is deployed from here.\n")
    assert list(tmp_path.iterdir()) == [records]
    assert records.is_dir() or records.read_text() == left


def test_deploy_looks_at_the_ports_before_it_builds_anything(tmp_path: Path) -> None:
    """Without a program on the PATH, the tools couldn't be built."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "doit", "deploy", "--first-port", str(port)]
        places = {"CALVINVERSE_STATE": str(tmp_path / "state"), "CALVINVERSE_CACHE": str(tmp_path / "cache")}
        env = {**os.environ, **places, "PATH": "/nonexistent"}
        ended = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert re.match(r"Port \d+ of 127\.0\.0\.1, for .* is taken", ended.stdout)
    assert "choose another block with `doit deploy --first-port PORT`" in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert list((tmp_path / "state").iterdir()) == []


def test_arguments_for_pytest_may_follow(tmp_path: Path) -> None:
    # Collecting all unit tests would take longer than all else here.
    few = ["--collect-only", "-q", "-k", "test_ids.py", "--ignore-glob=tests/unit/[a-ce-z]*"]
    command = [sys.executable, "-m", "doit", "test:unit", "--", *few]
    env = {**os.environ, "CALVINVERSE_STATE": str(tmp_path)}
    ended = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=120, check=True)
    assert [line.rpartition("::")[2] for line in ended.stdout.splitlines() if "::" in line] == [
        "test_every_id_of_an_environment_has_the_shape_that_is_no_name"
    ]


def test_an_error_is_shown_as_sentence_and_hint_and_nothing_follows(tmp_path: Path) -> None:
    ended = doit(tmp_path, "after")
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0] == ".  missing"
    assert lines[1].startswith("The tool consul is missing")
    assert lines[2].startswith("consul: put 1.21 or later")
    assert len(lines) == 3
    assert ended.stderr == ""


def test_a_mistake_of_ours_is_kept_whole_in_a_file_that_is_named(tmp_path: Path) -> None:
    ended = doit(tmp_path, "broken")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    kept = tmp_path / "state" / "traceback.txt"
    assert str(kept) in ended.stdout
    assert "KeyError: 'unknown'" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_task_that_goes_well_says_its_name_only(tmp_path: Path) -> None:
    ended = doit(tmp_path, "known")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, ".  known\n", "")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("def test_a(): pass\ndef test_b(): assert False", Count(1, 1)),
        ("def test_a(): pass", Count(1, 0)),
        ("import nothing_of_this_name", Count(0, 1)),
        ("import os\ndef test_a(): os._exit(7)", Count(0, 1)),
        ("import warnings\ndef test_a(): warnings.warn('x')", Count(0, 1)),
        ("", Count(0, 1)),
    ],
)
def test_what_pytest_did_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, count: Count) -> None:
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "tests" / "unit" / "test_some.py").write_text(text)
    (tmp_path / "pyproject.toml").write_bytes((CHECKOUT / "pyproject.toml").read_bytes())
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer to load than these tests to run
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_timeout")  # the one whose options pyproject.toml sets
    monkeypatch.setattr(suite, "CHECKOUT", tmp_path)
    ended = suite.pytest(("unit",))
    assert ended == count
    assert len(ended.failures) == ended.failed


def test_what_failed_is_told_with_the_first_line_of_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "tests" / "unit.xml"
    report.parent.mkdir()
    report.write_text(
        '<testsuite tests="2" failures="1" errors="1" skipped="0">'
        '<testcase classname="tests.unit.test_a" name="test_b"><failure message="no&#10;more">long</failure></testcase>'
        '<testcase classname="tests.unit.test_a" name="test_c"><error message="gone"/></testcase></testsuite>'
    )
    suite.end(suite.read_report(report))
    assert capsys.readouterr().out.splitlines() == [
        "Failed: tests.unit.test_a.test_b: no",
        "Failed: tests.unit.test_a.test_c: gone",
    ]


def test_the_last_line_counts_and_a_failure_is_the_line_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path))
    monkeypatch.setattr(suite, "check", lambda tell: Count(4, 0))
    monkeypatch.setattr(suite, "LANES", {"one": ("unit", "e2e"), "two": ("cases",)})
    asked: list[str] = []
    ended = Count(5, 0, 1)

    def run(places: tuple[str, ...], ignored: list[str], tell: object, report: str) -> Count:
        asked.extend(places)
        return ended

    monkeypatch.setattr(suite, "pytest", run)
    assert suite.everything() is True
    assert capsys.readouterr().out.splitlines()[-2:] == ["2 skipped", "14 passed, 0 failed"]
    assert sorted(asked) == ["cases", "e2e", "unit"]
    ended = Count(5, 1)
    failed = suite.everything()
    assert isinstance(failed, TaskFailed)
    assert failed.message == "14 passed, 2 failed"
    assert (tmp_path / "tests" / "summary").read_text() == "14 passed, 2 failed\n"
