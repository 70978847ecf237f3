"""What is made ready for an image: the programs that go in, and the packages, without Docker or a network."""

import io
import json
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from images import toolchain
from images.errors import ImageBuildFailed, InvalidRecipe
from images.pipeline import debian
from images.pipeline.archive import Configuration, HealthCheck, write_archive
from images.pipeline.files import file_digests
from images.pipeline.prepare import STEPS, Preparation, is_static, prepare
from images.pipeline.recipe import Recipe


def elf(*headers: int, bits: int = 2) -> bytes:
    """A 64-bit little-endian ELF file that holds nothing but program headers of these types."""
    head = bytearray(64)
    head[:6] = b"\x7fELF" + bytes((bits, 1))
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 56, len(headers))
    return bytes(head) + b"".join(struct.pack("<I52x", kind) for kind in headers)


def preparation(folder: Path, parent: str = "", **build: object) -> Preparation:
    work = folder / "work"
    work.mkdir()
    content = {"name": "x", "folder": folder, "image": {"title": "T", "description": "D"}, "build": build}
    return Preparation(Recipe.model_validate(content), work, folder / "log", folder, parent)


class TestBinaries:
    def give(self, monkeypatch: pytest.MonkeyPatch, programs: Mapping[str, Path]) -> None:
        monkeypatch.setattr(toolchain, "require", lambda *names: {name: programs[name] for name in names})

    def test_those_that_the_recipe_names_are_put_where_anybody_can_run_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "program"
        program.write_bytes(elf(1, 2, 6))
        self.give(monkeypatch, {"registry": program, "packer": program})
        given = preparation(tmp_path, prepare=["binaries"], binaries=["registry"])
        steps: list[str] = []
        prepare(given, steps.append)
        assert steps == ["binaries"]
        assert [file.name for file in (given.work / "bin").iterdir()] == ["registry"]
        copied = given.work / "bin" / "registry"
        assert copied.read_bytes() == program.read_bytes()
        assert copied.stat().st_mode & 0o777 == 0o755

    def test_one_that_needs_a_loader_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "program"
        program.write_bytes(elf(6, 3, 1))
        self.give(monkeypatch, {"registry": program})
        with pytest.raises(ImageBuildFailed, match="needs libraries of this machine") as caught:
            prepare(preparation(tmp_path, prepare=["binaries"], binaries=["registry"]), print)
        assert "doit tools" in caught.value.hint

    @pytest.mark.parametrize(
        ("content", "alone"),
        [
            (elf(), True),
            (elf(1, 1, 2), True),
            (elf(1, 3), False),
            (elf(1, bits=1), False),
            (b"#!/bin/sh\n" + b"x" * 100, False),
            (b"", False),
        ],
    )
    def test_a_static_program_is_told_from_others(self, tmp_path: Path, content: bytes, alone: bool) -> None:
        (tmp_path / "program").write_bytes(content)
        assert is_static(tmp_path / "program") is alone


class TestPackages:
    def test_an_image_that_starts_from_nothing_can_not_add_any(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRecipe, match="those of a parent"):
            prepare(preparation(tmp_path, prepare=["debian-packages"], packages=["git"]), print)

    def test_a_machine_without_apt_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ImageBuildFailed, match="no apt"):
            debian.debian_packages(preparation(tmp_path, parent="sha256:1", packages=["git"]))

    def test_the_way_of_the_host_to_its_mirrors_is_taken_over_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = {
            "apt-config": 'Acquire::http::Proxy "http://proxy.example:1";\nAcquire::ForceIPv4 "1";\n'
            'Acquire::Languages "de";\nAPT::Update::Post-Invoke:: "rm -rf /";\nDir "/";\n',
            "dpkg": "riscv64\n",
        }
        monkeypatch.setattr(debian, "output", lambda command, limit: said[command[0]])
        lines = debian.Private(tmp_path / "apt", tmp_path / "log")._configuration().splitlines()
        assert lines[:2] == ['Acquire::http::Proxy "http://proxy.example:1";', 'Acquire::ForceIPv4 "1";']
        assert f'Dir "{tmp_path}/apt";' in lines
        assert 'APT::Architectures "riscv64";' in lines
        assert not [line for line in lines if "Post-Invoke" in line or '"de"' in line]


def test_wheels_need_a_lock(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe, match=r"no requirements\.lock"):
        prepare(preparation(tmp_path, prepare=["wheelhouse"]), print)


def test_a_step_that_there_is_not_is_told_from_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe, match=f"no step 'nothing'; there are {', '.join(STEPS)}"):
        prepare(preparation(tmp_path, prepare=["nothing"]), print)


def test_the_health_check_of_an_archive_is_in_nanoseconds(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "rootfs.tar", "w") as rootfs:
        rootfs.addfile(tarfile.TarInfo("empty"), io.BytesIO())
    check = HealthCheck(command=["python3", "-V"], interval=60, timeout=10)
    wanted = Configuration(0, "1:1", {}, {}, ["python3"], "amd64", check)
    digest = write_archive(tmp_path / "rootfs.tar", wanted, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        file = archive.extractfile(f"{digest.removeprefix('sha256:')}.json")
        assert file is not None
        config = json.load(file)["config"]
    assert config["Healthcheck"] == {
        "Test": ["CMD", "python3", "-V"],
        "Interval": 60_000_000_000,
        "Timeout": 10_000_000_000,
        "StartPeriod": 0,
        "Retries": 3,
    }


def test_what_a_recipe_excepts_is_neither_an_input_nor_in_the_image(tmp_path: Path) -> None:
    for name in ("a/one.py", "a/b/two.py", "a/c/three.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "images" / "x").mkdir(parents=True)
    given = {"inputs": ["a/**/*"], "except": ["a/b/**/*"]}
    content = {"name": "x", "folder": tmp_path / "images" / "x", "image": {"title": "T", "description": "D"}}
    assert set(file_digests(Recipe.model_validate({**content, "build": given}), tmp_path)) == {
        "a/one.py",
        "a/c/three.py",
    }
