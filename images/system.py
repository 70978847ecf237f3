"""Packages of the operating system: what is needed is installed on a Debian where we may, and named anywhere else."""

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
    """Whether this is Debian or one of its children, by os-release(5)."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return False
    facts = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    return "debian" in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split())


def is_root() -> bool:
    """Whether we run as root."""
    return os.geteuid() == 0


def can_install_packages() -> bool:
    """Whether packages can be installed from here: root on a Debian."""
    return is_debian() and is_root() and shutil.which("apt-get") is not None


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Which of these Debian packages aren't installed."""
    return [name for name in packages if not _installed(name)]


def ensure_debian_packages(packages: Sequence[str], report: Report, *, why: str) -> None:
    """Install the missing ones of some Debian packages; `why` is a short main clause, said in the report and errors.

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
    # Without fresh lists the ones that are there may still do.
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
