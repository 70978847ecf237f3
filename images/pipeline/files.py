"""The files that go into an image, and their digests."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from images.errors import InvalidRecipe
from images.names import FILE
from images.pipeline.recipe import Recipe
from images.places import CHECKOUT

GENERATED = ".pyc"
"""The end of names of files that Python generates, which don't count."""


def file_digests(recipe: Recipe, checkout: Path = CHECKOUT) -> dict[str, str]:
    """SHA-256 of each file that goes in, by its path in the checkout; `+x` is added where it can be executed.

    Files with a dot before their names count too, and so do those that links lead to. Raises InvalidRecipe when a glob
    finds nothing, when a link leads out of the checkout, and for a file that can't be read.
    """
    shown = f"images/{recipe.name}"
    try:
        files = set(files_below(recipe.folder, checkout))
        for pattern in recipe.build.inputs:
            matched = set(matching(checkout, pattern))
            if not matched:
                raise InvalidRecipe(
                    f"{shown}/{FILE}: no file matches the input {pattern!r}.",
                    hint="Inputs are globs from the top of the checkout; all files of a folder are folder/**/*.",
                )
            files |= matched
        for pattern in recipe.build.except_:
            files -= set(matching(checkout, pattern))
        return {_name(file, checkout): digest(file) for file in sorted(files)}
    except OSError as error:
        raise InvalidRecipe(f"{error.filename}, an input of {shown}, can't be read: {error.strerror}.") from error


def digest(file: Path) -> str:
    """SHA-256 of a file in hex, followed by `+x` if its owner may execute it."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return found + ("+x" if file.stat().st_mode & 0o100 else "")


def files_below(folder: Path, checkout: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every file in a folder and in folders that links in it lead to, without those that Python generates.

    A link to a folder that it is in (`above`) leads to nothing new. Raises OSError, and InvalidRecipe for a link that
    leads out of the checkout.
    """
    real = _inside(folder, checkout)
    if real in above:
        return
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = folder / name
        if path.is_dir():
            yield from files_below(path, checkout, (*above, real))
        elif _counts(path):
            yield path


def matching(checkout: Path, pattern: str) -> Iterator[Path]:
    """The files that match a glob from the top of the checkout, through links too. Raises OSError."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    fixed = next((number for number, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts))
    folder, rest = checkout.joinpath(*parts[:fixed]), parts[fixed:]
    if not rest:
        found = iter([folder])
    elif "**" not in rest:
        found = folder.glob("/".join(rest))
    elif folder.is_dir():
        found = (path for path in files_below(folder, checkout) if _matches(path.relative_to(folder).parts, rest))
    else:
        found = iter(())
    yield from filter(_counts, found)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a glob in which `**` stands for any folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return len(pattern) == 1 or _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _counts(path: Path) -> bool:
    return path.suffix != GENERATED and path.is_file()


def _name(file: Path, checkout: Path) -> str:
    """The path of a file in the checkout. Raises InvalidRecipe."""
    _inside(file, checkout)
    name = file.relative_to(checkout).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidRecipe(f"The name of {name!a} isn't UTF-8.", hint="Rename the file.") from error
    return name


def _inside(path: Path, checkout: Path) -> str:
    """The real path of a file or folder. Raises InvalidRecipe if that is out of the checkout."""
    real, top = os.path.realpath(path), os.path.realpath(checkout)
    if real != top and not real.startswith(f"{top}/"):
        raise InvalidRecipe(
            f"{path.relative_to(checkout)} leads out of the checkout, and so can't be an input of an image.",
            hint="Copy what it leads to into the checkout, where other checkouts and build agents have it too.",
        )
    return real
