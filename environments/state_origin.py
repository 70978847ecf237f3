"""Where a state folder was when something was deployed from it: whether it was moved since, or is a copy.

The configuration of supervisord says by which path the agents were started. The same is kept beside the credentials
and beside the local service's database, with the number of the folder, so that one damaged file hides no copy. Another
path that leads to the same folder, such as a link or a bind mount, changes nothing. Where the original was moved, what
runs in it tells.
"""

import configparser
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from environments.domain.errors import MachineError
from environments.kept_files import NotKept, read_object
from environments.mounts import is_same
from environments.private_files import write_if_changed
from environments.running_elsewhere import running_elsewhere

_CONFIG = Path("agents", "supervisor", "supervisord.conf")
_CLUSTER = Path("credentials", "cluster.json")
FOLDERS = ("credentials", "local")
"""The folders that have the record."""
RECORD_FILE = "place.json"
"""The record."""


def remember(state: Path, folder: str) -> None:
    """Keeps the path of the state folder in that one of its folders, if it has that. Raises `MachineError`."""
    if (state / folder).is_dir():
        told = {"path": str(state), "inode": state.stat().st_ino, "cluster": cluster_of(state)}
        write_if_changed(state / folder / RECORD_FILE, json.dumps(told, indent=2) + "\n")


def recorded(state: Path) -> Path | None:
    """The path by which the agents were started, or something was deployed; None if nothing says it."""
    if (started := started_at(state)) is not None:
        return started
    paths = [found["path"] for found in _records(state) if _is_path(str(found.get("path")))]
    return Path(paths[0]) if paths else None


def started_at(state: Path) -> Path | None:
    """The path by which the agents were started, as their configuration has it; None if that can't be read."""
    log = configured(read_configuration(state / _CONFIG), "supervisord", "logfile")
    above = Path(log).parents if _is_path(log) else ()
    return above[len(_CONFIG.parts) - 1] if len(above) >= len(_CONFIG.parts) else None


def known_by(state: Path) -> Path:
    """The path by which the agents of this state folder were started, as long as it leads there; else its own one."""
    found = recorded(state)
    return found if found is not None and is_same(found, state) else state.resolve()


def former(state: Path) -> Path | None:
    """The path that the folder had when its agents were started, if it was moved since; `state`: from `known_by`."""
    found = recorded(state)
    return None if found is None or found == state or is_same(found, state) else found


def cluster_of(state: Path) -> str | None:
    """The id of its local cluster; None if it has none, or the file can't be read."""
    with suppress(NotKept, KeyError):
        return str(read_object(state / _CLUSTER)["cluster"])
    return None


def clusters_in(state: Path, folder: str) -> set[str]:
    """The id of its cluster, as all files in that one of its folders say it that can be read."""
    found = [record.get("cluster") for record in _records(state, [folder])]
    if folder == _CLUSTER.parent.name:
        found.append(cluster_of(state))
    return {str(cluster) for cluster in found if cluster is not None}


def refuse_copy(state: Path, *, forced: bool = True) -> None:
    """Raises `MachineError` if the folder at its former path is still there, so that this one is a copy of it.

    Likewise if its cluster runs in another folder. Not `forced`: also where there is a cluster and nothing says which
    one this folder is of.
    """
    state = known_by(state.absolute())
    found = former(state)
    if found is not None and _is_copy(found, state, forced):
        raise MachineError(
            f"The state folder {state} is a copy of {found}, and both have the same cluster.",
            hint=f"Work where {found} is, and remove the copy; a checkout can be moved, and not doubled.",
        )
    if not state.is_dir():
        return
    ours = _clusters(state)
    other = running_elsewhere(state, lambda folder: cluster_of(folder) in ours, found)
    if other is not None:
        raise MachineError(
            f"The cluster of the state folder {state} runs in {other}: one of them is a copy of the other.",
            hint=f"Work where {other} is, and remove the copy, or run `doit undeploy` there first; a checkout can be "
            "moved, and not doubled.",
        )


def is_certain(state: Path) -> bool | None:
    """Whether nothing hints at a copy, for a folder that `refuse_copy` let pass; None if it has no record of its path.

    `state`: from `known_by`. Each start of the agents writes the record anew, so a removal asks without one.
    """
    if recorded(state) is None:
        return None
    found = former(state)
    # Where the file of the cluster is lost, a removal puts another one in its place.
    return found is None or cluster_of(found) is None or any(record.get("cluster") for record in _records(state))


def read_configuration(path: Path) -> configparser.RawConfigParser:
    """A configuration of supervisord; empty if it is missing or damaged."""
    found = configparser.RawConfigParser()
    try:
        found.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return configparser.RawConfigParser()
    return found


def configured(configuration: configparser.RawConfigParser, section: str, option: str) -> str:
    """A value in a configuration of supervisord as supervisord expands it; empty if there is none."""
    return configuration.get(section, option, fallback="").replace("%%", "%")


def _is_copy(former: Path, state: Path, forced: bool) -> bool:
    records = _records(state)
    ours = _clusters(state)
    theirs = cluster_of(former)
    if theirs is not None and ours:
        return theirs in ours
    try:
        number = former.stat().st_ino
    except OSError:
        return False
    return number in [record.get("inode") for record in records] or (theirs is not None and not forced)


def _is_path(text: str) -> bool:
    """Whether a folder can have it as its whole path: a damaged file may name anything."""
    try:
        return text.startswith("/") and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _clusters(state: Path) -> set[str]:
    return {cluster for folder in FOLDERS for cluster in clusters_in(state, folder)}


def _records(state: Path, folders: Sequence[str] = FOLDERS) -> list[dict[str, Any]]:
    found = []
    for folder in folders:
        with suppress(NotKept):
            found.append(read_object(state / folder / RECORD_FILE))
    return found
