"""The site of the documents: every page of `docs`, searchable, from files alone and without anything from elsewhere."""

import shutil
import sys
from pathlib import Path

from images.commands import run
from images.places import CHECKOUT, state_folder
from images.report import console

SOURCE = CHECKOUT / "docs"

LIMIT = 300.0
"""Seconds that making the site may take."""


def docs() -> None:
    """Make the site anew in the state folder.

    Raises CommandFailed when a link leads nowhere, a page is outside the navigation, or Sphinx warns of anything else.
    """
    site = state_folder() / "site"
    build_site(SOURCE, site, state_folder() / "site.log")
    console()(f"Open {site / 'index.html'} in a browser, or publish the folder with any web server.")


def build_site(source: Path, site: Path, log: Path) -> None:
    """Make the site of a folder of documents from nothing: what an earlier run knew could hide a warning.

    Raises CommandFailed with the warnings.
    """
    shutil.rmtree(site, ignore_errors=True)
    log.unlink(missing_ok=True)
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    # What Sphinx has parsed lies beside the site, for that is published as it is.
    doctrees = site.with_name(f"{site.name}.doctrees")
    command = [sys.executable, "-m", "sphinx", "--builder", "html", *strict, "--doctree-dir", str(doctrees)]
    try:
        ended = run([*command, str(source), str(site)], limit=LIMIT, log=log)
    finally:
        shutil.rmtree(doctrees, ignore_errors=True)
    ended.check("The site of the documents can't be made", log=log)
