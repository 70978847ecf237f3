"""A tofu that is killed from outside is retried, whatever it was doing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from environments.domain.errors import BackendUnavailable
from environments.providers.opentofu.folders import WorkFolders
from environments.providers.opentofu.installation import Installation
from environments.providers.opentofu.ports import Module, Place, StateAccess
from environments.providers.opentofu.prepared import Prepared
from environments.providers.opentofu.runner import OpenTofu
from environments.steps.base import Owner
from tests.support.step_harness import Run

MODULE = Module({"main.tf": b"output x { value = 1 }\n"}, {}, encrypted=False)
PLACE = Place(Owner("env-1", "one"), "net", StateAccess("http://127.0.0.1:1", "someone", "word"), "")

FAKE = """#!/bin/sh
[ "$1" = version ] && { echo "OpenTofu v1.12.6"; exit 0; }
[ "$1" = VICTIM ] && kill -9 $$
case "$1" in show|output) echo '{}';; esac
exit 0
"""


@pytest.mark.parametrize(
    ("command", "ask"),
    [
        ("init", lambda runs: runs.addresses(PLACE, encrypted=False)),
        ("state", lambda runs: runs.addresses(PLACE, encrypted=False)),
        ("plan", lambda runs: runs.plan(PLACE, MODULE, Run(limit=120))),
        ("show", lambda runs: runs.plan(PLACE, MODULE, Run(limit=120))),
    ],
)
def test_a_killed_tofu_is_retried(tmp_path: Path, command: str, ask: Callable[[OpenTofu], object]) -> None:
    program = tmp_path / "tofu"
    program.write_text(FAKE.replace("VICTIM", command))
    program.chmod(0o755)
    installation = Installation(str(program), None, tmp_path / "providers")
    runs = OpenTofu(installation, WorkFolders(tmp_path / "work"), Prepared(tmp_path / "prepared"), at_once=1)
    with pytest.raises(BackendUnavailable, match=f"killed from outside during its {command}") as caught:
        ask(runs)
    assert caught.value.transient
