"""Containers that stay because the engine doesn't answer: what they are found by is kept until it does."""

import json
from collections.abc import Collection
from pathlib import Path

from environments.belongings import LEFT_CONTAINERS
from environments.kept_files import NotKept, read_object
from environments.private_files import discard, locked, write_private
from environments.providers.local_cluster.agents import leftovers


def keep(state: Path, folders: Collection[Path], allocations: Collection[str]) -> None:
    """Keeps the folders that containers of a removed agent use, and its allocations. Raises `MachineError`."""
    with locked(_lock(state)):
        kept_folders, kept_allocations = _kept(state)
        kept = {
            "folders": sorted({*map(str, kept_folders), *map(str, folders)}),
            "allocations": sorted({*kept_allocations, *allocations}),
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
    """Folders below this state folder alone, whatever is in the file."""
    try:
        kept = read_object(state / LEFT_CONTAINERS)
        folders = [Path(str(folder)) for folder in kept["folders"]]
        allocations = [str(name) for name in kept["allocations"]]
    except (NotKept, LookupError, TypeError):
        return [], []
    own = state.resolve()
    return [folder for folder in folders if folder.resolve().is_relative_to(own) and folder != own], allocations
