"""Folders of a state folder that are elsewhere: links, and mounts of other disks, where others may have things, too.

Deploy leaves a record in such a place, of the state folder whose it is. `nomad`, `logs` and `builds` anybody may have
there; what is named `calvinverse-…` is nobody else's.
"""

import json
from pathlib import Path

from environments.domain.errors import MachineError
from environments.kept_files import NotKept, read_object
from environments.mounts import mount_points
from environments.private_files import write_if_changed
from environments.state_origin import started_at

OWNER_FILE = ".calvinverse-owner.json"
"""The record."""

_PROOFS = {"local": ("calvinverse.sqlite", "parameters.key"), "credentials": ("cluster.json",)}
"""What is in such a place of a deployment by an older version, which left no record."""


def is_elsewhere(path: Path) -> bool:
    """Whether one of our folders is a link, or something is mounted there."""
    return path.is_symlink() or (path.is_dir() and path.resolve() in mount_points())


def owner(state: Path, name: str) -> Path | None:
    """Another state folder whose place it is; None if there is none."""
    found, place = _recorded(state / name), state / name
    return None if found is None or _is_same(found[0], state) or not _is_same(found[0] / name, place) else found[0]


def is_claimed(state: Path, name: str) -> bool:
    """Whether a place elsewhere is this deployment's: then all in it is ours that has one of our names."""
    place = state / name
    if owner(state, name) is not None:
        return False
    if (found := _recorded(place)) is not None:
        return _is_same(found[0], state) or found[1] == state.stat().st_ino
    if name == "agents":
        started = started_at(state)
        return started is not None and (_is_same(started, state) or not _is_same(started / name, place))
    return any((place / proof).is_file() for proof in _PROOFS.get(name, ()))


def refuse_others_place(state: Path, name: str) -> None:
    """Raises `MachineError` for a place of another deployment."""
    if (other := owner(state, name)) is not None:
        raise MachineError(
            f"{state / name} is {(state / name).resolve()}, where the deployment in {other} has its own.",
            hint="Give this deployment another folder there.",
        )


def claim_place(state: Path, name: str) -> None:
    """Leaves the record. Raises `MachineError`."""
    told = {"state": str(state.resolve()), "inode": state.stat().st_ino}
    write_if_changed(state / name / OWNER_FILE, json.dumps(told, indent=2) + "\n")


def used_by_jobs(volumes: Path) -> list[Path]:
    """Folders in which all is this deployment's: that of volumes, or single volumes where that is elsewhere."""
    if not is_elsewhere(volumes):
        return [volumes]
    return [] if owner(volumes.parent, volumes.name) is not None else sorted(volumes.glob("calvinverse-*"))


def _recorded(place: Path) -> tuple[Path, object] | None:
    try:
        found = read_object(place / OWNER_FILE)
        return Path(str(found["state"])), found["inode"]
    except (NotKept, KeyError):
        return None


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
