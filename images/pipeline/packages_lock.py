"""The list of packages of an image without a parent, stored in the folder of its recipe.

When the mirror no longer has a version, this is reported, the present version is used, and the list is updated. The
list is an input, so the image then has another key. Commit the new list, so that everybody builds the same image again.
"""

import os
from pathlib import Path

from environments.domain.counting import counted
from images.errors import ImageBuildFailed
from images.pipeline.progress import Progress
from images.pipeline.recipe import Recipe

SHOWN = 4
"""Packages that are named."""


class PackagesMoved(Exception):
    """The mirror no longer has the listed versions; the list was updated, so the image is built with the new ones."""


def check_packages(recipe: Recipe, work: Path, progress: Progress) -> None:
    """Compares the installed packages (`packages.tsv` in the work folder: name, version, architecture) with the list.

    A recipe without `packages.tsv` has no list. Raises PackagesMoved after it has updated the list, and
    ImageBuildFailed when that can't be written.
    """
    installed = work / "packages.tsv"
    if not recipe.from_nothing or not installed.is_file():
        return
    found = sorted(installed.read_text(encoding="utf-8").splitlines())
    file = recipe.packages_lock
    known = file.read_text(encoding="utf-8").splitlines() if file.is_file() else None
    if known == found:
        return
    shown = f"images/{recipe.name}/{file.name}"
    progress.say(f"{_what_moved(known, found)}; {shown} was updated, and the image is rebuilt: commit that file")
    new = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        new.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise ImageBuildFailed(
            f"The list of packages {shown} can't be written: {error.strerror}.",
            hint="Make it writable, then build again.",
        ) from error
    raise PackagesMoved


def _what_moved(known: list[str] | None, found: list[str]) -> str:
    if known is None:
        return f"{counted(len(found), 'package')} chosen for the first time"
    before, after = (dict(line.split("\t")[:2] for line in lines if "\t" in line) for lines in (known, found))
    moved = [
        f"{name} {before.get(name, '(none)')} → {after.get(name, '(none)')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    more = f" and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
    return f"the mirror has other packages than the list: {', '.join(moved[:SHOWN])}{more}"
