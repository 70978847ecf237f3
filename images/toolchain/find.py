"""Finds tools: on the PATH in a suitable version, else in the cache. Takes milliseconds if nothing has changed."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from environments.kept_files import NotKept, read_object
from images.commands import output
from images.places import cache_folder
from images.toolchain.catalogue import Tool
from images.toolchain.versions import Version

PROBE_LIMIT = 20.0
"""Time limit in seconds for a tool to print its version."""


@dataclass(frozen=True)
class Found:
    """A usable tool: path, version, and whether it comes from the PATH or the cache."""

    path: Path
    version: Version
    origin: Literal["PATH", "cache"]


@dataclass(frozen=True)
class NotFound:
    """No usable tool. Has the programs of that name on the PATH, each with the reason why it isn't usable."""

    unfit: tuple[tuple[Path, str], ...] = ()


@dataclass
class VersionMemory:
    """Versions of programs, stored in the cache folder; a program that has changed is asked again."""

    file: Path
    _known: dict[str, list[object]] = field(default_factory=dict)
    _read: bool = False

    def version(self, program: Path, arguments: tuple[str, ...]) -> Version | None:
        """The version that a program prints; None if it prints none, fails, or exceeds PROBE_LIMIT."""
        try:
            facts = program.stat()
        except OSError:
            return None
        mark = [facts.st_mtime_ns, facts.st_size, facts.st_ino, list(arguments)]
        known = self._load().get(str(program))
        if known is not None and known[:4] == mark:
            return Version.parse(str(known[4]))
        version = ask_version(program, arguments, limit=PROBE_LIMIT)
        if version is not None:
            self._keep(str(program), [*mark, str(version)])
        return version

    def _load(self) -> dict[str, list[object]]:
        if not self._read:
            self._read = True
            try:
                known = read_object(self.file)
            except NotKept:
                # This is only an optimisation: without it, every program is run again.
                known = {}
            self._known = {path: row for path, row in known.items() if isinstance(row, list) and len(row) == 5}
        return self._known

    def _keep(self, program: str, row: list[object]) -> None:
        self._read = False
        known = {path: kept for path, kept in self._load().items() if Path(path).exists()}
        self._known = known | {program: row}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.file.parent, prefix=".versions-", delete=False) as new:
                json.dump(self._known, new, indent=1)
            Path(new.name).replace(self.file)
        except OSError:
            # If the cache can't be written, programs are asked again next time.
            return


def ask_version(program: Path, arguments: Sequence[str], *, limit: float) -> Version | None:
    """The version that a program prints when it is run; None if it prints none, fails, or exceeds `limit`."""
    # Packer and Consul check for new releases when they start, unless this is set.
    said = output([str(program), *arguments], limit=limit, env={**os.environ, "CHECKPOINT_DISABLE": "1"})
    # Some programs print their own path, which contains a version if it is in the cache.
    return None if said is None else Version.find(said.replace(str(program), program.name))


def memory() -> VersionMemory:
    """The stored versions in the machine's cache."""
    return VersionMemory(cache_folder() / "versions.json")


def on_path(name: str) -> Iterator[Path]:
    """Every program of this name on the PATH, in order."""
    seen: set[Path] = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        program = Path(folder or ".").absolute() / name
        if program not in seen and program.is_file() and os.access(program, os.X_OK):
            seen.add(program)
            yield program


def find_tool(tool: Tool, versions: VersionMemory | None = None) -> Found | NotFound:
    """Find one tool."""
    versions = versions or memory()
    unfit: list[tuple[Path, str]] = []
    # A provider prints no version, and is never on the PATH. Tests rely on exactly what is pinned for them.
    for program in () if tool.provider or tool.tests_only else on_path(tool.name):
        version = versions.version(program, tool.version_arguments)
        if version is not None and version in tool.wanted:
            return Found(program, version, "PATH")
        unfit.append((program, f"is {version}" if version else "doesn't tell its version"))
    if tool.buildable:
        program = tool.cached(cache_folder())
        if os.access(program, os.X_OK):
            return Found(program, tool.pinned, "cache")
    return NotFound(tuple(unfit))
