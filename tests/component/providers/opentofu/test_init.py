"""`init` of several runs share one cache of providers, and may disturb each other."""

from pathlib import Path

import pytest

from environments.domain.errors import MachineError, StepFailed
from environments.domain.plan import Change
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.ports import Module, Place, StateAccess
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.runner import OpenTofu
from environments.steps.base import Owner
from tests.support.step_harness import Run

MODULE = Module({"main.tf": b"output x { value = 1 }\n"}, {}, encrypted=False)

DIAGNOSTIC = """echo '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"%s","detail":"%s"}}'; exit 1"""
PANIC = r"""printf 'panic: nil pointer\n\ngoroutine 38 [running]:\n' >&2; exit 2"""
MISSING = DIAGNOSTIC % ("Failed to install provider", "after installing it is still not detected")
WRONG = DIAGNOSTIC % ("Wrong", "wrong")

FAKE = """#!/bin/sh
[ "$1" = version ] && { echo "OpenTofu v1.12.6"; exit 0; }
if [ "$1" = init ]; then
    echo >> FOLDER/inits
    [ $(wc -l < FOLDER/inits) -le TIMES ] && { FAILURE; }
fi
case "$1" in show|output) echo '{}';; esac
exit 0
"""


def plan(folder: Path, failure: str, times: int) -> list[Change]:
    """Plans with a tofu whose `init` fails so often first."""
    program = folder / "tofu"
    text = FAKE.replace("FAILURE", failure).replace("FOLDER", str(folder)).replace("TIMES", str(times))
    program.write_text(text)
    program.chmod(0o755)
    installation = Installation(str(program), None, folder / "providers")
    runs = OpenTofu(installation, WorkFolders(folder / "work"), Prepared(folder / "prepared"), at_once=1)
    place = Place(Owner("env-1", "one"), "net", StateAccess("http://127.0.0.1:1", "someone", "word"), "")
    return list(runs.plan(place, MODULE, Run(limit=120)))


def inits(folder: Path) -> int:
    return len((folder / "inits").read_text().splitlines())


@pytest.mark.parametrize("failure", [PANIC, MISSING], ids=["panic", "missing"])
def test_one_that_was_disturbed_is_made_again(tmp_path: Path, failure: str) -> None:
    assert plan(tmp_path, failure, times=2) == []
    assert inits(tmp_path) == 3


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [(PANIC, StepFailed, "goroutine 38"), (MISSING, MachineError, "still not detected")],
    ids=["panic", "missing"],
)
def test_one_that_fails_again_and_again_is_told(
    tmp_path: Path, failure: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan(tmp_path, failure, times=100)
    assert inits(tmp_path) == 3


def test_one_that_fails_otherwise_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="wrong"):
        plan(tmp_path, WRONG, times=100)
    assert inits(tmp_path) == 1
