"""Things that are files, shared by several processes, and a log of every action in order."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from environments.domain.environment import ResourceRef
from environments.domain.plan import Change
from environments.domain.template import Bundle
from environments.steps.base import Intended, Observation, Options, Owner, Presence, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly

SHARED_FILES = "SHARED_FILES"
"""The environment variable that names their folder."""

KIND = "test.file"


class Line(NamedTuple):
    """An action, and the process that did it."""

    verb: str
    environment: str
    step: str
    worker: str
    epoch: int
    pid: int


def read_lines(files: Path) -> list[Line]:
    """All actions so far."""
    text = (files / "log").read_text() if (files / "log").exists() else ""
    rows = [row.split() for row in text.splitlines()]
    return [Line(row[0], row[1], row[2], row[3], int(row[4]), int(row[5])) for row in rows if len(row) == 6]


def _write(files: Path, verb: str, owner: Owner, step: str, run: StepRun) -> None:
    holder = run.holder
    worker, epoch = (holder.worker, holder.epoch) if holder else ("-", 0)
    with (files / "log").open("a") as log:  # one write of one short line: lines of several processes don't mix
        log.write(f"{verb} {owner.name} {step} {worker} {epoch} {os.getpid()}\n")


class GateOptions(Options):
    """`waits`: it goes on when the file `open-<environment>` is there."""

    waits: bool = False


class GateExecutor(OwnThingsOnly):
    """Makes a file, after a gate was opened."""

    kind: ClassVar[str] = "test.gate"
    options: ClassVar[type[Options]] = GateOptions
    time_limit: ClassVar[timedelta] = timedelta(minutes=5)
    description: ClassVar[str] = "Makes a file."

    def __init__(self, files: Path) -> None:
        self._files = files

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        return []

    def resources(self, context: StepContext) -> Sequence[Intended]:
        return [Intended(ResourceRef(kind=KIND, address=f"{context.owner.name}--{context.step}"))]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        _write(self._files, "begun", context.owner, context.step, run)
        run.log(f"{context.step} begins")
        while context.options.waits and not (self._files / f"open-{context.owner.name}").exists():
            run.wait(0.1)
        run.before_effect()
        thing = self._files / "things" / f"{context.owner.name}--{context.step}"
        if not thing.exists():
            thing.write_text(context.owner.id)
            _write(self._files, "made", context.owner, context.step, run)
        return {}

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        return ()


class FileHandler:
    """Takes such files away."""

    kind: ClassVar[str] = KIND

    def __init__(self, files: Path) -> None:
        self._files = files

    def observe(self, address: str, owner: Owner) -> Observation:
        thing = self._files / "things" / address
        if not thing.exists():
            return Observation(Presence.ABSENT)
        return Observation(Presence.OURS if thing.read_text() == owner.id else Presence.FOREIGN)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        run.before_effect()
        if self.observe(address, owner).presence is Presence.OURS:
            (self._files / "things" / address).unlink()
            _write(self._files, "removed", owner, address.partition("--")[2], run)
