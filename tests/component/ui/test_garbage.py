"""Whatever somebody sends, each page answers with what is wrong with it: none fails."""

import re
from urllib.parse import quote

import pytest

from environments.ui.app import PAGES
from environments.ui.listing import place
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader

ASKED = "²", "9" * 5_000
"""Digits that are no number, and a number that no program reads."""

TYPED = "²", "\N{RIGHT-TO-LEFT OVERRIDE}\r\n\x1b" + "[" * 3_000
NAMES = (
    *("after", "before", "digest", "done", "environment", "file", "ids", "kind", "name", "owner", "person", "plan"),
    *("action", "q", "rule", "scope", "since", "source", "state", "step", "subject", "template", "with", "p.count"),
)
DEEP = "[" * 400 + "]" * 400
_STREAMS = ("/live", "/logs/live")


def filled(path: str, value: str) -> str:
    """The path of a page, of an environment that there is, with garbage for all else that varies."""
    path = path.replace("/environments/{name}", "/environments/checkout-fix")
    return re.sub(r"\{\w+\}", quote(value, safe=""), path)


@pytest.mark.parametrize("value", ASKED, ids=["digit", "number"])
def test_no_page_fails_over_what_its_address_says(reader: Reader, value: str) -> None:
    for method, path, _ in PAGES:
        if method == "GET" and not path.endswith(_STREAMS):
            asked = "&".join(f"{name}={quote(value[: 5000 if name == 'before' else 300])}" for name in NAMES)
            answer = reader.get(f"{filled(path, value)}?{asked}")
            assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize("value", TYPED, ids=["digit", "deep"])
def test_no_page_fails_over_what_was_typed(reader: Reader, value: str) -> None:
    for method, path, _ in PAGES:
        if method == "POST":
            asking = reader.get(filled(path, "web"))
            names = {*re.findall(r'name="([^"]+)"', asking.text), "do", "digest", "was", "plan"}
            sent = {name: value for name in names if name not in ("form_token", "id", "viewport")} | {"template": "web"}
            answer = reader.post(filled(path, "web"), sent)
            assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/triggers/new", {"definition": f"a = {'9' * 5_000}"}),
        ("/triggers/new", {"definition": f"a = {DEEP}"}),
        ("/triggers/new", {"definition": "a = " + "[" * 20_000}),
        ("/triggers/test", {"event": "[" * 20_000}),
        ("/triggers/test", {"event": '{"event": {"source": "git.branch", "fields": {"a": "\\ud800"}}}'}),
        ("/triggers/test", {"event": "[]"}),
        ("/policies/set", {"name": "ada", "scope": "everybody"}),
        ("/environments/new", {"template": "x" * 70_000}),
        ("/chosen", {"do": "stop", "id": "x" * 70_000}),
    ],
)
def test_what_is_too_large_or_too_deep_is_told(reader: Reader, path: str, sent: dict[str, str]) -> None:
    answer = reader.post(path, sent)
    assert answer.status_code == 400, answer.text


def test_no_page_fails_over_a_header(reader: Reader, stranger: Reader) -> None:
    assert reader.post("/settings/change", {}, {"Origin": "http://[x"}).status_code == 403
    answer = reader.get("/", {"Cookie": b"__Host-calvinverse=\xff"})  # type: ignore[dict-item]  # as it is sent
    assert answer.status_code == 303
    sent = {"HX-Current-URL": "https://[x", "Accept": "text/event-stream", "HX-Request": "true"}
    assert "signed in" in stranger.get("/live", sent).text


def test_a_name_in_a_path_never_begins_a_query(reader: Reader, client: InProcessClient) -> None:
    """The form of a page leads to the same page, whatever the name in its path."""
    page = reader.get("/accounts/a%3Fb%23c/disable")
    assert 'action="/accounts/a%3Fb%23c/disable"' in page.text


def test_names_in_addresses_stand_for_themselves() -> None:
    assert place("groups", "a/b?c#d", "delete") == "/groups/a%2Fb%3Fc%23d/delete"
    assert place("roles", "revoke", subject="ada+ops & co") == "/roles/revoke?subject=ada%2Bops+%26+co"
    assert place("calendars", "set", "remove") == "/calendars/name:set/remove"  # not the form that sets one
