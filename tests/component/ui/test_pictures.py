"""The pictures of the pages in the docs: which there are, and that each page that they show is there."""

from tests.support.in_process.client import InProcessClient
from tests.support.page_pictures import FOLDER, PAGE, PICTURES, PUTS, page
from tests.support.ui_harness import Reader


def test_the_docs_show_each_page_that_is_listed_and_no_other() -> None:
    assert {file.stem for file in FOLDER.glob("*")} == set(PICTURES)
    assert PAGE.read_text(encoding="utf-8") == page()


def test_each_picture_is_of_a_page_that_there_is(reader: Reader, client: InProcessClient) -> None:
    for put in PUTS:
        put(client)
    for path, says in PICTURES.values():
        assert reader.get(path).status_code == 200, says
