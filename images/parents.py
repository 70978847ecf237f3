"""The images and their parents, for the task graph."""

import tomllib

from images.places import CHECKOUT


def image_parents() -> dict[str, str]:
    """The parent of each image by its name; empty if it has none.

    A file that can't be read counts as one without a parent; `doit validate:recipes` reports its fault.
    """
    found: dict[str, str] = {}
    for file in sorted((CHECKOUT / "images").glob("*/image.toml")):
        try:
            found[file.parent.name] = str(tomllib.loads(file.read_text(encoding="utf-8"))["image"].get("parent", ""))
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            found[file.parent.name] = ""
    return found
