"""Files of npm packages that the web page uses: fetched by a lock, checked by digest, kept in the cache.

`images/ui` has the lock, and `vendored.toml`, which names the files. npm runs no script of a package, and nothing else
of the packages is kept. The page itself needs no Node.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from images.commands import run
from images.errors import AssetsUnavailable, CommandFailed, PackagesMissing
from images.places import CHECKOUT, cache_folder
from images.report import Report
from images.system import can_install_packages, ensure_debian_packages
from images.toolchain.once import made_once

FOLDER = Path("images/ui")
"""Below the checkout: the lock, and the list of files."""

LOCK = ("package.json", "package-lock.json")
LIST = "vendored.toml"
SERVED, TESTS = "served", "tests"
"""Folders in the cache: what the page serves, and what only tests use."""

BUNDLED = "assets"
"""At the top of a checkout that was sent to a build environment: the same folders, for there is no npm there."""

PACKAGE = "npm"
WHY = "The web page uses files of npm packages"
NPM_LIMIT = 600.0
"""Seconds that fetching the packages may take."""


@dataclass(frozen=True)
class Asset:
    """One file: its path in the folder that we make, where it is below `node_modules`, and its SHA-256 in hex."""

    path: str
    origin: str
    sha256: str


def assets(checkout: Path = CHECKOUT) -> list[Asset]:
    """Every file that is used, of the pages and of tests."""
    listed = tomllib.loads((checkout / FOLDER / LIST).read_text(encoding="utf-8"))
    return [
        Asset(f"{folder}/{name}", str(of["from"]), str(of["sha256"]))
        for folder in (SERVED, TESTS)
        for name, of in listed[folder].items()
    ]


def kept_assets(checkout: Path = CHECKOUT) -> Path:
    """The folder in the cache, named by the lock and the list; it may not exist yet."""
    content = b"".join((checkout / FOLDER / name).read_bytes() for name in (*LOCK, LIST))
    return cache_folder() / "assets" / sha256(content).hexdigest()[:16]


def find_assets(checkout: Path = CHECKOUT) -> Path | None:
    """The folder with `served` and `tests`, if it is here. Raises AssetsUnavailable if a file isn't as expected."""
    for folder in (checkout / BUNDLED, kept_assets(checkout)):
        if folder.is_dir():
            _check(folder, checkout)
            return folder
    return None


def ensure_assets(report: Report, checkout: Path = CHECKOUT, log: Path | None = None) -> Path:
    """The folder with `served` and `tests`; fetched if it is missing. `log` gets npm's output.

    Raises PackagesMissing without npm, and AssetsUnavailable if fetching fails or gives other files.
    """
    if (found := find_assets(checkout)) is not None:
        return found
    npm = _npm(report)
    return made_once(kept_assets(checkout), lambda folder: _fetch(npm, folder, checkout, log))


def _npm(report: Report) -> str:
    """npm's path; on Debian, root gets it installed."""
    if shutil.which(PACKAGE) is None and can_install_packages():
        ensure_debian_packages([PACKAGE], report, why=WHY)
    if (npm := shutil.which(PACKAGE)) is None:
        raise PackagesMissing(
            f"{WHY}, and there is no npm on the PATH to fetch them.",
            hint="Install Node.js with npm; on Debian, as root: apt-get install nodejs npm.",
        )
    return npm


def _fetch(npm: str, folder: Path, checkout: Path, log: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="calvinverse-npm-") as name:
        work = Path(name)
        for file in LOCK:
            shutil.copyfile(checkout / FOLDER / file, work / file)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--no-progress"]
        try:
            run(command, limit=NPM_LIMIT, cwd=work, log=log).check("The packages can't be fetched", log=log)
        except CommandFailed as error:
            raise AssetsUnavailable(error.message, hint=error.hint) from error
        for asset in assets(checkout):
            target = folder / asset.path
            target.parent.mkdir(exist_ok=True)
            try:
                shutil.copyfile(work / "node_modules" / asset.origin, target)
            except OSError as error:
                raise AssetsUnavailable(f"The packages have no file {asset.origin}: {error.strerror}.") from error
    folder.chmod(0o755)
    _check(folder, checkout, fetched=True)


def _check(folder: Path, checkout: Path, *, fetched: bool = False) -> None:
    for asset, found in _digests(folder, checkout):
        if found != asset.sha256:
            raise AssetsUnavailable(
                f"{folder / asset.path} has the SHA-256 {found}, and {FOLDER / LIST} says {asset.sha256}.",
                hint=f"If you took another version, write the new digest into {FOLDER / LIST}."
                if fetched
                else f"Remove {folder}, and run `doit assets` again.",
            )


def _digests(folder: Path, checkout: Path) -> Iterator[tuple[Asset, str]]:
    for asset in assets(checkout):
        try:
            yield asset, sha256((folder / asset.path).read_bytes()).hexdigest()
        except OSError:
            yield asset, ""
