"""The parts of the image pipeline that need neither Docker nor Packer."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from images.catalogue.journal import Channel, Entry, Journal
from images.catalogue.records import BuildRecord, Records, make_folder, sha256
from images.errors import ImageBuildFailed, InvalidRecipe, UnknownImage
from images.pipeline.archive import Configuration, write_archive
from images.pipeline.builder import Builder
from images.pipeline.check import check_recipes
from images.pipeline.history import source_address
from images.pipeline.prepare import STEPS, mirrors, mounts_below
from images.pipeline.recipe import load_recipes, with_parents
from images.places import CHECKOUT
from tests.support.image_recipes import ABOUT, keys, recipe

FIRST, SECOND = "20270301T120000-0123456789ab-c0de", "20270301T130000-0123456789ab-c0de"


class TestRecipes:
    def test_those_of_this_checkout_hold_together(self) -> None:
        recipes = load_recipes()
        assert {"base", "provisioning", "web", "registry", "build-agent"} <= set(recipes)
        assert next(iter(recipes)) == "base"
        for found in recipes.values():
            assert set(found.build.prepare) <= set(STEPS)
            assert list(found.folder.glob("*.pkr.hcl"))

    def test_parents_come_first_and_come_along(self, tmp_path: Path) -> None:
        recipe(tmp_path, "a", f'{ABOUT}parent = "z"\n')
        recipe(tmp_path, "m", f'{ABOUT}parent = "a"\n')
        recipe(tmp_path, "z", ABOUT)
        recipes = load_recipes(tmp_path)
        assert list(recipes) == ["z", "a", "m"]
        assert [found.name for found in with_parents(recipes, ["a"])] == ["z", "a"]
        assert [found.name for found in with_parents(recipes, None)] == ["z", "a", "m"]

    def test_an_unknown_image_is_told_from_those_there_are(self) -> None:
        with pytest.raises(UnknownImage, match="base, "):
            with_parents(load_recipes(), ["nothing"])


class TestKey:
    def test_an_input_that_matches_nothing_is_an_error(self, checkout: Path) -> None:
        (checkout / "lock").unlink()
        with pytest.raises(InvalidRecipe, match="lock"):
            keys(checkout)


class TestArchive:
    def write(self, folder: Path, **changes: Any) -> tuple[str, bytes]:
        rootfs = folder / "rootfs.tar"
        with tarfile.open(rootfs, "w") as archive:
            entry = tarfile.TarInfo("hello")
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"hello"))
        wanted: dict[str, Any] = {
            "created": 1735689600,
            "user": "10001:10001",
            "env": {"LANG": "C.UTF-8"},
            "labels": {"a": "b"},
            "command": ["python3"],
            "architecture": "amd64",
        }
        digest = write_archive(rootfs, Configuration(**(wanted | changes)), folder / "image.tar")
        return digest, (folder / "image.tar").read_bytes()

    def test_the_same_inputs_make_the_same_bytes(self, tmp_path: Path) -> None:
        assert self.write(tmp_path) == self.write(tmp_path)

    def test_another_configuration_makes_another_image(self, tmp_path: Path) -> None:
        assert self.write(tmp_path)[0] != self.write(tmp_path, user="0:0")[0]

    def test_it_is_what_docker_load_reads(self, tmp_path: Path) -> None:
        digest, _ = self.write(tmp_path)
        with tarfile.open(tmp_path / "image.tar") as archive:
            content = {entry.name: archive.extractfile(entry) for entry in archive}
            (manifest,) = json.load(content["manifest.json"] or io.BytesIO())
            document = json.load(content[manifest["Config"]] or io.BytesIO())
            layer = content[manifest["Layers"][0]]
            assert layer is not None
            assert layer.read() == (tmp_path / "rootfs.tar").read_bytes()
        assert manifest["Config"] == f"{digest.removeprefix('sha256:')}.json"
        assert document["created"] == "2025-01-01T00:00:00Z"
        assert document["config"]["User"] == "10001:10001"
        assert "LANG=C.UTF-8" in document["config"]["Env"]


class TestMirrors:
    def test_only_those_of_debian_12_are_used(self) -> None:
        assert mirrors(
            "http://mirror.example/debian/ bookworm main Debian\n"
            "http://mirror.example/debian/ bookworm contrib Debian\n"
            "http://mirror.example/debian-security/ bookworm-security main Debian\n"
            "http://other.example/ bookworm main Somebody else\n"
            "http://other.example/ nodistro main Another\n"
        ) == [
            "deb http://mirror.example/debian/ bookworm main",
            "deb http://mirror.example/debian-security/ bookworm-security main",
        ]

    def test_without_package_lists_the_address_tells(self) -> None:
        assert mirrors(
            "http://mirror.example/debian/ bookworm main $(ORIGIN)\nhttp://other.example/ bookworm main $(ORIGIN)\n"
        ) == ["deb http://mirror.example/debian/ bookworm main"]

    def test_a_host_of_another_release_names_none(self) -> None:
        assert mirrors("http://mirror.example/debian/ trixie main Debian\n") == []
        assert mirrors("http://mirror.example/debian/ bookworm-updates main Debian\n") == []
        assert mirrors("") == []


def test_mounts_in_a_work_folder_are_seen(tmp_path: Path) -> None:
    text = (
        f"1 0 0:1 / / rw - ext4 a rw\n"
        f"2 1 0:2 / {tmp_path}/work/root/proc rw - proc a rw\n"
        f"3 1 0:3 / {tmp_path}/work-of-another/sys rw - sysfs a rw\n"
        f"4 2 0:4 / {tmp_path}/work/root/proc/x\\040y rw - tmpfs a rw\n"
    )
    assert mounts_below(tmp_path / "work", text) == [f"{tmp_path}/work/root/proc/x y", f"{tmp_path}/work/root/proc"]


class TestRecords:
    def record(self, build: str, **changes: Any) -> BuildRecord:
        content: dict[str, Any] = {
            "image": "web",
            "build": build,
            "status": "good",
            "key": "a" * 64,
            "reference": "calvinverse/web:aaaaaaaaaaaa",
            "image_id": "sha256:1",
            "inputs": {},
            "started": "2026-11-23T09:00:00Z",
            "seconds": {},
            "log": "/log",
        }
        return BuildRecord.model_validate(content | changes)

    def test_a_build_is_found_by_its_key_if_it_came_to_something(self, tmp_path: Path) -> None:
        records = Records(tmp_path, "web")
        proof = {"tests": "t", "passed": 1, "failed": 0, "names": ["n"], "at": "2026-11-23T09:01:00Z", "seconds": 1}
        kept = []
        for record in (self.record("1", validation=proof), self.record("2", status="failed", key="b" * 64)):
            records.start(record.build)
            kept.append(records.keep(record))
        assert [record.build for record in records.all()] == ["2", "1"]
        found = records.with_key("a" * 64)
        assert found is not None
        assert found.build == "1"
        assert found.folder == records.folder / "builds" / "1"
        assert records.with_key("b" * 64) is None

    def test_it_has_the_checksums_of_its_files(self, tmp_path: Path) -> None:
        records = Records(tmp_path, "web")
        (records.start("1") / "packer.log").write_text("log")
        kept = records.keep(self.record("1"))
        assert kept.files == {"packer.log": sha256(records.folder / "builds" / "1" / "packer.log")}
        assert "record.json" in (records.folder / "builds" / "1" / "SHA256SUMS").read_text()

    def test_a_build_that_never_ended_is_known(self, tmp_path: Path) -> None:
        records = Records(tmp_path, "web")
        assert records.unfinished() is None
        records.start(FIRST)
        assert (records.unfinished(), records.unfinished_work()) == (FIRST, None)
        records.start(SECOND, tmp_path / f"calvinverse-{SECOND}")
        assert (records.unfinished(), records.unfinished_work()) == (SECOND, tmp_path / f"calvinverse-{SECOND}")
        records.end()
        assert records.unfinished() is None

    @pytest.mark.parametrize(
        "work",
        [
            f"calvinverse-{FIRST}",
            f"/home/{FIRST}",
            f"/home/my-calvinverse-{FIRST}",
            f"/\0/calvinverse-{FIRST}",
            "/",
            "",
        ],
    )
    def test_nothing_but_a_work_folder_is_taken_for_one(self, tmp_path: Path, work: str) -> None:
        records = Records(tmp_path, "web")
        records.start(FIRST)
        (records.folder / "current").write_text(f"{FIRST}\n{work}")
        assert (records.unfinished(), records.unfinished_work()) == (FIRST, None)

    @pytest.mark.parametrize("left", [b"\xff", b"\0" * 40, b"", b"\n/home", b"1\n/home/calvinverse-1", b"../..\n/home"])
    def test_what_names_no_build_is_none_and_the_next_one_goes_on(self, tmp_path: Path, left: bytes) -> None:
        """A power loss leaves NULs, or nothing."""
        records = Records(tmp_path, "web")
        make_folder(records.folder)
        (records.folder / "current").write_bytes(left)
        assert (records.unfinished(), records.unfinished_work()) == (None, None)
        Builder(state=tmp_path).clean_up_killed(lambda _: None)
        records.start(FIRST)
        assert records.unfinished() == FIRST

    def test_a_lock_that_another_process_has_is_not_waited_for_longer_than_asked(self, tmp_path: Path) -> None:
        records = Records(tmp_path, "web")
        with records.lock(), pytest.raises(ImageBuildFailed), records.lock(0):
            pass

    def test_everything_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        records = Records(tmp_path / "state", "web")
        folder = records.start("1")
        (folder / "packer.log").write_text("")
        records.keep(self.record("1"))
        with records.lock():
            found = [path for path in (tmp_path / "state").rglob("*") if path.stat().st_mode & 0o077]
        assert found == []

    def test_a_record_that_can_not_be_read_is_no_record(self, tmp_path: Path) -> None:
        records = Records(tmp_path, "web")
        records.start("1")
        (records.folder / "builds" / "1" / "record.json").write_text("{")
        assert records.find("1") is None
        assert records.all() == []


class TestJournal:
    def entry(self, build: str, what: str = "moved", channel: str = "qa") -> Entry:
        content = {"at": "2026-11-23T09:00:00Z", "by": "ada", "what": what, "build": build, "channel": channel}
        return Entry.model_validate(content)

    def test_a_channel_is_where_it_was_moved_last_and_not_taken_back(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        assert journal.at(Channel.QA) is None
        for entry in (self.entry("1"), self.entry("2"), self.entry("9", channel="production")):
            journal.add(entry)
        assert journal.at(Channel.QA) == "2"
        journal.add(self.entry("2", "undone"))
        assert journal.at(Channel.QA) == "1"
        journal.add(self.entry("3"))
        assert journal.stack(Channel.QA) == ["1", "3"]
        assert journal.at(Channel.PRODUCTION) == "9"

    def test_a_line_that_a_crash_cut_short_is_passed_over_and_nothing_is_lost_after_it(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        journal.add(self.entry("1"))
        file = tmp_path / "journal.jsonl"
        file.write_text(file.read_text() + '{"at": "2026-11-')
        journal.add(self.entry("2"))
        assert [entry.build for entry in journal.entries()] == ["1", "2"]
        assert file.stat().st_mode & 0o077 == 0


class TestHistory:
    def test_the_address_of_the_sources_is_the_projects_or_one_that_no_clone_changes(self) -> None:
        project = {"name": "calvinverse", "version": "1.2"}
        assert source_address(project, "web") == "pkg:generic/calvinverse@1.2#images/web"
        assert (
            source_address({**project, "urls": {"Source": "https://code.example/x"}}, "web") == "https://code.example/x"
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two images, `b` made from `a`."""
    recipe(tmp_path, "a", f'{ABOUT}[build]\ninputs = ["lock"]\ntools = ["t"]\n')
    recipe(tmp_path, "b", f'{ABOUT}parent = "a"\n')
    (tmp_path / "lock").write_text("1")
    (tmp_path / "images" / "b" / "script.sh").write_text("true")
    return tmp_path


class TestCheck:
    def test_every_fault_of_a_recipe_is_named_at_once(self, checkout: Path, tmp_path: Path) -> None:
        recipe(checkout, "b", f'{ABOUT}[build]\nprepare = ["wish"]\nbinaries = ["magic"]\n')
        (checkout / "lock").unlink()
        with pytest.raises(InvalidRecipe) as caught:
            check_recipes(checkout, tmp_path / "state")
        for complaint in ("'wish'", "'magic'", "images/b", "no Packer recipe", "'lock'"):
            assert complaint in caught.value.message


def test_the_example_of_an_image_is_what_the_docs_say() -> None:
    text = (CHECKOUT / "docs" / "how-to" / "add-an-image.md").read_text(encoding="utf-8")
    for step in STEPS:
        assert f"`{step}`" in text
    for variable in ("work", "python", "parent", "container", "labels", "source_date_epoch"):
        assert f"`{variable}`" in text
