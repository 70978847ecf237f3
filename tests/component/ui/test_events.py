"""Received events, triggers, previews: what one reads, and what one can do."""

from urllib.parse import quote

from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.tui_event_scenes import put_events, put_previews
from tests.support.ui_harness import Reader, text_of


def test_events_tell_what_triggers_did_because_of_them(reader: Reader, client: InProcessClient) -> None:
    put_events(client)
    listed = reader.get("/events")
    assert "git.pull_request opened" in text_of(listed)
    assert "more than 5 firings led to it" in text_of(listed)
    one = reader.get("/events/evt-closed")
    assert "end-with-pr" in text_of(one)
    assert "destroyed by the same event" in text_of(one)


def test_what_a_stranger_wrote_is_text(reader: Reader, client: InProcessClient) -> None:
    put_events(client)
    page = reader.get("/events/evt-opened")
    assert "\x1b" not in page.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page.text
    assert "[bold red]pay[/]" in page.text


def test_events_are_filtered_by_the_address(reader: Reader, client: InProcessClient) -> None:
    put_events(client)
    assert "opened" not in text_of(reader.get("/events?state=refused")).split("Received events")[-1].split("From")[-1]
    assert "labelled" in text_of(reader.get("/events?state=refused"))


def test_a_trigger_is_paused_resumed_and_removed(reader: Reader, client: InProcessClient) -> None:
    put_events(client)
    one = next(found for found in client.triggers() if found.name == "rest")
    assert "It does nothing until it is resumed." in text_of(reader.get(f"/triggers/{one.id}/pause"))
    answer = reader.post(f"/triggers/{one.id}/pause", {})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/triggers/{one.id}?done=trigger.pause")
    assert client.trigger(one.id).state == "paused"
    reader.post(f"/triggers/{one.id}/resume", {})
    assert client.trigger(one.id).state == "active"
    assert reader.post(f"/triggers/{one.id}/remove", {}).headers["Location"] == "/triggers?done=trigger.remove"
    assert one.id not in [found.id for found in client.triggers()]


def test_a_trigger_is_added_and_a_wrong_one_stays_typed(reader: Reader, client: InProcessClient) -> None:
    wrong = reader.post("/triggers/new?environment=checkout-fix", {"definition": 'name = "rest"\non = "idl"'})
    assert wrong.status_code == 400
    assert "on = &#34;idl&#34;" in wrong.text
    assert "isn&#39;t TOML" in reader.post("/triggers/new", {"definition": "name ="}).text
    right = 'name = "rest"\non = "idle"\nfor = "2h"\ncpu = 20\naction = "stop"'
    assert reader.post("/triggers/new?environment=checkout-fix", {"definition": right}).status_code == 303
    assert [one.name for one in client.environment_triggers("checkout-fix")] == ["rest"]


def test_an_event_is_tried_and_nothing_happens(reader: Reader, client: InProcessClient) -> None:
    put_events(client)
    event = '{"event": {"source": "environment", "kind": "failed", "environment": "shop"}}'
    answer = reader.post("/triggers/test", {"event": event})
    assert answer.status_code == 200
    assert "environment failed" in text_of(answer)
    assert reader.post("/triggers/test", {"event": "[]"}).status_code == 400
    assert reader.post("/triggers/test", {"event": "{"}).status_code == 400


def test_previews_are_listed_with_their_faults(reader: Reader, client: InProcessClient) -> None:
    put_previews(client)
    assert "The template [web] needs a value for branch." in text_of(reader.get("/previews"))


def test_no_value_of_an_address_becomes_an_element(reader: Reader) -> None:
    for text in HOSTILE:
        page = reader.get("/events?subject=" + quote(text, errors="surrogatepass"))
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
