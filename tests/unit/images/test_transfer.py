"""Records that come from elsewhere: taken when they are whole, and otherwise not at all."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from images.catalogue.channels import Catalogue
from images.catalogue.journal import Channel, Entry, JournalEvent
from images.catalogue.records import PROVENANCE, SUMS, BuildRecord, Records, Validation, sha256
from images.catalogue.transfer import import_records
from images.docker import Docker
from images.errors import RecordsRefused
from tests.support.image_recipes import recipe

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEY = "ab" * 32
IMAGE = f"sha256:{'cd' * 32}"
DIGEST = f"sha256:{'ef' * 32}"
BUILD = "20261101T120000-abababababab-0001"
REGISTRY = "127.0.0.1:5000"
ORIGIN = "build-agent/dispatch-1 in builds (env-1)"


@dataclass
class Engine(Docker):
    """An engine that has some images, and remembers what was tagged."""

    images: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)

    def image_ids(self, references: Sequence[str]) -> dict[str, str]:
        return {reference: reference for reference in references if reference in self.images}

    def tag(self, identity: str, reference: str) -> None:
        self.tags[reference] = identity


def record(folder: Path, **changed: object) -> BuildRecord:
    proven = Validation(tests="1", passed=1, failed=0, names=("t",), at=NOON, seconds=1.0)
    return BuildRecord.model_validate(
        {
            "image": "web",
            "build": BUILD,
            "status": "good",
            "key": KEY,
            "reference": f"calvinverse/web:{KEY[:12]}",
            "image_id": IMAGE,
            "made_by": BUILD,
            "inputs": {"images/web/image.toml": "1"},
            "started": NOON,
            "seconds": {"build": 1.0},
            "log": folder / "packer.log",
            "validation": proven,
            **changed,
        }
    )


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The state folder of an agent that made `web` and pushed it."""
    state = tmp_path / "elsewhere"
    made = Records(state, "web")
    folder = made.start(BUILD)
    (folder / "packer.log").write_text("a log")
    made.keep(record(folder))
    catalogue = Catalogue(state, Engine({IMAGE}))
    found = made.find(BUILD)
    assert found is not None
    catalogue.move(found, Channel.QA, JournalEvent.MOVED)
    catalogue.note(found, JournalEvent.PUSHED, repository=f"{REGISTRY}/calvinverse/web", digest=DIGEST)
    catalogue.note(found, JournalEvent.PUSHED, repository="evil.example/calvinverse/web", digest=DIGEST)
    return state


