"""Prepares files on the host before Packer runs, so that the build in the container needs no network.

`prepare` in an image.toml names the steps, which fill the work folder of the build.
"""

import os
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pip

from images import toolchain
from images.assets import SERVED, ensure_assets
from images.commands import run
from images.errors import ImageBuildFailed, InvalidRecipe
from images.pipeline.debian import debian_packages, debian_sources, mirrors
from images.pipeline.files import digest, file_digests
from images.pipeline.preparation import Preparation
from images.places import cache_folder
from images.toolchain import mirror
from images.toolchain.catalogue import tools

__all__ = [
    "STEPS",
    "Preparation",
    "debian_sources",
    "is_static",
    "mirrors",
    "mounts_below",
    "prepare",
    "remove_work",
]

IMAGE_PYTHON = (3, 11)
"""The Python of Debian 12; wheels are chosen by the interpreter that downloads them."""

INTERPRETER = 3
"""PT_INTERP: the program header that names a dynamic loader."""

LOCK = "requirements.lock"
"""The file of an image's folder that names the wheels of the step `wheelhouse`."""

WHEELS = "wheels"
PACKAGES = ("environments",)
"""The packages of this project that images have; an image's inputs say which parts of them."""


def wheelhouse(preparation: Preparation) -> None:
    """Links `wheels` to the cache: every wheel of the image's requirements.lock, checked against its hashes."""
    work = preparation.work
    lock = preparation.recipe.folder / LOCK
    if not lock.is_file():
        raise InvalidRecipe(f"images/{preparation.recipe.name} has no {LOCK} to take wheels of.")
    if sys.version_info[:2] != IMAGE_PYTHON:
        raise ImageBuildFailed(
            "The wheels for an image must be chosen by Python 3.11, and this is {}.{}.".format(*sys.version_info),
            hint="Make the virtual environment with python3.11.",
        )
    kept = cache_folder() / "wheelhouse" / digest(lock)[:16]
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = work / "wheels.unfinished"
        only_these = ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
        _pip(["download", *only_these, "--dest", str(unfinished), "-r", str(lock)], preparation.log)
        moved = kept.parent / f".{kept.name}-{os.getpid()}"
        shutil.copytree(unfinished, moved)
        try:
            moved.rename(kept)
        except OSError:
            # Another build has made the same folder meanwhile.
            shutil.rmtree(moved)
            if not kept.is_dir():
                raise
    shutil.copytree(kept, work / WHEELS, copy_function=os.link if _same_device(kept, work) else shutil.copy2)


def project_wheel(preparation: Preparation) -> None:
    """Builds `own/calvinverse-*.whl` from the image's inputs only, and `pip` to install it with.

    Raises ImageBuildFailed if an input is missing in the wheel, because an image must not differ from the checkout.
    """
    work, checkout = preparation.work, preparation.checkout
    staged = work / "project"
    inputs = file_digests(preparation.recipe, checkout)
    names = [name for name in inputs if name.split("/")[0] in (*PACKAGES, "pyproject.toml")]
    for name in names:
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, target)
    # The README is for people, and a change of it must not make a new image.
    (staged / "README.md").write_text("", encoding="utf-8")
    only_this = ["--no-deps", "--no-build-isolation", "--no-index"]
    command = ["wheel", *only_this, "--wheel-dir", str(work / "own"), str(staged)]
    _pip(command, preparation.log, {"SOURCE_DATE_EPOCH": "1735689600"})
    (wheel,) = (work / "own").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    lost = [name for name in names if name != "pyproject.toml" and name not in inside]
    if lost:
        raise ImageBuildFailed(
            f"The wheel lacks {', '.join(lost)}.",
            hint="Name their kind in [tool.setuptools.package-data] of pyproject.toml.",
        )
    shutil.copytree(Path(pip.__file__).parent, work / "pip", ignore=shutil.ignore_patterns("__pycache__"))


def binaries(preparation: Preparation) -> None:
    """Copies the recipe's `binaries`, programs of the toolchain, into `bin`, executable for everybody.

    Providers of OpenTofu go into `providers` instead, laid out as a mirror.

    Raises ToolsMissing for a missing one, ImageBuildFailed for one that isn't static.
    """
    folder = preparation.work / "bin"
    folder.mkdir()
    programs = toolchain.require(*preparation.recipe.build.binaries)
    for name, program in programs.items():
        if not is_static(program):
            raise ImageBuildFailed(
                f"{program} can't be used in an image, because it needs libraries of this machine.",
                hint=f"Remove it from the PATH, so that `doit tools` builds {name}, or put a static one there.",
            )
        if name not in toolchain.PROVIDERS:
            shutil.copyfile(program, folder / name)
            (folder / name).chmod(0o755)
    if providers := {name: path for name, path in programs.items() if name in toolchain.PROVIDERS}:
        mirror.lay_out({tools()[name]: path for name, path in providers.items()}, preparation.work / "providers")


def assets(preparation: Preparation) -> None:
    """Copies the files that the web page serves, of npm packages, into `assets`.

    Raises PackagesMissing without npm, AssetsUnavailable when fetching fails.
    """
    found = ensure_assets(lambda _: None, preparation.checkout, preparation.log)
    shutil.copytree(found / SERVED, preparation.work / "assets", copy_function=shutil.copyfile)


def is_static(program: Path) -> bool:
    """Whether a program is static: ELF without an interpreter, by the program headers of elf(5)."""
    with program.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2:
            return False
        order = "<" if head[5] == 1 else ">"
        (offset,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
        file.seek(offset)
        headers = file.read(size * count)
    return all(struct.unpack_from(f"{order}I", headers, at)[0] != INTERPRETER for at in range(0, size * count, size))


STEPS: Mapping[str, Callable[[Preparation], None]] = {
    "debian-sources": debian_sources,
    "debian-packages": debian_packages,
    "binaries": binaries,
    "wheelhouse": wheelhouse,
    "project-wheel": project_wheel,
    "assets": assets,
}


def prepare(preparation: Preparation, on_step: Callable[[str], None]) -> None:
    """Runs the steps that the recipe names.

    Raises InvalidRecipe for an unknown step; ImageBuildFailed, ToolsMissing or CommandFailed when a step fails.
    """
    recipe = preparation.recipe
    for name in recipe.build.prepare:
        if name not in STEPS:
            there_are = ", ".join(STEPS)
            raise InvalidRecipe(f"images/{recipe.name}/image.toml: there is no step {name!r}; there are {there_are}.")
        on_step(name)
        STEPS[name](preparation)


def remove_work(work: Path) -> None:
    """Removes the work folder of a build, unless something is still mounted in it.

    Raises ImageBuildFailed naming the mounts.
    """
    if mounted := mounts_below(work, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        raise ImageBuildFailed(
            f"{', '.join(mounted)} {'is' if len(mounted) == 1 else 'are'} still mounted.",
            hint=f"Unmount them, deepest first, then remove {work}.",
        )
    shutil.rmtree(work, ignore_errors=True)


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """The mount points in or below a folder, deepest first, from the text of proc(5)'s mountinfo."""
    points = [line.split(" ")[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    top = str(folder.resolve())
    return sorted((point for point in points if f"{point}/".startswith(f"{top}/")), reverse=True)


def _pip(arguments: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    ended = run(command, limit=600, env={**os.environ, **(environment or {})}, log=log)
    ended.check(f"pip {arguments[0]} failed", log=log)


def _same_device(first: Path, second: Path) -> bool:
    return first.stat().st_dev == second.stat().st_dev
