"""Releases: a wheel and a source distribution of the last commit, each proven in a virtual environment of its own."""

import os
import re
import shutil
import sys
from pathlib import Path

from images.commands import run
from images.places import CHECKOUT, state_folder
from images.report import Report, console
from project.declared import read_declared
from project.lock import LOCK, RUNTIME_LOCK
from project.proof import Installed

DIST = CHECKOUT / "dist"
"""Where the files of a release are put when all of them are proven."""

GIT_LIMIT = 60.0
BUILD_LIMIT = 300.0
INSTALL_LIMIT = 900.0
"""Seconds that reading the commit, building both files, and installing the locked dependencies may take."""

BUILDERS = ("setuptools",)
"""Distributions that a source distribution is built with (`build-system` in pyproject.toml)."""


def release() -> None:
    """Build wheel and source distribution of the last commit, prove each, and put both into `dist`.

    Raises CommandFailed when something can't be built, installed or run; `dist` is left as it was.
    """
    report = console()
    version = read_declared().version
    folder = state_folder() / "release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if _git("status", "--porcelain", log=folder / "git.log"):
        report("There are uncommitted changes; the release is made of the last commit, without them.")
    if not has_section((CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8"), version):
        report(f"CHANGELOG.md has no section for {version} yet; write it before you publish.")
    files = _build(folder)
    for file in files:
        _prove(file, folder / ("wheel" if file.suffix == ".whl" else "sdist"), version, report)
    DIST.mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(file, DIST / file.name)
    report("Ready to be published: " + ", ".join(f"dist/{file.name}" for file in files))


def has_section(changelog: str, version: str) -> bool:
    """Whether a changelog (Keep a Changelog 1.1.0) has a section for this version."""
    return re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE) is not None


def builders_lock(lock: str) -> str:
    """The lines of a lock that pin what source distributions are built with."""
    kept, keep = [], False
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            keep = line.partition("==")[0] in BUILDERS
        if keep:
            kept.append(line)
    return "".join(kept)


def _build(folder: Path) -> list[Path]:
    """Build both files of a clean copy of the last commit; the wheel is built from the source distribution."""
    log, source, out = folder / "build.log", folder / "source", folder / "files"
    source.mkdir()
    _git("archive", "--output", str(folder / "source.tar"), "HEAD", log=log)
    shutil.unpack_archive(folder / "source.tar", source, filter="data")
    when = _git("log", "-1", "--format=%ct", log=log)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    ended = run(command, limit=BUILD_LIMIT, log=log, env={**os.environ, "SOURCE_DATE_EPOCH": when})
    ended.check("The release can't be built", log=log)
    return [*out.glob("*.whl"), *out.glob("*.tar.gz")]


def _prove(file: Path, folder: Path, version: str, report: Report) -> None:
    """Install a file of the release into an empty virtual environment, with the locked dependencies, and run it."""
    report(f"{file.name}: installed into an empty virtual environment")
    folder.mkdir()
    log = folder / "install.log"
    environment = folder / "environment"
    made = run([sys.executable, "-m", "venv", "--without-pip", str(environment)], limit=GIT_LIMIT, log=log)
    made.check("The virtual environment can't be made", log=log)
    python = environment / "bin" / "python"
    _pip(python, log, "install", "--require-hashes", "--no-deps", "-r", str(CHECKOUT / RUNTIME_LOCK))
    arguments = ["--no-index", "--no-deps"]
    if file.suffix != ".whl":
        builders = folder / "builders.lock"
        builders.write_text(builders_lock((CHECKOUT / LOCK).read_text(encoding="utf-8")), encoding="utf-8")
        _pip(python, log, "install", "--require-hashes", "--no-deps", "-r", str(builders))
        arguments.append("--no-build-isolation")
    _pip(python, log, "install", *arguments, str(file))
    _pip(python, log, "check")
    Installed(environment, folder / "home").prove(version, report)


def _pip(python: Path, log: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input"]
    ended = run([*command, *arguments], limit=INSTALL_LIMIT, log=log)
    ended.check(f"pip {arguments[0]} failed", log=log)


def _git(*arguments: str, log: Path) -> str:
    lines: list[str] = []
    ended = run(["git", *arguments], limit=GIT_LIMIT, cwd=CHECKOUT, log=log, on_line=lines.append)
    ended.check(f"git {arguments[0]} failed", log=log)
    return "\n".join(lines).strip()
