"""Several environments at once, and badges."""

import json
import re

import pytest

from environments.domain.lifecycle import DeploymentKind, State
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import ORIGIN, Reader, text_of
from tests.support.views import environment_id

READY, BUSY, FAILED = (environment_id(name) for name in ("checkout-fix", "branch-418", "shop"))


def calls(client: InProcessClient, *kinds: str) -> list[str]:
    """Which environments were changed."""
    return [str(call[1]) for call in client.calls if call[0] in kinds]


def test_the_page_says_what_can_not_be_done_and_why(reader: Reader, client: InProcessClient) -> None:
    answer = reader.post("/chosen", {"do": "stop", "id": [READY, BUSY, FAILED]})
    said = text_of(answer)
    assert "branch-418 is deploying: stop isn't possible now." in said.partition("Left as they are")[2]
    assert "has failed, and not in a stop" in said
    assert re.findall(r'name="id" value="([^"]*)"', answer.text) == [READY]
    assert "stop" not in {str(call[0]) for call in client.calls}


def test_each_one_is_stopped_and_told(reader: Reader, client: InProcessClient) -> None:
    answer = reader.post("/chosen", {"do": "stop", "id": [READY, BUSY], "confirmed": "yes"})
    assert "checkout-fix ✓ Stop: accepted" in text_of(answer)
    assert "Left as it is: branch-418 is deploying" in text_of(answer)
    stopped = client.environment("checkout-fix").deployment
    assert stopped is not None
    assert stopped.kind is DeploymentKind.STOP


def test_extending_takes_a_duration(reader: Reader, client: InProcessClient) -> None:
    before = client.environment("checkout-fix").deadline
    assert before is not None
    refused = reader.post("/chosen", {"do": "extend", "id": READY, "confirmed": "yes", "by": "soon"})
    assert "✗" in text_of(refused)
    assert client.environment("checkout-fix").deadline == before
    told = reader.post("/chosen", {"do": "extend", "id": READY, "confirmed": "yes", "by": "1h"})
    assert "accepted" in text_of(told)
    after = client.environment("checkout-fix").deadline
    assert after is not None
    assert (after - before).total_seconds() == 3600


@pytest.mark.parametrize("count", ["", "1", "3", "two", *HOSTILE[:5]])
def test_destroying_takes_the_number(reader: Reader, client: InProcessClient, count: str) -> None:
    sent: dict[str, str | list[str]] = {
        "do": "destroy",
        "id": [READY, FAILED],
        "confirmed": "yes",
        "count": count.replace("\0", ""),
    }
    assert reader.post("/chosen", sent).status_code == 400
    assert client.environment("checkout-fix").state is State.READY


def test_with_the_number_all_are_destroyed(reader: Reader, client: InProcessClient) -> None:
    sent: dict[str, str | list[str]] = {
        "do": "destroy",
        "id": [READY, FAILED],
        "confirmed": "yes",
        "count": "2",
        "reason": "<b>done</b>",
    }
    said = text_of(reader.post("/chosen", sent))
    assert said.count("Destroy: accepted") == 2
    assert client.environment("shop").state is State.DESTROYING


def test_what_fails_for_one_does_not_keep_the_others_from_it(reader: Reader, client: InProcessClient) -> None:
    sent: dict[str, str | list[str]] = {"do": "extend", "id": [READY, FAILED], "confirmed": "yes", "by": "9999d"}
    said = text_of(reader.post("/chosen", sent))
    assert said.count("✗") == 2


def test_nothing_chosen_and_nothing_known(reader: Reader) -> None:
    assert "No environment is chosen" in text_of(reader.post("/chosen", {"do": "stop"}))
    assert reader.post("/chosen", {"do": "shred", "id": READY}).status_code == 400
    assert reader.post("/chosen", {"do": "stop", "id": READY}, form_token="").status_code == 403
    for text in HOSTILE[:60]:
        id = text.replace("\0", "").encode(errors="replace").decode()
        answer = reader.post("/chosen", {"do": "stop", "id": id, "back": id})
        assert answer.status_code in (200, 400)
        assert "<script>alert" not in answer.text


# --- badges and unfolded links ----------------------------------------------------------------------------------------


def test_a_badge_says_name_and_state(reader: Reader) -> None:
    answer = reader.get("/environments/checkout-fix/badge.svg")
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert 'aria-label="checkout-fix: ready"' in answer.text
    told = json.loads(reader.get("/environments/checkout-fix/badge.json").text)
    assert (told["state"], told["address"]) == ("ready", f"{ORIGIN}/environments/checkout-fix")


@pytest.mark.parametrize("kind", ["svg", "json"])
def test_who_may_see_it_gets_it(stranger: Reader, reader: Reader, kind: str) -> None:
    there, nowhere = f"/environments/checkout-fix/badge.{kind}", f"/environments/nothing/badge.{kind}"
    machine = {"Authorization": f"Bearer {reader.token}"}
    assert "checkout-fix" in stranger.get(there, machine).text
    assert stranger.get(nowhere, machine).status_code == 404
    assert stranger.get(there, {"Authorization": "Bearer cv_none"}).status_code == 401
    known, unknown = stranger.get(there), stranger.get(nowhere)
    assert (known.status_code, unknown.status_code) == (303, 303)
    assert known.text == unknown.text == ""
    assert stranger.get("/environments/checkout-fix", machine).status_code == 303  # tokens are for badges only


def test_links_tell_strangers_nothing(stranger: Reader) -> None:
    assert stranger.get("/environments/checkout-fix").text == ""


# --- compressed answers -----------------------------------------------------------------------------------------------


def test_pages_are_compressed_for_pages_of_ours_only(reader: Reader) -> None:
    ours = {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}
    assert reader.get("/", ours).headers["Content-Encoding"] == "gzip"
    assert "checkout-fix" in reader.get("/", ours).text
    for other in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}):
        assert "Content-Encoding" not in reader.get("/", {"Accept-Encoding": "gzip", **other}).headers
    assert "Content-Encoding" not in reader.get("/", {**ours, "Accept-Encoding": "gzip;q=0"}).headers


def test_files_are_compressed(reader: Reader) -> None:
    path = re.search(r'href="(/ui/ui-[^"]*)"', reader.get("/").text)
    assert path is not None
    answer = reader.get(path[1], {"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "mood-good" in answer.text
