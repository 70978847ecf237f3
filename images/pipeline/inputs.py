"""The key of an image: a digest of all that goes into it, whatever the file times say."""

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from images import toolchain
from images.commands import output
from images.errors import InvalidRecipe
from images.pipeline.recipe import Recipe
from images.places import CHECKOUT

FORMAT = 1
"""Goes up when the builder itself makes something else out of the same inputs."""

SHORT = 12
"""How many characters of a key are its tag."""

VERSION = "project:version"
"""The entry that holds the project's version, which is a label of every image."""

PACKER = ("packer", "packer-plugin-docker")
"""Tools that every image is made with."""


@dataclass(frozen=True)
class Inputs:
    """What goes into an image: digests of files by path, versions of tools, the key of the parent."""

    entries: Mapping[str, str]

    @property
    def key(self) -> str:
        """SHA-256 over all entries, in hex."""
        return hashlib.sha256(json.dumps([FORMAT, sorted(self.entries.items())]).encode()).hexdigest()

    @property
    def tag(self) -> str:
        """The beginning of the key, which tags the image."""
        return self.key[:SHORT]

    def changed_since(self, before: Mapping[str, str]) -> list[str]:
        """The names of entries that were added, removed or changed."""
        names = set(before) | set(self.entries)
        return sorted(name for name in names if before.get(name) != self.entries.get(name))


def all_inputs(
    recipes: Mapping[str, Recipe], version: Callable[[str], str], checkout: Path = CHECKOUT
) -> dict[str, Inputs]:
    """The inputs of every image; `recipes` has parents first, `version` tells the version of a tool.

    Raises InvalidRecipe when a glob finds nothing.
    """
    found: dict[str, Inputs] = {}
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions: dict[str, str] = {}
    for recipe in recipes.values():
        entries = file_digests(recipe, checkout) | {VERSION: str(project["version"])}
        for tool in (*PACKER, *recipe.build.tools):
            versions.setdefault(tool, version(tool))
            entries[f"tool:{tool}"] = versions[tool]
        if recipe.image.parent is not None:
            entries[f"parent:{recipe.image.parent}"] = found[recipe.image.parent].key
        found[recipe.name] = Inputs(entries)
    return found


def file_digests(recipe: Recipe, checkout: Path = CHECKOUT) -> dict[str, str]:
    """SHA-256 of each file that goes in, by its path in the checkout; `+x` is added where it can be executed."""
    files = set(_files(recipe.folder, "**/*"))
    for pattern in recipe.build.inputs:
        matched = set(_files(checkout, pattern))
        if not matched:
            raise InvalidRecipe(f"images/{recipe.name}/image.toml: no file matches the input {pattern!r}.")
        files |= matched
    return {file.relative_to(checkout).as_posix(): digest(file) for file in sorted(files)}


def tool_version(name: str) -> str:
    """The version of a tool that goes into keys: of the toolchain as it would be used, of others as they say it."""
    if name in toolchain.NAMES:
        (found,) = toolchain.look([name]).items()
        tool, place = found
        return str(getattr(place, "version", tool.pinned))
    if shutil.which(name) is None:
        return "missing"
    said = output([name, "--version"], limit=20, env={**os.environ, "LC_ALL": "C"})
    return (said or "unknown").strip().splitlines()[0]


def digest(file: Path) -> str:
    """SHA-256 of a file in hex, followed by `+x` if its owner may execute it."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return found + ("+x" if file.stat().st_mode & 0o100 else "")


def _files(folder: Path, pattern: str) -> list[Path]:
    """Files that match, without those that Python leaves behind by itself."""
    return [
        path
        for path in folder.glob(pattern)
        if path.is_file() and path.suffix != ".pyc" and not any(part.startswith(".") for part in path.parts[-1:])
    ]
