"""Files and sockets that processes of this machine have open, by /proc (proc_pid_fd(5))."""

from collections.abc import Set
from contextlib import suppress
from pathlib import Path


def open_files(process: Path) -> frozenset[str]:
    """What a process has open (`/a/path`, `socket:[inode]`, …), by its folder in /proc.

    Empty if it has ended, or if reading it isn't allowed.
    """
    found = set()
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):  # it has just been closed
                found.add(str(link.readlink()))
    return frozenset(found)


def processes_with(wanted: Set[str]) -> list[int]:
    """Ids of the processes that have one of these open."""
    return sorted(int(process.name) for process in Path("/proc").glob("[0-9]*") if wanted & open_files(process))
