"""What somebody may try against the page: from another site, with another session's form, by what they have written."""

import re
from pathlib import Path

from environments.domain.lifecycle import State
from environments.ui.app import PAGES
from environments.ui.visit import token_of
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import ORIGIN, Reader
from tests.support.ui_people import reader_as
from tests.support.views import environment_view

POSTS = sorted({re.sub(r"\{\w+\}", "checkout-fix", path) for method, path, _ in PAGES if method == "POST"})
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")
MARK = re.compile(r"<script>alert|<img src=x|<svg onload|\x1b|javascript:alert", re.IGNORECASE)


def states(client: InProcessClient) -> list[State]:
    return [view.state for view in client.environments(ended=True)]


def test_no_form_of_another_site_does_anything(reader: Reader, client: InProcessClient) -> None:
    before = states(client)
    for path in POSTS:
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
            {"Origin": ORIGIN.replace("https", "http") + ".evil.example", "Sec-Fetch-Site": "same-origin"},
        ):
            answer = reader.post(path, {"name": "checkout-fix"}, headers)
            assert answer.status_code == 403, (path, headers)
            assert "sent by another site" in answer.text, path
    assert states(client) == before


def test_no_form_of_another_session_does_anything_and_what_was_typed_stays(
    reader: Reader, client: InProcessClient
) -> None:
    before = states(client)
    for path in POSTS:
        for token in ("", token_of("another session"), token_of("")):
            answer = reader.post(path, {"name": "checkout-fix"}, form_token=token)
            assert answer.status_code == 403, path
            assert 'value="checkout-fix"' in answer.text, path
    assert states(client) == before


def test_get_changes_nothing(reader: Reader, client: InProcessClient) -> None:
    calls = len(client.calls)
    for path in POSTS:
        assert reader.get(f"{path}?name=checkout-fix&confirm=yes").status_code in (200, 303, 400, 404, 405, 409), path
    changed = {"destroy", "stop", "start", "create", "update", "extend", "share", "retry", "repair", "abandon"}
    assert not [call for call in client.calls[calls:] if call[0] in changed]


def test_a_session_cookie_that_is_no_token_is_no_session(reader: Reader) -> None:
    for value in ("x" * 5000, "a b", "';--", "cv_0000000000_0000"):
        answer = reader.get("/", {"Cookie": f"__Host-calvinverse={value}"})
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/sign-in")


def test_only_the_cookie_with_the_host_prefix_counts(reader: Reader) -> None:
    """A page below the same domain can set cookies for it, but none with this prefix."""
    assert reader.get("/", {"Cookie": f"calvinverse={reader.token}"}).status_code == 303


def test_the_way_back_after_signing_in_never_leaves_the_site(stranger: Reader) -> None:
    for path in ("//evil.example", "/\\evil.example", "/%2f%2fevil.example", "/x?next=https://evil.example"):
        location = stranger.get(path).headers.get("Location", "")
        assert not re.match(r"(https?:)?//|/\\", location), path
        assert "next=//" not in location
        assert "next=/\\" not in location


def test_nobody_frames_a_page_or_reads_it_from_elsewhere(reader: Reader, stranger: Reader) -> None:
    for answer in (reader.get("/"), reader.get("/nothing"), stranger.get("/"), reader.post("/settings/change", {})):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_what_people_and_jobs_write_is_text_everywhere(reader: Reader, client: InProcessClient) -> None:
    text = "".join(one for one in HOSTILE if "<" in one)[:900]
    view = environment_view("hostile", State.READY)
    client.put(view.model_copy(update={"parameters": {"message": text}, "template_version": text[:60]}))
    for path in ("/", "/environments/hostile", f"/?q={'%3Cscript%3Ealert(1)%3C/script%3E'}"):
        assert not MARK.search(reader.get(path).text), path


def test_forms_and_addresses_have_limits(reader: Reader) -> None:
    assert reader.post("/settings/change", {"zone": "x" * 300_000}).status_code == 413
    assert reader.post("/settings/change", {f"f{number}": "" for number in range(3000)}).status_code == 400
    assert reader.get("/?q=" + "x" * 20_000).status_code == 400
    assert reader.get("/?q=%00").status_code == 400


def test_no_link_fills_in_what_has_to_be_typed_or_what_nobody_sees(reader: Reader) -> None:
    """Else one click on a stranger's link and one on a button would destroy something, or move a deadline elsewhere."""
    page = reader.get("/environments/checkout-fix/destroy?name=checkout-fix&id=env-of-others&reason=tidy").text
    assert re.search(r'name="name" value=""', page)
    assert 'value="env-of-others"' not in page
    assert 'value="tidy"' in page
    assert 'value="2020-01-01' not in reader.get("/environments/checkout-fix/extend?begins=2020-01-01T00:00:00Z").text


def test_no_page_repeats_a_secret(reader: Reader, client: InProcessClient) -> None:
    typed = {"name": "forge", "kind": "gitea", "address": "https://forge.example", "secret.token": "hunter22"}
    for token in ("", None):
        page = reader.post("/webhooks/new", typed | ({"name": "A B"} if token is None else {}), form_token=token)
        assert page.status_code in (400, 403)
        assert "hunter22" not in page.text
        assert 'name="before.token" value="1"' in page.text
    again = reader.post("/webhooks/new", {**typed, "secret.token": "", "before.token": "1"})
    assert again.status_code == 400
    assert "you typed it before" in again.text
    assert client.webhooks() == []


def test_a_second_person_who_may_not_finds_no_trace(client: InProcessClient, tmp_path: Path) -> None:
    """Neither names nor ids of others, and of an environment no more than of one that doesn't exist."""
    hidden = {text for view in client.environments() for text in (view.name, view.id)}
    kept = re.compile("|".join(rf"\b{re.escape(text)}\b" for text in hidden if len(text) > 6))
    gets = sorted(path for method, path, _ in PAGES if method == "GET" and "live" not in path)
    with reader_as(client, "mallory", tmp_path) as mallory:
        for path in gets:
            if "{" not in path:
                assert not kept.search(mallory.get(path).text), path
            elif path.startswith("/environments/{name}"):
                answers = []
                for name in ("checkout-fix", "no-such-fixes"):
                    answer = mallory.get(re.sub(r"\{\w+\}", "x", path.replace("{name}", name)))
                    answers.append((answer.status_code, MOMENT.sub("", answer.text.replace(name, ""))))
                assert answers[0] == answers[1], path
                assert answers[0][0] == 404, path
