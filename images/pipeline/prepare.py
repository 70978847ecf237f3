"""What is made ready on the host before Packer runs, so that the image itself needs no network and no host names.

Each step is named in `prepare` of an image.toml and fills the work folder of the build.
"""

import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pip

from images.commands import output, run
from images.errors import ImageBuildFailed, InvalidRecipe
from images.pipeline.inputs import digest, file_digests
from images.pipeline.recipe import Recipe
from images.places import cache_folder

IMAGE_PYTHON = (3, 11)
"""The Python of Debian 12; wheels are chosen by the interpreter that downloads them."""

SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
WHEELS = "wheels"
PACKAGES = ("environments", "tui")
"""What the service's image holds of this project: the service, its command line and the terminal application."""


def debian_sources(recipe: Recipe, work: Path, log: Path, checkout: Path) -> None:
    """Writes `sources.list`: the Debian 12 mirrors that this host itself uses, or none for mmdebstrap's own choice."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    listed = output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], limit=60) or ""
    (work / "sources.list").write_text("".join(f"{line}\n" for line in mirrors(listed)), encoding="utf-8")


def mirrors(listed: str) -> list[str]:
    """Lines of a sources.list out of lines of `apt-get indextargets`: address, suite, component, origin.

    The origin is unknown while the host has no package lists; then an address that ends like Debian's will do.
    """
    found: list[str] = []
    for line in listed.splitlines():
        address, suite, component, origin = (line.split(maxsplit=3) + [""] * 4)[:4]
        known = origin == "Debian" if not origin.startswith("$") else re.search(r"/debian(-security)?/?$", address)
        entry = f"deb {address} {suite} main"
        if known and suite in SUITES and component == "main" and entry not in found:
            found.append(entry)
    return found if any(f" {SUITES[0]} " in entry for entry in found) else []


def wheelhouse(recipe: Recipe, work: Path, log: Path, checkout: Path) -> None:
    """Links `wheels`: every wheel of the image's requirements.lock, checked against its hashes, kept in the cache."""
    lock = recipe.folder / "requirements.lock"
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
        _pip(["download", *only_these, "--dest", str(unfinished), "-r", str(lock)], log)
        moved = kept.parent / f".{kept.name}-{os.getpid()}"
        shutil.copytree(unfinished, moved)
        try:
            moved.rename(kept)
        except OSError:
            # Another build was faster and made the same folder.
            shutil.rmtree(moved)
            if not kept.is_dir():
                raise
    shutil.copytree(kept, work / WHEELS, copy_function=os.link if _same_device(kept, work) else shutil.copy2)


def project_wheel(recipe: Recipe, work: Path, log: Path, checkout: Path) -> None:
    """Writes `own/calvinverse-*.whl`, made of the image's inputs alone, and `pip`, to install it with.

    Raises ImageBuildFailed when an input didn't get into the wheel: an image must not differ from the checkout.
    """
    staged = work / "project"
    names = [name for name in file_digests(recipe, checkout) if name.split("/")[0] in (*PACKAGES, "pyproject.toml")]
    for name in names:
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, target)
    # The front page is for people, and no change of it should make a new image.
    (staged / "README.md").write_text("", encoding="utf-8")
    only_this = ["--no-deps", "--no-build-isolation", "--no-index"]
    _pip(["wheel", *only_this, "--wheel-dir", str(work / "own"), str(staged)], log, {"SOURCE_DATE_EPOCH": "1735689600"})
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


STEPS: Mapping[str, Callable[[Recipe, Path, Path, Path], None]] = {
    "debian-sources": debian_sources,
    "wheelhouse": wheelhouse,
    "project-wheel": project_wheel,
}


def prepare(recipe: Recipe, work: Path, log: Path, checkout: Path, on_step: Callable[[str], None]) -> None:
    """Runs the steps that the recipe names.

    Raises InvalidRecipe for one that there isn't, ImageBuildFailed or CommandFailed when one fails.
    """
    for name in recipe.build.prepare:
        if name not in STEPS:
            there_are = ", ".join(STEPS)
            raise InvalidRecipe(f"images/{recipe.name}/image.toml: there is no step {name!r}; there are {there_are}.")
        on_step(name)
        STEPS[name](recipe, work, log, checkout)


def remove_work(work: Path) -> None:
    """Removes the work folder of a build, unless something is still mounted in it: that is never reached into.

    Raises ImageBuildFailed naming the mounts.
    """
    if mounted := mounts_below(work, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        raise ImageBuildFailed(
            f"{', '.join(mounted)} {'is' if len(mounted) == 1 else 'are'} still mounted.",
            hint=f"Unmount them, deepest first, then remove {work}.",
        )
    shutil.rmtree(work, ignore_errors=True)


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """The mount points in or below a folder, deepest first, out of the text of proc(5)'s mountinfo."""
    points = [line.split(" ")[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    top = str(folder.resolve())
    return sorted((point for point in points if f"{point}/".startswith(f"{top}/")), reverse=True)


def _pip(arguments: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    ended = run(command, limit=600, env={**os.environ, **(environment or {})}, log=log)
    ended.check(f"pip {arguments[0]} failed", log=log)


def _same_device(first: Path, second: Path) -> bool:
    return first.stat().st_dev == second.stat().st_dev
