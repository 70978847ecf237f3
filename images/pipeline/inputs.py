"""The key of an image: a digest of all its inputs, independent of file times.

Files by their path in the checkout, everything else by a name with a colon:

    project:version, :source the project's version and where its sources are, labels of every image
    parent:<image>           the id of the image that it starts from
    from:<reference>         the image of a registry that it starts from
    tool:<name>              the version of a program that makes it
    binary:<name>            the SHA-256 of a program that is put into it
    commit:epoch, :revision  for an image without a parent: the last commit that changed its files
"""

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from images import toolchain
from images.commands import output
from images.pipeline.files import digest, file_digests
from images.pipeline.history import Origin, origin, source_address
from images.pipeline.recipe import Recipe
from images.places import CHECKOUT

FORMAT = 2
"""Must be increased when the builder makes other images from the same inputs."""

SHORT = 12
"""Characters of a key in a tag."""

VERSION = "project:version"
SOURCE = "project:source"
EPOCH = "commit:epoch"
REVISION = "commit:revision"

PACKER = ("packer", "packer-plugin-docker")
"""Tools that build every image."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of an image, and their origin."""

    entries: Mapping[str, str]
    origin: Origin

    @property
    def key(self) -> str:
        """SHA-256 over all entries, in hex."""
        return hashlib.sha256(json.dumps([FORMAT, sorted(self.entries.items())]).encode()).hexdigest()

    @property
    def tag(self) -> str:
        """The beginning of the key, used as a tag of the image."""
        return self.key[:SHORT]

    def changed_since(self, before: Mapping[str, str]) -> list[str]:
        """The names of entries that were added, removed or changed."""
        names = set(before) | set(self.entries)
        return sorted(name for name in names if before.get(name) != self.entries.get(name))


def image_inputs(recipe: Recipe, parent: str, version: Callable[[str], str], checkout: Path = CHECKOUT) -> Inputs:
    """The inputs of an image; `parent` is the id of its parent, `version` gives the version of a tool.

    Raises InvalidRecipe when a glob finds nothing, ToolsMissing when a program for the image is missing.
    """
    entries = file_digests(recipe, checkout)
    came = origin(checkout, recipe.name, entries)
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries |= {VERSION: str(project["version"]), SOURCE: source_address(project, recipe.name)}
    entries |= {f"tool:{tool}": version(tool) for tool in (*PACKER, *recipe.build.tools)}
    entries |= {f"binary:{name}": _program_digest(path) for name, path in _programs(recipe).items()}
    if recipe.image.parent is not None:
        entries[f"parent:{recipe.image.parent}"] = parent
    elif recipe.image.origin is not None:
        entries[f"from:{recipe.image.origin}"] = recipe.image.origin.rpartition("@")[2]
    else:
        # These are part of the content: the same files in another commit make another image.
        entries |= {EPOCH: str(came.epoch), REVISION: came.revision}
    return Inputs(entries, came)


def tool_version(name: str) -> str:
    """The version of a tool for keys: of the toolchain's tools, the one in use; of other tools, the one they print."""
    if name in toolchain.NAMES:
        (found,) = toolchain.find_all([name]).items()
        tool, place = found
        return str(getattr(place, "version", tool.pinned))
    program = shutil.which(name)
    return "missing" if program is None else _said(program, Path(program).stat().st_mtime_ns)


@cache
def _said(program: str, changed: int) -> str:
    said = output([program, "--version"], limit=20, env={**os.environ, "LC_ALL": "C"})
    return (said or "unknown").strip().splitlines()[0]


def _programs(recipe: Recipe) -> dict[str, Path]:
    return toolchain.require(*recipe.build.binaries) if recipe.build.binaries else {}


def _program_digest(program: Path) -> str:
    facts = program.stat()
    return _digest_of(program, facts.st_mtime_ns, facts.st_size, facts.st_ino)


@cache
def _digest_of(program: Path, *facts: int) -> str:
    return digest(program).removesuffix("+x")
