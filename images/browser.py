"""Finds a Chromium on this machine for tests of pages; on Debian, as root, installs it."""

import shutil
from pathlib import Path

from images.errors import PackagesMissing
from images.report import Report
from images.system import can_install_packages, ensure_debian_packages

PACKAGE = "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""What the program is called, by distribution."""


def find_browser() -> Path | None:
    """The program, if it is on the PATH."""
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


def ensure_browser(report: Report) -> Path:
    """Find Chromium, or install it. Raises PackagesMissing with what to do."""
    found = find_browser()
    if found is None and can_install_packages():
        ensure_debian_packages([PACKAGE], report, why="Tests open the pages in a browser")
        found = find_browser()
    if found is None:
        raise PackagesMissing(
            "Tests open the pages in a browser, and there is no Chromium on the PATH.",
            hint="Install Chromium; on Debian, as root: apt-get install chromium.",
        )
    return found
