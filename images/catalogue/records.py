"""Records of builds: one folder for each build in the state folder, which doesn't change after the build has ended.

images/<name>/lock                        held while the image is being made
images/<name>/current                     the id of the running build and its work folder, to find what a killed
                                          builder left
images/<name>/journal.jsonl               events of builds after their end (see `images.catalogue.journal`)
images/<name>/builds/<build>/record.json  with packer.log, validation.log, packages.tsv, sbom.cdx.json, SHA256SUMS and
                                          provenance.dsse.json
"""

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.kept_files import NotKept, read_kept
from environments.private_files import discard, write_private
from images.errors import ImageBuildFailed

RECORD = "record.json"
SUMS = "SHA256SUMS"
PACKAGES = "packages.tsv"
SBOM = "sbom.cdx.json"
PROVENANCE = "provenance.dsse.json"
PACKER_LOG = "packer.log"
VALIDATION_LOG = "validation.log"

BUILD = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{12}-[0-9a-f]{4}")
"""The id of a build: when it began, the beginning of its key, and what no other has."""

WAIT = 1800.0
"""Seconds that a build waits for another build of the same image."""

Status = Literal["good", "failed", "interrupted", "unvalidated"]


class Validation(BaseModel):
    """How an image was validated: tests, results, time and user.

    `tests` is the digest of everything that affects the tests; `files` has the SHA-256 of each test file by its path in
    the checkout; `names` are the tests that passed.
    """

    model_config = ConfigDict(frozen=True)

    tests: str
    files: dict[str, str] = Field(default_factory=dict)
    passed: int
    failed: int
    names: tuple[str, ...]
    at: datetime
    by: str = ""
    seconds: float

    @property
    def good(self) -> bool:
        """Whether at least one test ran and none failed."""
        return self.passed > 0 and self.failed == 0


