"""What the build of each tool takes of the processors, as measured, and how long builds still take by that.

`shares.json` has what `doit test:fresh --shares` measured, and nothing else: what is missing there wasn't measured.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from images.places import cache_folder
from images.toolchain.catalogue import FOLDER, Tool, tools

FILE = FOLDER / "shares.json"

WEIGHT = 120.0
"""Processor seconds of builds after which the pace that was seen counts as much as the one that was expected."""

NEARLY = 0.95
"""The most that a build can have done before it ends: how many packages it compiles may differ, and then it links."""


@dataclass(frozen=True)
class Share:
    """One build: processor seconds, and how many packages it compiled. Earlier builds leave less to later ones."""

    processor_seconds: float
    packages: int = 0


class Progress(Protocol):
    """A build of a tool, waiting, running or done."""

    tool: Tool
    packages: int
    seconds: float | None


def read_shares(file: Path = FILE) -> dict[str, Share]:
    """The measured shares by name of tool; without a readable file there are none, as they are only for estimates."""
    try:
        return {
            str(name): Share(float(row["processor_seconds"]), int(row.get("packages", 0)))
            for name, row in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


@cache
def shares() -> Mapping[str, Share]:
    """The shares that are kept in the catalogue."""
    return read_shares()


def write_shares(file: Path = FILE, cache: Path | None = None) -> dict[str, Share]:
    """Take the shares of the builds in a cache folder, and keep those of tools that it lacks."""
    folder = cache or cache_folder()
    found = read_shares(file)
    for name, tool in tools().items():
        try:
            made = json.loads((tool.published(folder) / "build.json").read_text(encoding="utf-8"))
            found[name] = Share(float(made["processor_seconds"]), int(made.get("packages", 0)))
        except (OSError, ValueError, LookupError, TypeError):
            continue
    rows = {
        name: {"processor_seconds": share.processor_seconds, "packages": share.packages}
        for name, share in sorted(found.items())
    }
    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return found


def share_of(tool: Tool, known: Mapping[str, Share] | None = None) -> Share | None:
    """The share of a tool; None if it wasn't measured."""
    return (shares() if known is None else known).get(tool.name)


def longest_first(missing: Iterable[Tool], known: Mapping[str, Share] | None = None) -> list[Tool]:
    """Tools in the order in which they are built: one that takes long and starts late would run alone at the end.

    Where one of them wasn't measured, those with the most modules come first.
    """
    found = list(missing)
    measured = {tool.name: share.processor_seconds for tool in found if (share := share_of(tool, known)) is not None}
    weights = measured if len(measured) == len(found) else {tool.name: float(tool.modules()) for tool in found}
    return sorted(found, key=lambda tool: weights[tool.name], reverse=True)


def done(job: Progress, known: Mapping[str, Share] | None = None) -> float:
    """How much of its share a build has done, 0 to 1."""
    if job.seconds is not None:
        return 1.0
    share = share_of(job.tool, known)
    return min(NEARLY, job.packages / share.packages) if share is not None and share.packages else 0.0


def seconds_left(
    jobs: Sequence[Progress],
    elapsed: float,
    *,
    processors: int | None = None,
    known: Mapping[str, Share] | None = None,
) -> float | None:
    """How many seconds the builds still take that began `elapsed` seconds ago and share the processors.

    At first it is the work that is left, spread over the processors; the more is done, the more the pace counts at
    which that was done. None: one that hasn't ended wasn't measured.
    """
    if any(job.seconds is None and share_of(job.tool, known) is None for job in jobs):
        return None
    found = [(share_of(job.tool, known), job) for job in jobs]
    work = [(share.processor_seconds, done(job, known)) for share, job in found if share is not None]
    finished = sum(seconds * part for seconds, part in work)
    left = sum(seconds * (1 - part) for seconds, part in work)
    expected = WEIGHT / (processors or os.cpu_count() or 1)
    return left * (expected + elapsed) / (WEIGHT + finished)


def about(seconds: float | None) -> str:
    """A time for people, which is an estimate, after what it belongs to: `, about 9 min`, `, about 40 s`.

    Empty for None: nothing was measured.
    """
    if seconds is None:
        return ""
    if seconds >= 90:
        return f", about {round(seconds / 60)} min"
    return f", about {max(10, round(seconds, -1)):.0f} s"
