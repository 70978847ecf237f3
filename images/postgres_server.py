"""Finds the newest supported PostgreSQL on this machine; on Debian, as root, installs it."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from images.commands import output
from images.errors import PostgresMissing
from images.report import Report
from images.system import can_install_packages, ensure_debian_packages

OLDEST = 14
"""The oldest supported major version; the service needs it, too."""

PACKAGE = "postgresql"
FOLDERS = Path("/usr/lib/postgresql")
"""Where Debian installs each version's programs, which are not on the PATH."""

CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
"""Keeps Debian's package from creating and starting a database."""


@dataclass(frozen=True)
class Programs:
    """The folder with the programs of one version."""

    version: str
    folder: Path


def find_postgres() -> Programs | None:
    """The newest supported version: on the PATH, else where Debian installs it."""
    seen = shutil.which("postgres")
    folders = [Path(seen).resolve().parent] if seen else []
    folders += sorted(FOLDERS.glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True)
    for folder in folders:
        if all((folder / name).is_file() for name in ("postgres", "initdb")):
            said = output([str(folder / "postgres"), "--version"], limit=20) or ""
            found = re.search(r"(\d+)(\.\d+)*", said.partition(")")[2])
            if found and int(found[1]) >= OLDEST:
                return Programs(found[0], folder)
    return None


def ensure_postgres(report: Report) -> Programs:
    """Find PostgreSQL, or install it. Raises PostgresMissing with what to do, and PackagesMissing."""
    found = find_postgres()
    if found is None and can_install_packages():
        _keep_debian_from_starting_one()
        ensure_debian_packages([PACKAGE], report, why="Tests run the service on PostgreSQL too")
        found = find_postgres()
    if found is None:
        raise PostgresMissing(f"There is no PostgreSQL {OLDEST} or later on this machine.")
    return found


def _keep_debian_from_starting_one() -> None:
    """Only if the file doesn't exist: an existing configuration is kept."""
    if not CLUSTERS.exists():
        CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(CLUSTERS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(file, "w") as out:
            out.write("# Created by Calvinverse before it installed PostgreSQL, of which it needs only the programs.\n")
            out.write("create_main_cluster = false\n")


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
