"""Processes of this machine, and what they have open (proc(5)).

The first thread of a killed process may have ended long before its last one: then /proc/pid shows a zombie without open
files. So all threads are looked at (/proc/pid/task).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def every() -> Iterator[int]:
    """Ids of all processes."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def threads(pid: int) -> list[Path]:
    """The folders of a process's threads, its first one first; none if it has ended."""
    try:
        return sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda path: path.name != str(pid))
    except OSError:
        return []


def open_files(pid: int) -> list[str]:
    """What a process has open (`/a/path`, `socket:[inode]`, …) and the folder that it works in.

    Empty if it has ended, or if reading it isn't allowed.
    """
    folders = threads(pid)
    for thread in folders:
        with contextlib.suppress(OSError):
            found = [_target(link) for link in (thread / "fd").iterdir()]
            if found:
                return [*found, _target(thread / "cwd")]
    return [_target(thread / "cwd") for thread in folders]


def _target(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""
