"""Mounts of this machine, and paths that lead to the same place."""

import os
import re
from pathlib import Path

_OCTAL = re.compile(rb"\\([0-7]{3})")


def mount_points() -> list[Path]:
    """Where something is mounted, without links in the paths (proc_pid_mountinfo(5), field 5, octal escapes)."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    points = (_OCTAL.sub(lambda escaped: bytes([int(escaped[1], 8)]), line.split()[4]) for line in lines)
    return [Path(os.fsdecode(point)) for point in points]


def is_same(one: Path, other: Path) -> bool:
    """Whether both paths lead to the same file or folder, which is there."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
