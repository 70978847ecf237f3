"""What all pages have: who may see them, where they lead, and what they may load."""

from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of


def test_the_overview_lists_what_one_may_see(reader: Reader, client: InProcessClient) -> None:
    answer = reader.get("/")
    assert answer.status_code == 200
    for view in client.environments():
        assert view.name in text_of(answer)


def test_pages_may_load_files_of_ours_only_and_nothing_inline(reader: Reader) -> None:
    policy = reader.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_who_is_not_signed_in_is_sent_there_and_back(stranger: Reader) -> None:
    answer = stranger.get("/environments/shop?tab=logs")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=/environments/shop%3Ftab%3Dlogs"


def test_a_form_of_another_site_does_nothing(reader: Reader) -> None:
    answer = reader.post("/environments/shop/destroy", {}, {"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code in (403, 404)


def test_there_is_a_page_for_what_is_not_there(reader: Reader) -> None:
    assert reader.get("/nothing").status_code == 404
    assert reader.get("/environments/nothing-here").status_code == 404
