"""How Sphinx makes a site of this folder (`doit docs`). The navigation is what index.md links to, by its headings."""

import re
from importlib.metadata import version as installed_version

from sphinx.application import Sphinx

project = "Calvinverse"
version = release = installed_version("calvinverse")
extensions = ["myst_parser", "sphinx.ext.githubpages"]
source_suffix = {".md": "markdown"}
root_doc = "index"
nitpicky = True

myst_heading_anchors = 6
# The lexer of HCL knows only the blocks of Terraform, and takes those of Nomad for mistakes.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"Calvinverse {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False
html_permalinks_icon = "#"

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
PAGE = re.compile(r"^- \[[^\]]+\]\(([^)#\s]+)\.md\)", re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)


def add_navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Give the index a hidden table of contents for each of its sections; a page that is in none is an error."""
    if name == root_doc:
        source[0] += "".join(navigation(source[0]))


def navigation(index: str) -> list[str]:
    """A `toctree` for each section of the index, in the order of its links."""
    _, *parts = SECTION.split(index)
    return [
        f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(PAGE.findall(text)) + "\n```\n"
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]
