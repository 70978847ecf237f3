"""The reference says what the code says."""

import pytest

from tests.support.docs_reference import FOLDER, PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `python -m tests.support.docs_reference`"
