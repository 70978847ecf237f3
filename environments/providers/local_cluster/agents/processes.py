"""Processes of this machine, found by their command lines: after a crash a pid file may be wrong, /proc never is.

A process that was killed ends thread by thread, in any order, and on a busy machine slowly. Until its last thread has
ended it keeps its files, their locks, and its ports. Its first thread may have ended long before: then /proc/pid shows
a zombie without arguments and open files. So all threads are checked (proc(5), /proc/pid/task).
"""

import contextlib
import os
import signal
from collections.abc import Collection
from pathlib import Path

from environments.open_files import every, open_files, threads
from environments.providers.local_cluster.agents.patience import wait_for

_ENDING_SECONDS = 30.0
"""How long a killed process may take to end."""

_EXITING = 0x4
"""PF_EXITING, of the flags in /proc/pid/task/tid/stat (include/linux/sched.h)."""

_KILLED = 1 << (signal.SIGKILL - 1)
"""The bit of SIGKILL in the masks of pending signals in /proc/pid/task/tid/status."""


def started_with(*arguments: str) -> list[int]:
    """Ids of the processes whose command line ends with exactly these arguments.

    A single argument, such as a path, may also be that of a process that reads the file.
    """
    wanted = [*(argument.encode() for argument in arguments), b""]
    return [pid for pid, words in command_lines() if words[-len(wanted) :] == wanted and len(words) > len(wanted)]


def holding_files_below(folder: Path) -> list[int]:
    """Ids of the processes that have a file below this folder open, or work in it."""
    prefix = f"{folder.resolve()}/"
    return [pid for pid in every() if any(target.startswith(prefix) for target in open_files(pid))]


def stop(pids: Collection[int], *, patience: float) -> None:
    """Asks processes to end, and kills those that haven't after `patience` seconds."""
    pids = [pid for pid in pids if pid != os.getpid()]
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, _ENDING_SECONDS)):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_for(lambda: not any(is_alive(pid) for pid in pids), seconds):
            return


def is_alive(pid: int) -> bool:
    """Whether a thread of the process is left; one that has ended and only waits for its parent doesn't count."""
    return any(_state(thread)[0] not in ("Z", "X") for thread in threads(pid))


def is_ending(pid: int) -> bool:
    """Whether the process has ended, or was killed and runs no code of its own any more."""
    folders = threads(pid)
    return any(map(_is_killed, folders)) or all(
        state in ("Z", "X") or flags & _EXITING for state, flags in map(_state, folders)
    )


def command_lines() -> list[tuple[int, list[bytes]]]:
    """Id and arguments of every process."""
    found = []
    for pid in every():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            found.append((pid, (line or _line_of_a_thread(pid)).split(b"\0")))
    return found


def _line_of_a_thread(pid: int) -> bytes:
    """The arguments of a process whose first thread has ended; empty for one of the kernel's."""
    for thread in threads(pid):
        with contextlib.suppress(OSError):
            line = (thread / "cmdline").read_bytes()
            if line:
                return line
    return b""


def _state(thread: Path) -> tuple[str, int]:
    """State and flags of a thread (proc(5), /proc/pid/stat); that of a dead one if it has ended."""
    try:
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[6])


def _is_killed(thread: Path) -> bool:
    """Whether SIGKILL waits for a thread: each gets one of its own when the process is killed."""
    with contextlib.suppress(OSError):
        for line in (thread / "status").read_text().splitlines():
            if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) & _KILLED:
                return True
    return False
