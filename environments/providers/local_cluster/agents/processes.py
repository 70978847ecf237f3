"""Processes of this machine, found by what they were started with: a pid file may lie after a crash, /proc doesn't."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path


def started_with(*arguments: str) -> list[int]:
    """Ids of the processes whose command line ends with exactly these arguments.

    One alone, such as a path, may be found with anybody who reads that file.
    """
    wanted = [*(argument.encode() for argument in arguments), b""]
    return [pid for pid, words in command_lines() if words[-len(wanted) :] == wanted and len(words) > len(wanted)]


def holding_files_below(folder: Path) -> list[int]:
    """Ids of the processes that have a file below this folder open, or work in it."""
    prefix = f"{folder}/"
    found = []
    for pid, _ in command_lines():
        with contextlib.suppress(OSError):
            links = [*Path(f"/proc/{pid}/fd").iterdir(), Path(f"/proc/{pid}/cwd")]
            if any(_target(link).startswith(prefix) for link in links):
                found.append(pid)
    return found


def stop(pids: Collection[int], *, patience: float) -> None:
    """Asks processes to end, and kills those that haven't after `patience` seconds."""
    pids = [pid for pid in pids if pid != os.getpid()]
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_for(lambda: not any(is_alive(pid) for pid in pids), seconds):
            return


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and only waits for its parent doesn't count."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_for(condition: Callable[[], bool], seconds: float, *, pause: float = 0.05) -> bool:
    """Whether the condition comes true within that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
    return True


def command_lines() -> list[tuple[int, list[bytes]]]:
    """Id and arguments of every process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")))
    return found


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""
