"""What is known of each build: one folder a build in the state folder, and beside them the good build of each key.

images/<name>/lock                        held while the image is being made
images/<name>/current                     the id of the build under way; what a killed builder leaves is found by it
images/<name>/builds/<build>/record.json  with packer.log, manifest.json, validation.log, packages.tsv
images/<name>/good/<tag>.json             the last good build with this key
images/<name>/good.json                   the last good build
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from images.errors import ImageBuildFailed

RECORD = "record.json"
WAIT = 1800.0
"""Seconds that a build waits for another of the same image."""


class Validation(BaseModel):
    """How an image was validated: `tests` is the digest of the tests' files, `passed` and `failed` count them."""

    model_config = ConfigDict(frozen=True)

    tests: str
    passed: int
    failed: int
    names: tuple[str, ...]
    at: datetime
    seconds: float
    log: Path

    @property
    def good(self) -> bool:
        """Whether something was tested and nothing failed."""
        return self.passed > 0 and self.failed == 0


class BuildRecord(BaseModel):
    """One build: what went in, what came out, how long it took, where its log is, and whether it may be used.

    `made_by` is the id of the build that made the image: this one, an earlier one when the image was only validated
    anew, or empty when that one is recorded in another state folder. `image_id` is empty when nothing came out.
    `reference` names exactly this image: its tag is the beginning of the key. `seconds` tells how long each part took.
    `commit` is empty outside of git; `dirty` says that inputs weren't committed.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    build: str
    status: Literal["good", "failed", "interrupted"]
    key: str
    reference: str
    image_id: str = ""
    made_by: str = ""
    parent_id: str = ""
    inputs: dict[str, str]
    started: datetime
    seconds: dict[str, float]
    size: int = 0
    commit: str = ""
    dirty: bool = False
    log: Path
    validation: Validation | None = None
    error: str = ""


class Records:
    """The records of one image below the state folder, which is made 0700 with files 0600."""

    def __init__(self, state: Path, image: str) -> None:
        self.folder = state / "images" / image
        self._image = image

    def start(self, build: str) -> Path:
        """The new folder of a build, which is the one under way until `end`."""
        folder = self.folder / "builds" / build
        _make_folder(folder)
        _write(self.folder / "current", build)
        return folder

    def unfinished(self) -> str | None:
        """The id of a build that never came to its end, though nobody holds the lock any more."""
        try:
            return (self.folder / "current").read_text(encoding="utf-8") or None
        except FileNotFoundError:
            return None

    def end(self) -> None:
        """No build is under way."""
        (self.folder / "current").unlink(missing_ok=True)

    def keep(self, record: BuildRecord) -> None:
        """Writes a record; a good one becomes the good build of its key, and the last good one."""
        content = record.model_dump_json(indent=2)
        folder = self.folder / "builds" / record.build
        _write(folder / RECORD, content)
        for file in folder.iterdir():
            file.chmod(0o600)
        if record.status == "good":
            self.choose(record)

    def choose(self, record: BuildRecord) -> None:
        """Makes a good build the last good one."""
        content = record.model_dump_json(indent=2)
        _write(self.folder / "good" / f"{record.reference.rpartition(':')[2]}.json", content)
        _write(self.folder / "good.json", content)

    def good(self, key: str | None = None) -> BuildRecord | None:
        """The last good build, or the one with this key; None if there is none that can be read."""
        file = self.folder / "good.json" if key is None else self.folder / "good" / f"{key[:12]}.json"
        try:
            record = BuildRecord.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return record if key is None or record.key == key else None

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Holds the image for one builder at a time and gives the lock's file, to be passed on to children.

        A child that outlives a killed builder so keeps the next one waiting. Raises ImageBuildFailed after WAIT.
        """
        _make_folder(self.folder)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + WAIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ImageBuildFailed(
                            f"Another build of {self._image} has been running for {WAIT / 60:.0f} minutes.",
                            hint="Wait for it, or end it.",
                        ) from None
                    time.sleep(0.2)
            yield descriptor
        finally:
            os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Makes a folder for its owner alone, and those above it that are missing."""
    for missing in (*reversed([above for above in folder.parents if not above.exists()]), folder):
        missing.mkdir(mode=0o700, exist_ok=True)


def _write(file: Path, content: str) -> None:
    """Puts a file in place whole or not at all."""
    _make_folder(file.parent)
    new = file.with_name(f".{file.name}-{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    new.replace(file)
