"""Finds and removes what builds of tools leave behind."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from environments.kept_files import NotKept, read_object
from images.commands import run
from images.places import cache_folder
from images.toolchain.catalogue import tools
from images.toolchain.go import NAME


@dataclass(frozen=True)
class Cleaning:
    """Something that can be removed: description, size in bytes, path, and the `go clean` command if there is one.

    `program` is the Go for that command: the one that filled a cache in our own folder, since there may be no other.
    """

    what: str
    bytes: int
    folders: tuple[Path, ...]
    go: tuple[tuple[str, str], ...] = ()
    go_flags: tuple[str, ...] = ()
    program: str = NAME

    def remove(self) -> None:
        """Remove it. Raises CommandFailed when `go clean` fails."""
        if self.go_flags:
            env = {**os.environ, **dict(self.go)}
            run([self.program, "clean", *self.go_flags], limit=600, env=env).check("Go can't clean its caches")
        else:
            for folder in self.folders:
                shutil.rmtree(folder, ignore_errors=True)


def removable() -> list[Cleaning]:
    """Go's caches that our builds used, builds of other versions of this project, and remains of killed builds.

    The Go of the wheel comes last, since it removes its own caches.
    """
    cache = cache_folder()
    caches: dict[tuple[str, str], None] = {}
    for file in sorted((cache / "tools").glob("*/*/build.json")):
        with suppress(NotKept, LookupError, TypeError):  # then it isn't known, and stays
            go = read_object(file)["go"]
            caches[str(go["GOCACHE"]), str(go["GOMODCACHE"])] = None
    return [*_go_caches(caches, cache), *_old_builds(cache), *_own_go(cache)]


def _go_caches(caches: dict[tuple[str, str], None], cache: Path) -> Iterator[Cleaning]:
    own = tools()[NAME].cached(cache)
    for compiled, modules in caches:
        program = str(own) if own.is_file() and Path(compiled).is_relative_to(cache) else NAME
        kinds = {
            "GOCACHE": ("what Go compiled", compiled, "-cache"),
            "GOMODCACHE": ("modules Go fetched", modules, "-modcache"),
        }
        for variable, (what, folder, flag) in kinds.items():
            path = Path(folder)
            if path.is_dir() and (used := disk_usage(path)):
                yield Cleaning(what, used, (path,), ((variable, folder),), (flag,), program)


def _old_builds(cache: Path) -> Iterator[Cleaning]:
    wanted = {tool.cached(cache) for tool in tools().values() if tool.buildable}
    old = tuple(
        folder
        for folder in sorted((cache / "tools").glob("*/*"))
        if not any(program.is_relative_to(folder) for program in wanted)
    )
    if old:
        yield Cleaning("builds of other versions", sum(map(disk_usage, old)), old)


def _own_go(cache: Path) -> Iterator[Cleaning]:
    folder = tools()[NAME].published(cache)
    if folder.is_dir():
        yield Cleaning("the Go that built tools", disk_usage(folder), (folder,))


def disk_usage(folder: Path) -> int:
    """The size in bytes of the files below a folder; files that vanish meanwhile don't count."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += Path(place, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
