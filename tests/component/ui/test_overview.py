"""The overview: filters that live in the address, order, pages, and what others have written."""

import re
from datetime import timedelta
from urllib.parse import quote, urlencode

import httpx2
import pytest

from environments.domain.environment import Drift, EventType, Unexpected
from environments.domain.lifecycle import State
from environments.ui import overview, streams
from environments.wire.environments import OutputView
from environments.words import STATES
from tests.fakes.plans import NOW
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of
from tests.support.views import environment_id, environment_view

FILTERS = ("whose", "needs", "ends", "state", "owner", "template", "q", "ended", "sort", "after", "before")


def names(answer: httpx2.Response) -> list[str]:
    """The environments on a page, in their order."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'<th scope="row"[^>]*><a href="[^"]*">([^<]*)</a>', answer.text)


def link_to(answer: httpx2.Response, rel: str) -> str | None:
    """The address of another page of the list."""
    found = re.search(rf'<a href="([^"]*)" rel="{rel}">', answer.text)
    return found[1].replace("&amp;", "&") if found else None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("whose=mine", {"branch-418", "checkout-fix", "old-branch", "meta"}),
        ("whose=shared", set()),
        ("needs=me", {"checkout-fix"}),
        ("ends=1h", {"demo-friday", "old-branch", "stuck"}),
        ("state=failed", {"shop"}),
        ("state=failed,destroy_failed", {"shop", "stuck"}),
        ("owner=grace", {"shop", "demo-friday"}),
        ("template=meta", {"meta"}),
        ("q=branch", {"branch-418", "old-branch"}),
        ("q=BRANCH", {"branch-418", "old-branch"}),
        ("q=branch&state=deploying", {"branch-418"}),
        ("q=%25", set()),
    ],
)
def test_filters_are_in_the_address(reader: Reader, client: InProcessClient, query: str, expected: set[str]) -> None:
    client.observed["checkout-fix"] = Drift(observed_at=NOW, unexpected=(Unexpected(kind="nomad.job", address="a"),))
    whole = reader.get(f"/?{query}")
    assert set(names(whole)) == expected
    part = reader.get(f"/?{query}", {"HX-Request": "true"})
    assert names(part) == names(whole)
    assert "<html" not in part.text
    assert part.headers["HX-Push-Url"].startswith("/?")


def test_ended_ones_are_shown_when_they_are_asked_for(reader: Reader, client: InProcessClient) -> None:
    client.put(environment_view("gone", State.DESTROYED, destroyed_at=NOW))
    assert "gone" not in names(reader.get("/"))
    assert "gone" in names(reader.get("/?ended=1"))
    assert names(reader.get("/?state=destroyed")) == ["gone"]


@pytest.mark.parametrize("sort", ["name", "state", "age", "left"])
def test_each_column_sorts_both_ways(reader: Reader, sort: str) -> None:
    there, back = names(reader.get(f"/?sort={sort}")), names(reader.get(f"/?sort=-{sort}"))
    assert there == back[::-1]
    assert 'aria-sort="ascending"' in reader.get(f"/?sort={sort}").text


def test_pages_hold_each_environment_once(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "PAGE_SIZE", 3)
    pages: list[list[str]] = []
    path: str | None = "/?sort=left"
    while path is not None:
        answer = reader.get(path)
        pages.append(names(answer))
        path = link_to(answer, "next")
    assert sorted(name for one in pages for name in one) == sorted(one.name for one in client.environments())
    back = [pages[-1]]
    while (path := link_to(answer, "prev")) is not None:
        moved = reader.get(path)
        assert moved.status_code == 303
        answer = reader.get(moved.headers["Location"])
        back.append(names(answer))
    assert back == pages[::-1]
    assert moved.headers["Location"] == "/?sort=left"
    assert reader.get("/?before=nowhere").status_code == 400


def test_all_of_a_page_can_be_chosen_at_once_with_scripts_alone(reader: Reader) -> None:
    """Without them the box isn't there; it is never sent."""
    page = reader.get("/").text
    assert re.search(r'<p class="choose-all"><label><input type="checkbox" id="choose-all"[^>]*> Choose all', page)
    assert 'name="choose-all"' not in page
    assert "choose-all" not in reader.get("/?q=nothing-of-this-name").text


def test_what_is_not_there_is_told(reader: Reader) -> None:
    assert "No environment matches" in text_of(reader.get("/?q=nothing-of-this-name"))


