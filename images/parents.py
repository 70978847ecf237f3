"""The images and their parents, and which are built on request only, for the task graph."""

import tomllib
from pathlib import Path
from typing import Any

from images.names import FILE, image_folders
from images.places import CHECKOUT


def image_parents(checkout: Path = CHECKOUT) -> dict[str, str]:
    """The parent of each image by its name; empty if it has none.

    A file that can't be read counts as one without a parent, and so does one whose parents form a cycle;
    `doit validate:recipes` reports the fault.
    """
    found = {folder.name: str(_about(folder / FILE).get("parent", "")) for folder in image_folders(checkout)}
    return {name: "" if _in_cycle(name, found) else parent for name, parent in found.items()}


def images_on_request() -> list[str]:
    """The images that no deployment needs: each is built when it is asked for by name."""
    return [folder.name for folder in image_folders() if _about(folder / FILE).get("on_request") is True]


def _about(file: Path) -> dict[str, Any]:
    """The table `image` of an image.toml; empty if it can't be read."""
    try:
        return dict(tomllib.loads(file.read_text(encoding="utf-8"))["image"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}


def _in_cycle(name: str, parents: dict[str, str]) -> bool:
    current, seen = parents[name], {name}
    while current in parents and current not in seen:
        seen.add(current)
        current = parents[current]
    return current == name
