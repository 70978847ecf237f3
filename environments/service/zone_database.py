"""The zone database in use: the system's, else that of the package `tzdata`."""

import zoneinfo
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PREFIX = "# version "


@cache
def zone_database() -> str:
    """Its version and where it comes from: `2025b (system)`, `2025.2 (package tzdata)`; `none` if there is none.

    A system whose database doesn't say its version is `unknown (system)`.
    """
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "UTC").is_file():
            return f"{_version(folder)} (system)"
    try:
        return f"{version('tzdata')} (package tzdata)"
    except PackageNotFoundError:
        return "none"


def _version(folder: Path) -> str:
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (folder / name).open(encoding="ascii", errors="replace") as file:
                return file.readline(100).strip().removeprefix(_PREFIX) or "unknown"
        except OSError:
            continue
    return "unknown"
