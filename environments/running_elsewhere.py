"""Finds another folder in which the cluster of a state folder runs: then one of the two is a copy of the other.

A running agent, and each helper of one, has files open below `agents` of its state folder, by the path that this has
now. After a move to another disk those files are deleted ones, and prove nothing. Where `agents` is a link, they are
where that leads, which a move doesn't change.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from environments import open_files
from environments.mounts import is_same

_FILE = re.compile(r"(/.+)/agents/(?:supervisor|consul|openbao|nomad|certificates|logs)/.+(?<! \(deleted\))")


def running_elsewhere(state: Path, is_ours: Callable[[Path], bool], former: Path | None) -> Path | None:
    """The folder; None if there is none.

    `is_ours`: whether a folder has the cluster of this one. `former`: the path that this one had; what was started with
    files there, and runs neither there nor here, counts too.
    """
    here, seen = state.resolve(), set[Path]()
    for pid, folder in _at_work(_users(state)):
        if folder in seen or folder.resolve().is_relative_to(here) or is_same(folder / "agents", state / "agents"):
            continue
        if is_ours(folder) or (former is not None and folder != former and _started_at(former, pid)):
            return folder
        seen.add(folder)
    return None


def _users(state: Path) -> set[int]:
    return {os.geteuid(), state.stat().st_uid}


def _at_work(users: set[int]) -> Iterator[tuple[int, Path]]:
    """Processes of these users with the state folders in which they have files open. Others can open what they want."""
    for pid in open_files.every():
        try:
            if Path(f"/proc/{pid}").stat().st_uid not in users:
                continue
        except OSError:
            continue  # it has ended
        for file in open_files.open_files(pid):
            if (found := _FILE.fullmatch(file)) is not None and os.path.isdir(found[1]):  # noqa: PTH112 - raises nothing
                yield pid, Path(found[1])


def _started_at(former: Path, pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.startswith(os.fsencode(former / "agents") + b"/") for word in words)
