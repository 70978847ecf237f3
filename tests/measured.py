"""Measures the coverage of this process: every Python of the virtual environment does while `doit coverage` runs.

A line in a `.pth` file calls `start` (`tests/coverage_page.py` writes it). Variables would not do: many processes get
an environment of their own, with nothing of ours.
"""

import os
import sys
from pathlib import Path

_SETTINGS = "COVERAGE_PROCESS_CONFIG"


def start(settings: str) -> None:
    """Starts coverage.py with the settings in that file. The process writes what it has measured when it ends.

    Checking processes are left out: they have limits of time and memory, which measuring would use up.
    """
    if any("from environments.checking import" in word for word in sys.orig_argv):
        return
    import coverage

    os.environ[_SETTINGS] = Path(settings).read_text()
    try:
        coverage.process_startup()
    finally:
        del os.environ[_SETTINGS]
