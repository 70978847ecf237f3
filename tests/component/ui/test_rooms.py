"""All pages that list something, and all pages of actions: each can be opened, by an admin and by anybody."""

import re

from environments.ui.app import PAGES
from environments.wire.environments import ExtendRequest
from tests.support.in_process.client import InProcessClient
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.tui_time_scenes import put_channels, put_hold, put_policies
from tests.support.ui_harness import Reader, text_of

STREAM = "/live"
"""It has no end, so it can't be read whole: see `test_live`."""

PLAIN = sorted({path for method, path, _ in PAGES if method == "GET" and "{" not in path} - {STREAM})


def test_every_page_without_a_name_in_it_can_be_opened(reader: Reader, client: InProcessClient) -> None:
    for put in (put_events, put_previews, put_channels, put_policies):
        put(client)
    put_hold(client)
    faults = []
    for path in PLAIN:
        answer = reader.get(path)
        if answer.status_code not in (200, 303):
            faults.append((path, answer.status_code, text_of(answer)[-200:]))
    assert not faults


def test_every_page_has_one_heading_and_says_where_one_is(reader: Reader) -> None:
    for path in PLAIN:
        answer = reader.get(path)
        if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"):
            assert answer.text.count("<h1") == 1, path
            assert re.search(r"<title>[^<]+ \S Calvinverse</title>", answer.text), path


def test_no_page_has_a_script_or_a_style_in_it(reader: Reader) -> None:
    for path in PLAIN:
        text = reader.get(path).text
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|js:", text), path


def test_nothing_is_done_for_somebody_who_is_not_signed_in(stranger: Reader) -> None:
    for method, place, _ in PAGES:
        if method == "POST":
            answer = stranger.post(re.sub(r"\{\w+\}", "x", place), {"name": "typed"})
            assert answer.status_code == 401, place
            assert 'value="typed"' in answer.text, place


def test_a_token_is_created_and_shown_once(reader: Reader, client: InProcessClient) -> None:
    answer = reader.post("/tokens/new", {"owner": "ada", "role": "user", "note": "ci", "ttl": "1h"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    secret = re.search(r'id="secret"[^>]*value="([^"]+)"', answer.text)
    assert secret is not None
    assert "ci" in [one.note for one in client.tokens()]
    assert secret[1] not in reader.get("/tokens").text


def test_what_does_not_fit_is_told_at_the_form_with_all_that_was_typed(reader: Reader) -> None:
    answer = reader.post("/webhooks/new", {"name": "A B", "kind": "gitea", "address": "https://forge.example"})
    assert answer.status_code == 400
    assert 'value="A B"' in answer.text
    assert 'value="https://forge.example"' in answer.text


def test_zone_and_theme_are_kept_in_the_browser(reader: Reader) -> None:
    answer = reader.post("/settings/change", {"zone": "Europe/Berlin", "theme": "dark"})
    cookies = answer.headers.get_list("Set-Cookie")
    assert any(one.startswith("__Host-calvinverse-zone=Europe%2FBerlin;") and "Secure" in one for one in cookies)
    page = reader.get("/settings", {"Cookie": f"__Host-calvinverse={reader.token}; __Host-calvinverse-theme=dark"})
    assert 'data-theme="dark"' in page.text
    assert reader.post("/settings/change", {"zone": "Nowhere/At-All"}).status_code == 400


def test_the_audit_log_is_read_and_an_entry_shown(reader: Reader, client: InProcessClient) -> None:
    client.extend("checkout-fix", ExtendRequest(by="1h"))
    listed = reader.get("/audit")
    assert listed.status_code == 200
    assert reader.get("/audit/not-a-number").status_code in (400, 404)


def test_why_somebody_may_is_told(reader: Reader) -> None:
    answer = text_of(reader.get("/access?action=destroy&environment=checkout-fix"))
    assert "may" in answer
    assert "What each action takes" in answer
