"""The files that go into an image, and their digests."""

import hashlib
from pathlib import Path

from images.errors import InvalidRecipe
from images.pipeline.recipe import Recipe
from images.places import CHECKOUT


def file_digests(recipe: Recipe, checkout: Path = CHECKOUT) -> dict[str, str]:
    """SHA-256 of each file that goes in, by its path in the checkout; `+x` is added where it can be executed.

    Raises InvalidRecipe when a glob finds nothing.
    """
    files = set(_files(recipe.folder, "**/*"))
    for pattern in recipe.build.inputs:
        matched = set(_files(checkout, pattern))
        if not matched:
            raise InvalidRecipe(f"images/{recipe.name}/image.toml: no file matches the input {pattern!r}.")
        files |= matched
    for pattern in recipe.build.except_:
        files -= set(_files(checkout, pattern))
    return {file.relative_to(checkout).as_posix(): digest(file) for file in sorted(files)}


def digest(file: Path) -> str:
    """SHA-256 of a file in hex, followed by `+x` if its owner may execute it."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return found + ("+x" if file.stat().st_mode & 0o100 else "")


def _files(folder: Path, pattern: str) -> list[Path]:
    """Files that match, without those that Python generates."""
    return [
        path
        for path in folder.glob(pattern)
        if path.is_file() and path.suffix != ".pyc" and not any(part.startswith(".") for part in path.parts[-1:])
    ]
