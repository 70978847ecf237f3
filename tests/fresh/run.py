"""`doit test:fresh`: clones the last commit in a bare Debian 12, makes it ready, and gets every tool from nothing.

It proves that git, make and Python 3.11 are enough up to where a Docker engine is needed. It can't prove what follows:
in a chroot on the network of its host no engine and no cluster can be started beside those of the host.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from doit.exceptions import TaskFailed

from images.places import CHECKOUT
from images.report import duration
from images.system import ensure_debian_packages, is_root
from images.toolchain import DEPLOYED
from images.toolchain.shares import FILE
from tests.fresh.debian import ABSENT, BUNDLE, CHECKOUT_INSIDE, FreshDebian
from tests.suite import say

PREFIX = "calvinverse-fresh-"

DOIT = ".venv/bin/doit"


@dataclass(frozen=True)
class Part:
    """One part of the way, with its time limit in seconds."""

    name: str
    command: str
    limit: float


PARTS = (
    Part("clone", f"git clone -q /opt/{BUNDLE} {CHECKOUT_INSIDE}", 300),
    Part("make ready", "make ready", 1800),
    Part("tools", f"{DOIT} tools", 4 * 3600),
    Part("tools again", f"{DOIT} tools", 300),
    Part("recipes", f"{DOIT} validate:recipes", 600),
)

NOT_PROVEN = (
    "Not proven here: that a Docker engine installs and starts, that images are built, and that the cluster runs. This "
    "place has neither cgroups nor a network of its own, so an engine in it would meddle with that of its host."
)


@dataclass(frozen=True)
class Took:
    """What a part took: seconds by the clock, and of the processors."""

    name: str
    seconds: float
    processor_seconds: float


def main(folder: str = "", keep: bool = False, shares: bool = False) -> object:
    """Whether all of it worked. Removes what it made, unless `keep`; `shares`: keep what the builds took as shares."""
    if not is_root():
        return TaskFailed("Only root can do this: it makes a Debian and enters it by chroot.")
    ensure_debian_packages(["mmdebstrap"], say, why="a bare Debian is made with it")
    place = Path(folder) if folder else Path(os.environ.get("TMPDIR", "/var/tmp"), f"{PREFIX}{os.getpid()}")
    if place.exists():
        return TaskFailed(f"{place} is there already; name another folder.")
    debian = FreshDebian(place.absolute(), say)
    try:
        say(f"Making a bare Debian 12 in {place}.")
        debian.make()
        if there := present(debian):
            return TaskFailed(f"A bare Debian 12 should not have {', '.join(there)}.")
        say(f"It has {debian.says('python3 --version')}, and none of {', '.join(ABSENT)}.")
        took: list[Took] = []
        for part in PARTS:
            say(f"{part.name}: {part.command}")
            ran = debian.run(part.command, limit=part.limit)
            ran.result.check(f"{part.name} failed", log=debian.folder / "commands.log")
            took.append(Took(part.name, ran.seconds, ran.result.processor_seconds))
        for line in table(took, os.cpu_count() or 1):
            say(line)
        if shares:
            debian.says(".venv/bin/python -m images.toolchain shares")
            shutil.copyfile(debian.root / f"{CHECKOUT_INSIDE}/{FILE.relative_to(CHECKOUT)}".lstrip("/"), FILE)
            say(f"{FILE.relative_to(CHECKOUT)} has what the builds took.")
        faults = list(found_faults(debian))
    finally:
        if not keep:
            debian.remove()
    say(NOT_PROVEN)
    return TaskFailed("\n".join(faults)) if faults else True


def present(debian: FreshDebian) -> list[str]:
    """Which of the programs that must be absent are there."""
    return debian.says(f"for name in {' '.join(ABSENT)}; do command -v $name || :; done").split()


def found_faults(debian: FreshDebian) -> Iterator[str]:
    """What isn't as it should be afterwards."""
    for line in debian.says(".venv/bin/python -m images.toolchain list").splitlines():
        name, _, origin, *_ = line.split("\t")
        if origin != "cache" and name in DEPLOYED:
            yield f"{name} is not in the cache: {line}"
    if left := debian.says("ls -d ~/go ~/.cache/go-build 2>/dev/null || :"):
        yield f"Go left its caches outside of ours: {left}"
    if "go" in debian.says("command -v go || :"):
        yield "There is a Go on the PATH."


def table(took: Sequence[Took], processors: int) -> list[str]:
    """Lines with what each part took, and the least that all of it takes on two processors that do nothing else."""
    lines = [
        f"{part.name}: {duration(part.seconds)} by the clock, {part.processor_seconds:.0f} processor seconds"
        for part in took
    ]
    total = sum(part.processor_seconds for part in took)
    lines.append(
        f"Together {total:.0f} processor seconds on this machine of {processors}: on two processors that do nothing "
        f"else at least {total / 2 / 60:.1f} min, by division and not by measurement."
    )
    return lines
