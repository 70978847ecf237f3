"""The pictures of the pages in the docs: which there are, and that each page that they show is there."""

import re

from environments.ui.app import PAGES
from tests.support.in_process.client import InProcessClient
from tests.support.page_picture_list import PICTURES
from tests.support.page_pictures import FOLDER, PAGE, PUTS, page
from tests.support.ui_harness import NO_PAGES, Reader


def test_the_docs_show_each_page_that_is_listed_and_no_other() -> None:
    assert {file.stem for file in FOLDER.glob("*")} == set(PICTURES)
    assert PAGE.read_text(encoding="utf-8") == page()


def test_each_picture_is_of_a_page_that_there_is(reader: Reader, client: InProcessClient) -> None:
    for put in PUTS:
        put(client)
    for path, says in PICTURES.values():
        assert reader.get(path).status_code == 200, says


def test_every_page_has_a_picture() -> None:
    shown = {path.partition("?")[0] for path, _ in PICTURES.values()}
    pages = [path for way, path, _ in PAGES if way == "GET" and not path.endswith(NO_PAGES)]
    for path in pages:
        kind = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        assert any(kind.fullmatch(one) for one in shown), path
