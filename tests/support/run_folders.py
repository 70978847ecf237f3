"""Folders of the servers that tests start. What a test run that was killed has left, a later one removes."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_RUN = "run"
"""File that holds the process id of the test run."""


def make_run_folder(prefix: str) -> Path:
    """A new folder of this test run; first removes those of this prefix whose test runs were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # Runs side by side do this too, those that end take their folders with them, and new ones name no run yet.
        with suppress(FileNotFoundError, ValueError):
            if not lives(int((folder / _RUN).read_text())):
                shutil.rmtree(folder, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=prefix))
    (made / _RUN).write_text(str(os.getpid()))
    return made


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
