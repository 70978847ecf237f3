"""The command line without the packages whose commands it finds at run time."""

import subprocess
import sys
from pathlib import Path

import pytest

from environments.cli.extensions import IMAGES, TUI

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"images", "jobs", "tui"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from environments.cli.program import run
sys.exit(run(sys.argv[1:]))
"""


def calvinverse(*arguments: str, code: str, state: Path) -> subprocess.CompletedProcess[str]:
    environ = {"CALVINVERSE_STATE": str(state), "COLUMNS": "100"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


WITH = "import sys; from environments.cli.program import run; sys.exit(run(sys.argv[1:]))"


@pytest.mark.parametrize("group", [(), ("image",)], ids=["all", "image"])
def test_the_help_lists_the_same_commands(group: tuple[str, ...], tmp_path: Path) -> None:
    here, there = (calvinverse(*group, "--help", code=code, state=tmp_path) for code in (WITH, WITHOUT))
    assert here.returncode == there.returncode == 0
    assert here.stdout == there.stdout


@pytest.mark.parametrize(
    ("line", "missing"),
    [("image list", IMAGES.missing), ("image show web ~1 --nothing", IMAGES.missing), ("tui", TUI.missing)],
)
def test_a_command_without_its_package_says_what_it_needs(line: str, missing: str, tmp_path: Path) -> None:
    done = calvinverse(*line.split(), code=WITHOUT, state=tmp_path)
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr.startswith(f"error: {missing}  [")


def test_what_needs_no_other_package_works(tmp_path: Path) -> None:
    published = calvinverse("image", "published", "--address", "http://127.0.0.1:9", code=WITHOUT, state=tmp_path)
    assert published.returncode in (5, 7), published.stderr
    doctor = calvinverse("doctor", "--address", "http://127.0.0.1:9", code=WITHOUT, state=tmp_path)
    assert "The machine itself is not checked: that needs a checkout." in doctor.stderr
    assert doctor.stdout.startswith("VERDICT")
