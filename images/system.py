"""Packages of the operating system: installed on Debian as root, else named in an error."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from images.commands import output, run
from images.errors import PackagesMissing
from images.report import Report

UPDATE_LIMIT = 300.0
INSTALL_LIMIT = 900.0


def is_debian() -> bool:
    """Whether this is Debian or a derivative, by os-release(5)."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return False
    facts = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    return "debian" in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split())


def is_root() -> bool:
    """Whether the user is root."""
    return os.geteuid() == 0


def can_install_packages() -> bool:
    """Whether packages can be installed: as root on Debian."""
    return is_debian() and is_root() and shutil.which("apt-get") is not None


def missing_packages(packages: Sequence[str]) -> list[str]:
    """The Debian packages among these that aren't installed."""
    return [name for name in packages if not _installed(name)]


def ensure_debian_packages(packages: Sequence[str], report: Report, *, why: str) -> None:
    """Install missing Debian packages; `why` is a short main clause for the report and errors.

    Raises PackagesMissing where that can't be done, and when apt fails or takes too long.
    """
    missing = missing_packages(packages)
    if not missing:
        return
    names = " ".join(missing)
    if not can_install_packages():
        hint = f"As root: apt-get install {names}" if is_debian() else f"Install what Debian calls {names}."
        raise PackagesMissing(f"{why}, and {_listed(missing)} missing.", hint=hint)
    report(f"Installing {names}: {why}.")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "--no-install-recommends", *missing]
    ended = run([*apt, "update"], limit=UPDATE_LIMIT, env=env)
    # The lists that exist may be recent enough.
    stale = "" if ended.status == 0 else ", without fresh lists"
    ended = run(install, limit=INSTALL_LIMIT, env=env)
    if ended.status != 0 or ended.timed_out:
        raise PackagesMissing(
            f"{why}, and installing {names} failed{stale}: {ended.reason()}.",
            hint=ended.explain(),
        )
    report(f"  {names}: installed")


def _installed(name: str) -> bool:
    return "install ok installed" in (output(["dpkg-query", "-W", "-f", "${Status}", name], limit=20) or "")


def _listed(names: Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