def test_a_template_behind_its_newest_version_is_marked(reader: Reader, client: InProcessClient) -> None:
    client.put(environment_view("as-pushed", State.READY, bundle=client.template("web").digest))
    client.put(environment_view("older", State.READY, bundle="sha256:" + "0" * 64))
    assert "behind" not in text_of(reader.get("/?q=as-pushed"))
    assert "behind" in text_of(reader.get("/?q=older"))


def test_no_address_breaks_the_page(reader: Reader) -> None:
    for number, text in enumerate(HOSTILE):
        query = urlencode({FILTERS[number % len(FILTERS)]: text, "q": text[:20]}, errors="replace")
        answer = reader.get(f"/?{query}")
        assert answer.status_code in (200, 400), (text, answer.text)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text


def test_no_text_of_others_becomes_a_part_of_the_page(reader: Reader, client: InProcessClient) -> None:
    for number, text in enumerate(HOSTILE):
        usable = text.replace("\0", "").encode(errors="replace").decode()[:90]
        client.put(environment_view(f"text-{number}", State.READY, owner=usable or "x", template_version=usable))
    for path in ("/?q=text-&sort=name", f"/live?ids={environment_id('text-15')}"):
        if path.startswith("/live"):
            with reader.follow(path) as stream:
                found = stream.next()
        else:
            found = reader.get(path).text
        assert "text-1" in found
        assert "<script>alert" not in found
        assert "<img src=x" not in found
        assert "\x1b" not in found


def test_an_address_that_is_a_script_is_no_link(reader: Reader, client: InProcessClient) -> None:
    for number, address in enumerate(("javascript://x/%0aalert(1)", "data://text/html,x", "https://fine.test/")):
        client.put(environment_view(f"link-{number}", State.READY, outputs={"url": OutputView(value=address)}))
    found = reader.get("/?q=link-").text
    assert "javascript:" not in found
    assert "data://" not in found
    assert "https://fine.test/" in found


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_new_environment_leads_to_a_line_and_others_do_not(reader: Reader, client: InProcessClient) -> None:
    after = client.stored[-1].id
    path = f"/live?ids={environment_id('checkout-fix')}&after={after}&since={quote(NOW.isoformat())}"
    with reader.follow(path) as stream:
        client.tell(EventType.ENVIRONMENT_REQUESTED, "load-test")  # on another page, and there before
        client.put(environment_view("fresh", State.REQUESTED, created_at=NOW + timedelta(minutes=1)))
        client.tell(EventType.ENVIRONMENT_REQUESTED, "fresh")
        assert "1 new environment: show" in stream.until("new environment")


def test_what_is_no_longer_in_sight_leaves_the_page(reader: Reader) -> None:
    gone = environment_id("nothing")
    with reader.follow(f"/live?ids={gone}") as stream:
        assert f'hx-target="#env-{gone}" hx-swap="delete"' in stream.next()


def test_changes_of_state_are_said_to_who_listens(reader: Reader, client: InProcessClient) -> None:
    path = f"/live?ids={environment_id('checkout-fix')}&after={client.stored[-1].id}"
    with reader.follow(path) as stream:
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "failed"})
        assert f"checkout-fix is now {STATES[State.FAILED].word}." in stream.until("#told")


def test_counts_follow_what_changes_anywhere_in_the_list(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BEHIND", 0.0)
    monkeypatch.setattr(streams, "APART", 0.0)
    path = f"/live?ids={environment_id('checkout-fix')}&after={client.stored[-1].id}&owner=ada"
    with reader.follow(path) as stream:
        client.put(environment_view("elsewhere", State.READY, owner="ada"))
        client.tell(EventType.ENVIRONMENT_STATE, "elsewhere", data={"state": "ready"})
        found = stream.until('id="counts"')
        assert 'hx-target="#counts" hx-swap="outerMorph"' in found
        assert f"{len(client.environments(owner='ada'))} environments</span>" in found
        assert '<a href="/?state=ready&amp;owner=ada"' in found
        assert environment_id("checkout-fix") not in found
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
        found = stream.until('id="counts"')
        assert found.index(environment_id("checkout-fix")) < found.index('id="counts"')


def test_counts_of_many_changes_wait_for_each_other(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BEHIND", 0.0)
    monkeypatch.setattr(streams, "APART", 3600.0)
    path = f"/live?ids={environment_id('checkout-fix')}&after={client.stored[-1].id}"
    with reader.follow(path) as stream:
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
        stream.until('id="counts"')
        for _ in range(3):
            client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
            assert 'id="counts"' not in stream.until("#env-")
