"""Folders of a state folder that are elsewhere: links, and mounts of other disks, where others may have things, too.

Deploy leaves a record in such a place, of the state folder whose it is, and of its cluster, which it keeps when it is
moved. `nomad`, `logs` and `builds` anybody may have there; what is named `calvinverse-…` is nobody else's.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from environments.domain.errors import MachineError
from environments.kept_files import NotKept, read_object
from environments.mounts import is_same, mount_points
from environments.private_files import write_if_changed
from environments.state_origin import FOLDERS, cluster_of, clusters_in, started_at

OWNER_FILE = ".calvinverse-owner.json"
"""The record."""

_LOST = "lost+found"

_PLACES = ("local", "agents", "volumes", "credentials")

_PROOFS = {"local": ("calvinverse.sqlite", "parameters.key"), "credentials": ("cluster.json",)}
"""What is in such a place of a deployment by an older version, which left no record."""


def is_elsewhere(path: Path) -> bool:
    """Whether one of our folders is a link, or something is mounted there."""
    return path.is_symlink() or (path.is_dir() and path.resolve() in mount_points())


@dataclass(frozen=True)
class _Record:
    state: str
    inode: object
    cluster: str | None = None


def entries(folder: Path) -> list[Path]:
    """What is in a folder, without what a file system has at its root for itself."""
    found = sorted(folder.iterdir())
    if any(path.name == _LOST for path in found) and folder.resolve() in mount_points():
        return [path for path in found if path.name != _LOST]
    return found


def owner(state: Path, name: str) -> Path | None:
    """Another state folder whose place it is, by the path that it had; None if there is none.

    Without a cluster's id the record counts as long as that path leads to the place.
    """
    place = state / name
    found = _recorded(place)
    if found is None or _names(found, state, name):
        return None
    return Path(found.state) if found.cluster is not None or is_same(Path(found.state, name), place) else None


def is_claimed(state: Path, name: str) -> bool:
    """Whether a place elsewhere is this deployment's: then all in it is ours that has one of our names."""
    place = state / name
    if (found := _recorded(place)) is not None:
        return _names(found, state, name)
    if name == "volumes" and is_elsewhere(state / "agents") and not is_claimed(state, "agents"):
        return False
    if name in ("agents", "volumes"):
        started = started_at(state)
        return started is not None and (is_same(started, state) or not is_same(started / name, place))
    return any((place / proof).is_file() for proof in _PROOFS.get(name, ()))


def refuse_others_place(state: Path, name: str) -> None:
    """Raises `MachineError` for a place of another deployment, or with data that may be one's."""
    place = state / name
    if (other := owner(state, name)) is not None:
        raise MachineError(
            f"{place} is {place.resolve()}, where the deployment in {other} has its own.",
            hint="Give this deployment another folder there. If that other one is gone for good, move what it left "
            f"away, {OWNER_FILE} too.",
        )
    if name == "volumes" and not is_claimed(state, name) and (found := sorted(place.glob("calvinverse-*"))):
        raise MachineError(
            f"{place} can't be used: {found[0].resolve()} may hold the data of another deployment.",
            hint="Give this deployment another folder there. If no deployment needs it, move away all that is named "
            "calvinverse-….",
        )


def claim_place(state: Path, name: str) -> None:
    """Leaves the record. Raises `MachineError`."""
    found = _recorded(state / name)
    cluster = cluster_of(state) or (None if found is None or not _names(found, state, name) else found.cluster)
    told = _Record(str(state.resolve()), state.stat().st_ino, cluster)
    write_if_changed(state / name / OWNER_FILE, json.dumps(asdict(told), indent=2) + "\n")


def renew_claims(state: Path) -> None:
    """Has the records of this deployment name its cluster, and its path if it was moved. Else they stay as they are."""
    for name in _PLACES:
        place = state / name
        if is_elsewhere(place) and (found := _recorded(place)) is not None and _names(found, state, name):
            with suppress(MachineError):
                claim_place(state, name)


def used_by_jobs(volumes: Path) -> list[Path]:
    """Folders in which all is this deployment's: that of volumes, or single volumes where that is elsewhere."""
    if not is_elsewhere(volumes):
        return [volumes]
    return [] if owner(volumes.parent, volumes.name) is not None else sorted(volumes.glob("calvinverse-*"))


def _recorded(place: Path) -> _Record | None:
    try:
        found = read_object(place / OWNER_FILE)
        cluster = found.get("cluster")
        return _Record(str(found["state"]), found["inode"], None if cluster is None else str(cluster))
    except (NotKept, KeyError):
        return None


def _names(record: _Record, state: Path, name: str) -> bool:
    """Whether the record of a place is of this deployment.

    Whoever is where it says, and has the place, has it: a copy of them has the same cluster's id. Else that tells more
    than a path or a number: others can get those.
    """
    path, number = is_same(Path(record.state), state), _has_number(state, record)
    if not path and is_same(Path(record.state, name), state / name):
        return False
    if (path and number) or record.cluster is None:
        return path or number
    ours = _clusters(state)
    return record.cluster in ours if ours else number


def _has_number(state: Path, record: _Record) -> bool:
    """Whether the state folder has the number that is recorded. At the root of a file system it is a usual one."""
    return record.inode == state.stat().st_ino and state.resolve() not in mount_points()


def _clusters(state: Path) -> set[str]:
    """The id of our cluster, from folders that are ours."""
    return {cluster for folder in FOLDERS if _is_own(state, folder) for cluster in clusters_in(state, folder)}


def _is_own(state: Path, folder: str) -> bool:
    """What another deployment has where a link leads tells its own id."""
    if not is_elsewhere(state / folder):
        return True
    found = _recorded(state / folder)
    return found is not None and (is_same(Path(found.state), state) or _has_number(state, found))
