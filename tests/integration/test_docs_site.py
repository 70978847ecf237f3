"""The site of the documents: whole, strict, searchable, and complete without the network."""

import re
import shutil
from pathlib import Path

import pytest

from images.errors import CommandFailed
from project.docs import SOURCE, build_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    build_site(SOURCE, folder / "site", folder / "log")
    return folder / "site"


def test_every_page_is_there_and_can_be_found(site: Path) -> None:
    pages = {page.relative_to(SOURCE).with_suffix("") for page in SOURCE.rglob("*.md")}
    made = {page.relative_to(site).with_suffix("") for page in site.rglob("*.html")}
    assert made - {Path("search")} == pages
    found = (site / "searchindex.js").read_text(encoding="utf-8")
    assert [str(page) for page in pages if f'"{page}"' not in found] == []


def test_every_page_is_in_the_navigation(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    sidebar = index.partition('class="sidebar-tree"')[2].partition("</div>")[0]
    linked = {Path(link).with_suffix("") for link in re.findall(r'href="([^"#]+\.html)"', sidebar)}
    pages = {page.relative_to(SOURCE).with_suffix("") for page in SOURCE.rglob("*.md")}
    assert pages - linked == {Path("index")}


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loading = re.compile(r"""<(?:script|img|iframe)[^>]+src="https?://|<link[^>]+href="https?://""")
    importing = re.compile(r"""@import|url\(\s*["']?(?:https?:)?//""")
    assert [page.name for page in site.rglob("*.html") if loading.search(page.read_text(encoding="utf-8"))] == []
    assert [sheet.name for sheet in site.rglob("*.css") if importing.search(sheet.read_text(encoding="utf-8"))] == []


def test_dead_links_and_pages_outside_the_navigation_are_errors(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    shutil.copy(SOURCE / "conf.py", source)
    (source / "index.md").write_text("# Documents\n\n## Do\n\n- [One](one.md)\n")
    (source / "one.md").write_text("# One\n\n[gone](gone.md) [no heading](index.md#nothing)\n")
    (source / "outside.md").write_text("# Outside\n")
    with pytest.raises(CommandFailed) as failed:
        build_site(source, tmp_path / "site", tmp_path / "log")
    assert "'gone.md'" in failed.value.hint
    assert "'nothing'" in failed.value.hint
    assert "outside.md: WARNING: document isn't included in any toctree" in failed.value.hint
