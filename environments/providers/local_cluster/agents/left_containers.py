"""Containers that stay because the engine doesn't answer: what they are found by is kept until it does."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from environments.belongings import LEFT_CONTAINERS
from environments.domain.containers import ALLOCATION_ID
from environments.kept_files import NotKept, read_object
from environments.private_files import discard, locked, write_private
from environments.providers.local_cluster.agents import leftovers

_MOST_FOLDERS = 100
_MOST_ALLOCATIONS = 10_000
"""Each is kept in less than 50 bytes, and `read_object` reads 1 MiB."""


def keep(state: Path, folders: Collection[Path], allocations: Collection[str]) -> None:
    """Keeps the folders that containers of a removed agent use, and its allocations. Raises `MachineError`."""
    with locked(_lock(state)):
        kept_folders, kept_allocations = _kept(state)
        kept = {
            "folders": _first(_MOST_FOLDERS, (*map(str, folders), *map(str, kept_folders))),
            "allocations": _first(_MOST_ALLOCATIONS, _ids((*allocations, *kept_allocations))),
        }
        write_private(state / LEFT_CONTAINERS, json.dumps(kept, indent=2) + "\n")


def remove(state: Path) -> bool:
    """Removes those of which something is kept, if the engine answers; returns whether none is left.

    Raises `MachineError` naming those that the engine doesn't remove.
    """
    folders, allocations = _kept(state)
    answered = not folders or leftovers.remove_containers_below(folders, allocations)
    if answered:
        discard(state / LEFT_CONTAINERS)
        discard(_lock(state))
    return answered


def _lock(state: Path) -> Path:
    return state / ".left-containers.lock"


def _kept(state: Path) -> tuple[list[Path], list[str]]:
    """Folders below this state folder alone, and ids that Nomad may have made, whatever is in the file."""
    try:
        kept = read_object(state / LEFT_CONTAINERS)
    except NotKept:
        return [], []
    own = state.resolve()
    folders = [Path(name) for name in _texts(kept.get("folders"))[:_MOST_FOLDERS] if "\0" not in name]
    allocations = _ids(_texts(kept.get("allocations"))[:_MOST_ALLOCATIONS])
    return [folder for folder in folders if _is_below(folder, own)], allocations


def _is_below(folder: Path, own: Path) -> bool:
    try:
        found = folder.resolve()
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        return False
    return found != own and found.is_relative_to(own)


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _ids(names: Iterable[str]) -> list[str]:
    return [name for name in names if ALLOCATION_ID.fullmatch(name)]


def _first(most: int, names: Iterable[str]) -> list[str]:
    return sorted(list(dict.fromkeys(names))[:most])
