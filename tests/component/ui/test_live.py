"""Streams of changes: what a page's stream carries, across lost connections and ended sessions."""

from contextlib import ExitStack

import pytest

from environments.domain.environment import EventType
from environments.domain.errors import TooManyRequests
from environments.ui import open_streams
from environments.ui.open_streams import Streams
from environments.wire.tokens import TokenRequest
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import ORIGIN, Reader
from tests.support.views import environment_id

SHOP = environment_id("checkout-fix")
PATH = f"/live?ids={SHOP}"


def test_a_change_is_shown_in_the_row_of_its_environment(reader: Reader, client: InProcessClient) -> None:
    with reader.follow(f"{PATH}&after={client.stored[-1].id}") as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
        found = stream.until("checkout-fix")
        assert f'hx-target="#env-{SHOP}" hx-swap="outerMorph"' in found
        assert stream.place == client.stored[-1].id


def test_without_a_place_all_is_shown_when_the_stream_begins(reader: Reader, client: InProcessClient) -> None:
    with reader.follow(PATH) as stream:
        assert f"env-{SHOP}" in stream.next()


def test_nothing_is_missed_after_a_lost_connection(reader: Reader, client: InProcessClient) -> None:
    with reader.follow(PATH) as stream:
        stream.next()
        known = stream.place
    client.tell(EventType.ENVIRONMENT_STATE, "checkout-fix", data={"state": "ready"})
    with reader.follow(f"{PATH}&after=999999", {"Last-Event-ID": str(known)}) as stream:
        assert f"env-{SHOP}" in stream.next()
        assert stream.place == client.stored[-1].id


def test_who_has_no_session_is_offered_to_sign_in_and_keeps_the_page(stranger: Reader, client: InProcessClient) -> None:
    for session in ("", "cv_ended"):
        stranger.token = session
        with stranger.follow(PATH, {"HX-Current-URL": f"{ORIGIN}/?q=shop"}) as stream:
            said = stream.until("Sign in in another tab")
            assert stream.next() == ""
        assert 'hx-target="#live"' in said
        assert "next=/%3Fq%3Dshop" in said
        assert SHOP not in said


def test_a_revoked_session_ends_its_streams(reader: Reader, client: InProcessClient) -> None:
    with reader.follow(PATH) as stream:
        stream.next()
        client.revoke_token(client.tokens()[0].id)
        assert "Sign in in another tab" in stream.until("signed in any more")
        assert stream.next() == ""


def test_a_person_has_a_limited_number_of_streams_with_however_many_sessions(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_streams, "MOST_OF_PERSON", 4)
    grace = client.create_token(TokenRequest(owner="grace", note="", ttl="1h")).secret
    others = [client.create_token(TokenRequest(owner="ada", note="", ttl="1h")).secret for _ in range(4)]
    with ExitStack() as open_ones:
        streams = []  # one that nobody holds is closed
        for token in others:
            reader.token = token
            streams.append(open_ones.enter_context(reader.follow(PATH)))
        assert all(stream.next() for stream in streams)
        for token in others:
            reader.token = token
            with reader.follow(PATH) as one_more:
                assert "show changes already" in one_more.next()
                assert one_more.next() == ""
        reader.token = grace
        with reader.follow(PATH) as of_another:
            assert "show changes already" not in of_another.next()


def test_the_last_streams_are_for_those_who_have_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"MOST": 6, "KEPT": 2, "FEW": 1}.items():
        monkeypatch.setattr(open_streams, name, number)
    streams, ends = Streams(lambda: pytest.fail("nothing is read")), list[str]()
    with ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(streams.place("ada", lambda: ends.append("ada")))
        with pytest.raises(TooManyRequests, match="Too many pages"), streams.place("ada", lambda: None):
            pytest.fail("the last are for others")
        for name in ("grace", "eve"):
            open_ones.enter_context(streams.place(name, lambda: ends.append("other")))
        with pytest.raises(TooManyRequests, match="Too many pages"), streams.place("kay", lambda: None):
            pytest.fail("there are none")
        streams.close()
        assert sorted(ends) == ["ada"] * 4 + ["other"] * 2
    assert len(streams) == 0


def test_a_stream_that_the_service_refuses_says_why(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("environments.api.streams.MOST_OF_ONE", 1)
    with reader.follow(PATH) as first:
        assert first.next()
        with reader.follow(PATH) as second:
            assert "ada has 1 streams of events open already" in second.next()


def test_where_a_browser_goes_back_to_is_a_page_of_ours(stranger: Reader) -> None:
    for text in HOSTILE:
        address = "https://elsewhere.test/" + text
        if not (address.isascii() and address.isprintable()):
            continue
        with stranger.follow(PATH, {"HX-Current-URL": address}) as stream:
            said = stream.until("Sign in")
        assert "elsewhere" not in said
        assert "<script" not in said
