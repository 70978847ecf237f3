"""The names that images may have: those of folders of images/, which tags, tasks and templates use too."""

from pathlib import Path

from environments.domain.names import LONGEST_LABEL, is_label
from images.places import CHECKOUT

FILE = "image.toml"
"""The file that makes a folder of images/ an image."""

RULE = (
    f"a name has at most {LONGEST_LABEL} characters, which are lower-case letters, digits and single hyphens, "
    "and begins with a letter"
)

RENAME = "Rename the folder."

RESERVED = {"recipes": "`validate:recipes` is another task", "hygiene": "`test_hygiene.py` is for every image"}
"""Names that other things have, each with the reason."""


def wrong_name(name: str) -> str:
    """Why no image can have this name, as a sentence without its end; empty if one can."""
    if name in RESERVED:
        return f"{name!r} can't be the name of an image: {RESERVED[name]}"
    # A name may be anything that a file system takes, also what no terminal can show.
    return "" if is_label(name) else f"{name!a} can't be the name of an image: {RULE}"


def image_folders(checkout: Path = CHECKOUT) -> list[Path]:
    """The folders of images/ that are images, by their names."""
    return [folder for folder in _folders(checkout) if not wrong_name(folder.name)]


def misnamed_folders(checkout: Path = CHECKOUT) -> dict[str, str]:
    """The folders of images/ that would be images if they had other names: a sentence for each."""
    return {
        folder.name: f"images/{ascii(folder.name)[1:-1]} isn't built, because {wrong}."
        for folder in _folders(checkout)
        if (wrong := wrong_name(folder.name))
    }


def _folders(checkout: Path) -> list[Path]:
    return sorted(file.parent for file in (checkout / "images").glob(f"*/{FILE}"))
