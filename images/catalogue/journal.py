"""The journal of an image's builds: one line for each event after they were recorded, append-only.

The journal defines the channels: `qa` is the newest validated build, `production` the build that was promoted last,
without undone promotions.
"""

import json
import os
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from images.catalogue.records import make_folder
from images.errors import ImageRecordUnreadable

JOURNAL = "journal.jsonl"


class Channel(StrEnum):
    """The channels; each is also a tag that moves to its build."""

    QA = "qa"
    PRODUCTION = "production"


class JournalEvent(StrEnum):
    """The kinds of events of a build."""

    MOVED = "moved"
    """A channel was moved to it."""
    UNDONE = "undone"
    """A channel was moved back from it."""
    PUSHED = "pushed"
    """It was pushed; `repository` and `digest` identify it in the registry."""
    REMOVED = "removed"
    """Its image was removed from the engine."""


class Entry(BaseModel):
    """One line: an event, its build, its time, and who caused it."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    by: str
    what: JournalEvent
    build: str
    channel: Channel | None = None
    repository: str = ""
    digest: str = ""


class Journal:
    """The journal of one image, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / JOURNAL

    def add(self, entry: Entry) -> None:
        """Appends a line durably. Readers never see a part of one."""
        make_folder(self._file.parent)
        descriptor = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A line that a crash left incomplete is kept; the new entry begins on a new line.
            end = os.fstat(descriptor).st_size
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            os.write(
                descriptor, (("\n" if torn else "") + entry.model_dump_json(exclude_defaults=True) + "\n").encode()
            )
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """All entries, the oldest first, without incomplete lines."""
        return list(self._read())

    def _read(self) -> Iterator[Entry]:
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ImageRecordUnreadable(
                f"The journal {self._file} can't be read: {error.strerror}.",
                hint="Remove what is in its place; `doit build` then begins a new one.",
            ) from error
        for line in lines:
            try:
                yield Entry.model_validate(json.loads(line))
            except (ValueError, ValidationError, RecursionError):
                continue

    def stack(self, channel: Channel) -> list[str]:
        """The builds of a channel without those that were undone; the last one is the present build."""
        found: list[str] = []
        for entry in self.entries():
            if entry.channel is not channel:
                continue
            if entry.what is JournalEvent.MOVED:
                found.append(entry.build)
            elif entry.what is JournalEvent.UNDONE and found:
                found.pop()
        return found

    def at(self, channel: Channel) -> str | None:
        """The build in a channel; None before the first one."""
        stack = self.stack(channel)
        return stack[-1] if stack else None

    def pushes(self, build: str) -> list[Entry]:
        """The references under which a build was pushed."""
        return [entry for entry in self.entries() if entry.what is JournalEvent.PUSHED and entry.build == build]
