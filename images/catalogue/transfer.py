"""Imports records of builds that were made elsewhere from an archive into the catalogue, if they are complete.

The archive is a tar file with members `images/<name>/builds/<build>/<file>` and `images/<name>/journal.jsonl`, as they
are in the state folder where the images were made. The archive isn't trusted: a path of another form, a link, a file
that doesn't match the record, or a record of something else, and nothing is imported.
"""

import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from images.catalogue.attesting import attest
from images.catalogue.channels import Catalogue
from images.catalogue.journal import JOURNAL, Channel, Entry, JournalEvent
from images.catalogue.records import BUILD, PROVENANCE, RECORD, SUMS, BuildRecord, make_folder, sha256
from images.errors import RecordsRefused

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

LARGEST = 256 * 1024**2
"""The most bytes of an archive's content."""

MOST = 2000
"""The most members of an archive."""


@dataclass
class _Received:
    """What the archive contains about one image."""

    builds: set[str] = field(default_factory=set)
    journal: list[Entry] = field(default_factory=list)


def import_records(archive: bytes, catalogue: Catalogue, origin: str, registry: str) -> list[BuildRecord]:
    """Imports the records of an archive (gzip or not) into the catalogue and returns them, the oldest first.

    `origin` is stored in each record. Existing records are skipped. Journal entries about pushing to `registry`
    (`host:port`) are imported too. If this machine's engine has the image of a validated build, `qa` moves to it.
    Raises RecordsRefused, and then nothing was imported.
    """
    make_folder(catalogue.state / "images")
    with tempfile.TemporaryDirectory(prefix=".received-", dir=catalogue.state / "images") as unpacked:
        received = _unpack(archive, Path(unpacked))
        found = [_checked(Path(unpacked), name, build) for name, of in received.items() for build in sorted(of.builds)]
        fresh = [record for record in found if catalogue.records(record.image).find(record.build) is None]
        taken = [_place(record, Path(unpacked), catalogue, origin) for record in fresh]
    taken.sort(key=lambda record: record.started)
    for record in taken:
        if record.usable and catalogue.has_image(record):
            catalogue.move(record, Channel.QA, JournalEvent.MOVED)
        for entry in received[record.image].journal:
            repository = f"{registry}/calvinverse/{record.image}"
            pushed = entry.what is JournalEvent.PUSHED and entry.build == record.build
            if pushed and entry.repository == repository and DIGEST.fullmatch(entry.digest):
                catalogue.note(record, JournalEvent.PUSHED, repository=repository, digest=entry.digest)
    return taken


def _unpack(archive: bytes, folder: Path) -> Mapping[str, _Received]:
    received: dict[str, _Received] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as opened:
            for count, member in enumerate(opened):
                total += member.size
                if total > LARGEST or count >= MOST:
                    raise RecordsRefused("The received records are too large.")
                name, build, file = _place_of(member)
                content = opened.extractfile(member)
                assert content is not None
                data = content.read()
                of = received.setdefault(name, _Received())
                if not build:
                    of.journal += _entries(data)
                    continue
                of.builds.add(build)
                target = folder / name / build / file
                make_folder(target.parent)
                with target.open("xb") as stream:
                    stream.write(data)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise RecordsRefused(f"The received records can't be unpacked: {error}.") from error
    return received


def _place_of(member: tarfile.TarInfo) -> tuple[str, str, str]:
    """Image, build and file of a member; no build for a journal. Raises RecordsRefused for anything else."""
    parts = PurePosixPath(member.name).parts
    if member.isfile():
        match parts:
            case ("images", name, "builds", build, file):
                if NAME.fullmatch(name) and BUILD.fullmatch(build) and FILE.fullmatch(file):
                    return name, build, file
            case ("images", name, "journal.jsonl"):
                if NAME.fullmatch(name):
                    return name, "", JOURNAL
            case _:
                pass
    raise RecordsRefused(f"{member.name!r} is no part of a record.")


def _entries(data: bytes) -> list[Entry]:
    found = []
    for line in data.decode(errors="replace").splitlines():
        try:
            found.append(Entry.model_validate(json.loads(line)))
        except ValueError:
            continue  # skipped, like lines that the journal can't read
    return found


def _checked(unpacked: Path, name: str, build: str) -> BuildRecord:
    """The record of an unpacked build. Raises RecordsRefused unless all files match it."""
    folder = unpacked / name / build
    try:
        record = BuildRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError) as error:
        raise RecordsRefused(f"The build {build} of {name} has no record that can be read.") from error
    if (record.image, record.build) != (name, build):
        raise RecordsRefused(f"The record of {build} of {name} is one of {record.build} of {record.image}.")
    there = {file.name for file in folder.iterdir()} - {RECORD, SUMS, PROVENANCE}
    if there != set(record.files) or any(sha256(folder / file) != digest for file, digest in record.files.items()):
        raise RecordsRefused(f"The files of {build} of {name} don't match its record.")
    if record.reference != f"calvinverse/{name}:{record.key[:12]}":
        raise RecordsRefused(f"The record of {build} of {name} names another image: {record.reference}.")
    if record.image_id and not DIGEST.fullmatch(record.image_id):
        raise RecordsRefused(f"The record of {build} of {name} names no image: {record.image_id!r}.")
    return record


def _place(record: BuildRecord, unpacked: Path, catalogue: Catalogue, origin: str) -> BuildRecord:
    """Moves a record to its place. Checksums and provenance are written again: they include the origin."""
    records = catalogue.records(record.image)
    folder = records.folder / "builds" / record.build
    make_folder(folder.parent)
    source = unpacked / record.image / record.build
    for made_anew in (RECORD, SUMS, PROVENANCE):
        (source / made_anew).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)  # has no readable record: a killed import left it
    source.rename(folder)
    log = folder / record.log.name if record.log.suffix else folder
    kept = records.keep(record.model_copy(update={"origin": origin, "log": log}))
    attest(kept, catalogue.state)
    return kept
