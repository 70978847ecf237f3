"""Packer that goes on although its builder was killed: it holds the image's lock, and its time limit is gone.

It is found by /proc (proc(5)): a Packer that has the lock open, and whose parent hasn't. A builder has it open while it
waits for the lock, and until Packer has ended.
"""

import contextlib
import os
from pathlib import Path

from images import process_groups
from images.open_files import processes_with

MARK = b"-machine-readable"
"""An argument with which builders start Packer, and nobody else does."""


def end_orphans(lock: Path) -> bool:
    """Kills every Packer without a builder that holds this lock, and what it started; returns whether there was one."""
    open_there = processes_with({os.path.realpath(lock)})
    found = [pid for pid in open_there if _is_packer(pid) and _parent(pid) not in open_there]
    for pid in found:
        # Builders start it as the leader of a process group.
        process_groups.kill(pid)
    return bool(found)


def _is_packer(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return MARK in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") and os.getpgid(pid) == pid
    return False


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