def packed(state: Path, more: Mapping[str, bytes | tarfile.TarInfo] | None = None) -> bytes:
    """An archive as the agent packs it, and other members."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for file in sorted(state.glob("images/*/builds/*/*")) + sorted(state.glob("images/*/journal.jsonl")):
            archive.add(file, file.relative_to(state).as_posix())
        for name, content in (more or {}).items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture
def here(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "here", Engine())


def test_an_image_whose_recipe_is_gone_is_not_deployed(elsewhere: Path, tmp_path: Path) -> None:
    catalogue = Catalogue(elsewhere, Engine({IMAGE}))
    assert catalogue.deployables(checkout=tmp_path) == []
    recipe(tmp_path, "web", "")
    assert [found.name for found in catalogue.deployables(checkout=tmp_path)] == ["web"]


def everything(catalogue: Catalogue) -> list[str]:
    return [str(path) for path in catalogue.state.rglob("*") if path.is_file()]


def test_a_record_is_taken_and_says_where_it_came_from(elsewhere: Path, here: Catalogue) -> None:
    (taken,) = import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    found = here.records("web").find(BUILD)
    assert found == taken
    assert (taken.origin, taken.image_id, taken.log.read_text()) == (ORIGIN, IMAGE, "a log")
    assert taken.folder.is_relative_to(here.state)
    sums = [line.split() for line in (taken.folder / SUMS).read_text().splitlines()]
    assert [sha256(taken.folder / name) for _, name in sums] == [digest for digest, _ in sums]
    assert (taken.folder / PROVENANCE).is_file()
    assert not list(here.state.glob("images/.received-*"))


def test_what_was_pushed_to_this_registry_can_be_deployed(elsewhere: Path, here: Catalogue) -> None:
    import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    (pushed,) = here.journal("web").pushes(BUILD)
    reference = f"{pushed.repository}@{pushed.digest}"
    assert reference == f"{REGISTRY}/calvinverse/web@{DIGEST}"
    assert here.deployable("web", pushed=reference).key == KEY
    assert here.at("web", Channel.QA) is None, "this engine hasn't got the image"


def test_qa_moves_where_the_engine_is_the_same(elsewhere: Path, here: Catalogue) -> None:
    assert isinstance(here.docker, Engine)
    here.docker.images.add(IMAGE)
    import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    assert here.present("web").build == BUILD
    assert here.docker.tags == {"calvinverse/web:qa": IMAGE}


def test_a_second_time_changes_nothing(elsewhere: Path, here: Catalogue) -> None:
    import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    before = {file: Path(file).read_bytes() for file in everything(here)}
    assert import_records(packed(elsewhere), here, "another", REGISTRY) == []
    assert {file: Path(file).read_bytes() for file in everything(here)} == before


def test_a_failed_build_is_taken_and_moves_nothing(elsewhere: Path, here: Catalogue) -> None:
    made = Records(elsewhere, "web")
    folder = elsewhere / "images" / "web" / "builds" / BUILD
    made.keep(record(folder, status="failed", image_id="", validation=None, error="it broke"))
    (taken,) = import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    assert (taken.status, taken.error) == ("failed", "it broke")
    assert here.at("web", Channel.QA) is None


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


PLACE = f"images/web/builds/{BUILD}"


@pytest.mark.parametrize(
    "more",
    [
        {"images/web/builds/../../../x": b""},
        {f"images/../builds/{BUILD}/x": b""},
        {"/etc/x": b""},
        {"images/web/lock": b""},
        {"images/web/builds/other/record.json": b"{}"},
        {f"{PLACE}/.hidden": b""},
        {f"{PLACE}/deeper/x": b""},
        {f"{PLACE}/link": entry(f"{PLACE}/link", tarfile.SYMTYPE, "/etc/shadow")},
        {f"{PLACE}/hard": entry(f"{PLACE}/hard", tarfile.LNKTYPE, f"{PLACE}/record.json")},
        {f"{PLACE}/pipe": entry(f"{PLACE}/pipe", tarfile.FIFOTYPE)},
        {f"{PLACE}/unnamed.txt": b"the record doesn't name it"},
        {f"{PLACE}/packer.log": b"twice"},
        {f"images/web/builds/{BUILD.replace('0001', '0002')}/packer.log": b"without a record"},
    ],
)
def test_anything_else_is_refused_and_nothing_taken(
    elsewhere: Path, here: Catalogue, more: Mapping[str, bytes | tarfile.TarInfo]
) -> None:
    with pytest.raises(RecordsRefused):
        import_records(packed(elsewhere, more), here, ORIGIN, REGISTRY)
    assert everything(here) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "base", "reference": f"calvinverse/base:{KEY[:12]}"},
        {"build": BUILD.replace("0001", "0002")},
        {"reference": "evil.example/web:latest"},
        {"image_id": "calvinverse/web:qa"},
    ],
)
def test_a_record_of_something_else_is_refused(elsewhere: Path, here: Catalogue, changed: Mapping[str, object]) -> None:
    folder = elsewhere / PLACE
    files = {"packer.log": sha256(folder / "packer.log")}
    (folder / "record.json").write_text(record(folder, files=files, **changed).model_dump_json())
    with pytest.raises(RecordsRefused):
        import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    assert everything(here) == []


def test_a_changed_log_is_refused(elsewhere: Path, here: Catalogue) -> None:
    (elsewhere / PLACE / "packer.log").write_text("another log")
    with pytest.raises(RecordsRefused, match="don't match its record"):
        import_records(packed(elsewhere), here, ORIGIN, REGISTRY)


def test_what_is_no_archive_or_too_much_is_refused(
    elsewhere: Path, here: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecordsRefused, match="can't be unpacked"):
        import_records(b"nothing", here, ORIGIN, REGISTRY)
    monkeypatch.setattr("images.catalogue.transfer.LARGEST", 100)
    with pytest.raises(RecordsRefused, match="too large"):
        import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    assert everything(here) == []


def test_a_torn_journal_is_read_as_far_as_it_goes(elsewhere: Path, here: Catalogue) -> None:
    with (elsewhere / "images" / "web" / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"what": "pushed"}) + "\n{")
    import_records(packed(elsewhere), here, ORIGIN, REGISTRY)
    found = here.journal("web").entries()
    assert [one.what for one in found] == [JournalEvent.PUSHED]
    assert isinstance(found[0], Entry)
