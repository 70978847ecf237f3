"""The images and their parents, for the task graph."""

import tomllib
from pathlib import Path

from images.names import FILE, image_folders
from images.places import CHECKOUT


def image_parents(checkout: Path = CHECKOUT) -> dict[str, str]:
    """The parent of each image by its name; empty if it has none.

    A file that can't be read counts as one without a parent, and so does one whose parents form a cycle;
    `doit validate:recipes` reports the fault.
    """
    found = {folder.name: _parent(folder / FILE) for folder in image_folders(checkout)}
    return {name: "" if _in_cycle(name, found) else parent for name, parent in found.items()}


def _parent(file: Path) -> str:
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8"))["image"].get("parent", ""))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return ""


def _in_cycle(name: str, parents: dict[str, str]) -> bool:
    current, seen = parents[name], {name}
    while current in parents and current not in seen:
        seen.add(current)
        current = parents[current]
    return current == name
