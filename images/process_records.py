"""Records of long-running processes in files, so that a later program finds one that was left, and ends it.

A process id alone proves nothing: after the process has ended, another one gets it. So a record also has the moment at
which its process started, in ticks since the machine's start (proc(5), /proc/pid/stat, field 22), and that start's id.
"""

import contextlib
import os
import select
import signal
from pathlib import Path

from environments.private_files import write_private

_KILLED_SECONDS = 30.0
"""How long a killed process may take to end."""


def keep_record(file: Path) -> None:
    """Write the record of this process. Raises `MachineError` when the file can't be written."""
    write_private(file, _identity(os.getpid()) + "\n")


def end_recorded(file: Path, patience: float) -> bool:
    """End the process of a record and remove the record; return whether the process was still running.

    It gets SIGTERM, and SIGKILL after `patience` seconds. A file that is no record, or none of a process that runs, is
    only removed.
    """
    ended = False
    with contextlib.suppress(OSError, ValueError, IndexError, OverflowError):
        recorded = file.read_text().strip()
        ended = _end(int(recorded.split()[0]), recorded, patience)
    with contextlib.suppress(OSError):
        file.unlink()
    return ended


def _end(pid: int, recorded: str, patience: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # The handle remains that of the process that has the id now, so its identity is read afterwards.
        if _identity(pid) != recorded:
            return False
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILLED_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], seconds)[0]:
                return True
        return True
    finally:
        os.close(handle)


def _identity(pid: int) -> str:
    """Process id, moment of the start and id of the machine's start. Raises OSError if there is no such process."""
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid} {started} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
