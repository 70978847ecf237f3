"""The tools: reads tools.toml and the folders beside it into objects."""

import hashlib
import json
import platform
import re
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from images.toolchain.versions import Range, Version

FOLDER = Path(__file__).resolve().parent

Purpose = Literal["deploy", "asked", "tests", "building"]
"""What needs a tool: every deployment; an image or a test, which asks for it; nothing but tests; building others."""


@dataclass(frozen=True)
class GoModule:
    """A program that is built from a Go module; go.mod and go.sum in the tool's folder pin every source.

    A `portable` one is for images: it needs no library of the machine that runs it, and contains no path of the machine
    that built it, so that the same Go builds the same bytes anywhere.
    """

    package: str
    tags: tuple[str, ...] = ()
    ldflags: str = ""
    cgo: bool = False
    portable: bool = False
    data: tuple[str, ...] = ()
    """Folders of the module that the program reads when it runs, which are put beside it."""

    files = ("go.mod", "go.sum")

    def arguments(self) -> list[str]:
        """The arguments of `go build` that affect the result."""
        flags = ["-buildvcs=false", "-mod=readonly"]
        if self.portable:
            flags.append("-trimpath")
        if self.tags:
            flags += ["-tags", ",".join(self.tags)]
        if self.ldflags:
            flags += ["-ldflags", self.ldflags]
        return [*flags, self.package]

    def use_of_c(self) -> str:
        """The value of CGO_ENABLED; empty for Go's default."""
        return "1" if self.cgo else "0" if self.portable else ""


@dataclass(frozen=True)
class Wheel:
    """A program in a wheel; the requirements file in the tool's folder pins it by hash."""

    distribution: str
    executable: str

    files = ("requirements.lock",)

    def arguments(self) -> list[str]:
        """The arguments of `pip install` that affect the result."""
        return ["--require-hashes", "--no-deps", "--only-binary", ":all:"]


@dataclass(frozen=True)
class Tool:
    """One tool: supported versions, the pinned version, and its source."""

    name: str
    wanted: Range
    pinned: Version
    version_arguments: tuple[str, ...]
    source: GoModule | Wheel
    folder: Path
    purpose: Purpose = "deploy"
    provider: str = ""
    """For a provider of OpenTofu: the address `<namespace>/<type>` in modules."""

    @property
    def tests_only(self) -> bool:
        """Whether nothing but tests needs it."""
        return self.purpose == "tests"

    @property
    def buildable(self) -> bool:
        """Whether the files that pin the source exist; an installed wheel may lack them."""
        return all((self.folder / name).is_file() for name in self.source.files)

    def go_version(self) -> Version | None:
        """The Go version that go.mod requires, or None for a tool that needs no Go."""
        if not isinstance(self.source, GoModule) or not self.buildable:
            return None
        found = re.search(r"^go (\S+)$", (self.folder / "go.mod").read_text(), re.MULTILINE)
        return Version.parse(found.group(1)) if found else None

    def modules(self) -> int:
        """How many lines of go.sum pin its modules; 0 for a tool that needs no Go."""
        if not isinstance(self.source, GoModule) or not self.buildable:
            return 0
        return len((self.folder / "go.sum").read_text().splitlines())

    def key(self) -> str:
        """The key of a build: version, and a digest of the pinned sources, the flags and the platform."""
        digest = hashlib.sha256()
        facts = [self.name, str(self.pinned), sys.platform, platform.machine(), *self.source.arguments()]
        digest.update(json.dumps(facts).encode())
        if isinstance(self.source, GoModule):
            digest.update({"1": b"cgo", "0": b"no cgo", "": b"any"}[self.source.use_of_c()])
            for name in self.source.data:
                digest.update(b"\0" + name.encode())
        for name in self.source.files:
            digest.update(b"\0" + (self.folder / name).read_bytes())
        return f"{self.pinned}-{digest.hexdigest()[:16]}"

    def cached(self, cache_folder: Path) -> Path:
        """The path of the built program in a cache folder."""
        program = self.source.executable if isinstance(self.source, Wheel) else self.name
        return self.published(cache_folder) / program

    def published(self, cache_folder: Path) -> Path:
        """The folder of the finished build in a cache folder."""
        return cache_folder / "tools" / self.name / self.key()


def read(text: str, folder: Path = FOLDER) -> dict[str, Tool]:
    """Read a tools.toml whose tools have folders in `folder`; ValueError, KeyError or TypeError if it isn't valid."""
    return {name: _tool(name, table, folder / name) for name, table in tomllib.loads(text).items()}


@cache
def tools() -> dict[str, Tool]:
    """The tools of this version of Calvinverse, by name."""
    return read((FOLDER / "tools.toml").read_text())


def _tool(name: str, table: dict[str, Any], folder: Path) -> Tool:
    source: GoModule | Wheel
    if "go" in table:
        given = dict(table["go"])
        source = GoModule(**given | {name: tuple(given.get(name, ())) for name in ("tags", "data")})
    else:
        source = Wheel(**table["wheel"])
    return Tool(
        name=name,
        wanted=Range.parse(table["wanted"]),
        pinned=Version.parse(table["pinned"]),
        version_arguments=tuple(table.get("version", ())),
        source=source,
        folder=folder,
        purpose=table.get("purpose", "deploy"),
        provider=table.get("provider", ""),
    )
