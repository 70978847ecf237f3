"""What tests of the checks of a machine share."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from images.machine import Check


def by_name(checks: Iterable[Check]) -> dict[str, Check]:
    """The checks by their names."""
    return {check.name: check for check in checks}


def empty_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder, with nothing on the PATH but what a test puts into `bin` beside it, and no process in `proc`."""
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("CALVINVERSE_STATE", str(folder / "state"))
    for name in ("bin", "proc"):
        (folder / name).mkdir()
    return folder / "state"