class BuildRecord(BaseModel):
    """One build: inputs, results, durations, the log, and whether its image may be used.

    `made_by` is the id of the build that made the image: this one, an earlier one if the image was only validated
    again, or empty if that one is recorded in another state folder. `image_id` is empty if no image was made.
    `reference` identifies this image: its tag is the beginning of the key. `inputs` has digests of files by path,
    and other inputs by a name with a colon (`tool:packer`). `seconds` has the duration of each part. `commit` is
    empty outside of git; `dirty` says that inputs weren't committed. `files` has the SHA-256 of the other files in the
    record's folder. `origin` says where the image was made, if not on this machine.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    build: str
    status: Status
    key: str
    reference: str
    image_id: str = ""
    made_by: str = ""
    parent_id: str = ""
    inputs: dict[str, str]
    started: datetime
    by: str = ""
    seconds: dict[str, float]
    size: int = 0
    commit: str = ""
    dirty: bool = False
    log: Path
    validation: Validation | None = None
    files: dict[str, str] = Field(default_factory=dict)
    error: str = ""
    origin: str = ""

    @property
    def own_tag(self) -> str:
        """A tag that names this image alone, whatever other checkouts build from the same inputs in this engine."""
        return f"calvinverse/{self.image}:id-{self.image_id.removeprefix('sha256:')[:12]}"

    @property
    def tools(self) -> dict[str, str]:
        """Versions of the build tools, by name."""
        return tools_of(self.inputs)

    @property
    def folder(self) -> Path:
        """The folder of the record."""
        return self.log.parent if self.log.suffix else self.log

    @property
    def usable(self) -> bool:
        """Whether the image was built and validated: only then may it be promoted or deployed."""
        return self.status == "good" and bool(self.image_id) and self.validation is not None and self.validation.good


class Records:
    """The records of one image below the state folder; folders have the mode 0700, files 0600."""

    def __init__(self, state: Path, image: str) -> None:
        self.folder = state / "images" / image
        self._image = image

    def start(self, build: str, work: Path | None = None) -> Path:
        """Creates the folder of a build, which is the current build until `end`; `work` is its temporary folder."""
        folder = self.folder / "builds" / build
        make_folder(folder)
        write_private(self.folder / "current", build if work is None else f"{build}\n{work}")
        return folder

    def unfinished(self) -> str | None:
        """The id of a build that was not ended, although no process holds the lock."""
        return next(iter(self._current()), None)

    def unfinished_work(self) -> Path | None:
        """The temporary folder of that build, if it is known."""
        match self._current():
            case [build, work] if (
                work.isprintable() and Path(work).is_absolute() and Path(work).name == work_name(build)
            ):
                return Path(work)
        return None

    def _current(self) -> list[str]:
        """Its lines; none if the first isn't the id of a build, as after a power loss."""
        try:
            lines = read_kept(self.folder / "current").splitlines()
        except NotKept:
            return []
        return lines if lines and BUILD.fullmatch(lines[0]) else []

    def end(self) -> None:
        """Records that no build is running."""
        discard(self.folder / "current")

    def keep(self, record: BuildRecord) -> BuildRecord:
        """Writes a record and the checksums of its files; returns the stored record."""
        folder = self.folder / "builds" / record.build
        names = sorted(path.name for path in folder.iterdir() if path.name not in (RECORD, SUMS, PROVENANCE))
        record = record.model_copy(update={"files": {name: sha256(folder / name) for name in names}})
        write_private(folder / RECORD, record.model_dump_json(indent=2))
        sums = {RECORD: sha256(folder / RECORD), **record.files}
        write_private(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
        for file in folder.iterdir():
            file.chmod(0o600)
        return record

    def find(self, build: str) -> BuildRecord | None:
        """The record of a build; None if there is none, or it can't be read."""
        file = self.folder / "builds" / build / RECORD
        try:
            record = BuildRecord.model_validate_json(read_kept(file))
        except (NotKept, ValidationError):
            return None
        # The state folder may have been moved, and records may come from other machines.
        return record.model_copy(update={"log": file.parent / record.log.name if record.log.suffix else file.parent})

    def all(self) -> list[BuildRecord]:
        """Every record that can be read, the newest first."""
        folder = self.folder / "builds"
        names = sorted((path.name for path in folder.iterdir()), reverse=True) if folder.is_dir() else []
        return [record for name in names if (record := self.find(name)) is not None]

    def with_key(self, key: str) -> BuildRecord | None:
        """The newest usable build with this key."""
        return next((record for record in self.all() if record.key == key and record.usable), None)

    @property
    def lock_file(self) -> Path:
        """The file of the image's lock."""
        return self.folder / "lock"

    @contextmanager
    def lock(self, wait: float = WAIT) -> Iterator[int]:
        """Locks the image for one builder and returns the lock's file, to be passed to child processes.

        So a child that outlives a killed builder makes the next one wait. Raises ImageBuildFailed after `wait` seconds.
        """
        make_folder(self.folder)
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ImageBuildFailed(
                            f"Another build of {self._image} has been running for {wait / 60:.0f} minutes.",
                            hint="Wait for it, or end it.",
                        ) from None
                    time.sleep(0.2)
            yield descriptor
        finally:
            os.close(descriptor)


def work_name(build: str) -> str:
    """The name of the temporary folder of a build."""
    return f"calvinverse-{build}"


def tools_of(inputs: Mapping[str, str]) -> dict[str, str]:
    """Versions of the tools among the inputs of an image, by name."""
    return {name.removeprefix("tool:"): said for name, said in inputs.items() if name.startswith("tool:")}


def recorded_images(state: Path) -> list[str]:
    """Names of the images with records."""
    folder = state / "images"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def sha256(file: Path) -> str:
    """SHA-256 of a file in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Creates a folder for its owner only, with missing parents."""
    for missing in (*reversed([above for above in folder.parents if not above.exists()]), folder):
        missing.mkdir(mode=0o700, exist_ok=True)
