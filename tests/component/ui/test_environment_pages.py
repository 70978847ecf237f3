"""The sub pages of an environment: logs, history, deployments, drift, access, calendar, triggers, audit; and live."""

from datetime import timedelta
from pathlib import Path

import pytest

from environments.client import Client
from environments.domain.environment import Drift, Event, EventType, Incident, Unexpected
from environments.domain.errors import ServiceUnavailable
from environments.domain.lifecycle import State
from environments.ui.environment import logs
from environments.wire.access import ShareRequest
from tests.fakes.plans import NOW
from tests.support.hostile_texts import HOSTILE
from tests.support.in_process.client import InProcessClient
from tests.support.tui_scenes import drift_away, queued
from tests.support.ui_harness import Reader, text_of
from tests.support.ui_people import keep_people, reader_as

NAME = "checkout-fix"
HERE = f"/environments/{NAME}"
TABS = ("logs", "history", "drift", "access", "rules", "triggers", "audit")


def test_an_environment_of_each_state_has_all_pages(reader: Reader, client: InProcessClient) -> None:
    for name in client.views:
        for tab in TABS:
            answer = reader.get(f"/environments/{name}/{tab}")
            assert answer.status_code == 200, (name, tab)
            assert f'href="/environments/{name}/{tab}" aria-current="page"' in answer.text


def test_a_page_found_by_id_leads_to_pages_by_id(client: InProcessClient, reader: Reader) -> None:
    id = client.environment(NAME).id
    assert f'href="/environments/{id}/logs"' in reader.get(f"/environments/{id}").text


def test_the_log_shows_its_end_and_parts_of_it(client: InProcessClient, reader: Reader) -> None:
    client.tell_all((NOW, EventType.LOG, NAME, f"line {n}.", {"step": "app"}) for n in range(700))
    end = reader.get(f"{HERE}/logs")
    assert "line 699." in text_of(end)
    assert "line 100." not in text_of(end)
    begin = reader.get(f"{HERE}/logs?after=0")
    assert "line 100." in text_of(begin)
    assert 'rel="next"' in begin.text
    assert "Wrote environments/password" not in text_of(reader.get(f"{HERE}/logs?after=0&step=app"))


def test_escape_sequences_are_not_in_the_log(client: InProcessClient, reader: Reader) -> None:
    client.tell(EventType.LOG, NAME, "\x1b[31mred\x1b[0m \x1b]0;title\x07done <b>x</b>", step="app")
    for path in ("logs", "logs.txt"):
        text = reader.get(f"{HERE}/{path}").text
        assert "red done" in text
        assert "\x1b" not in text
        assert "title" not in text.partition("<main")[2]
    assert "&lt;b&gt;x" in reader.get(f"{HERE}/logs").text


def test_the_log_is_a_file_of_lines(reader: Reader) -> None:
    answer = reader.get(f"{HERE}/logs.txt")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="checkout-fix.log"'
    assert "app Registered the job web in its namespace\n" in answer.text


def test_new_lines_are_added_to_the_end_of_the_log(client: InProcessClient, reader: Reader) -> None:
    with reader.follow(f"{HERE}/logs/live?after={client.stored[-1].id}") as stream:
        client.tell(EventType.LOG, NAME, "one more", step="app")
        found = stream.until("one more")
    assert 'hx-target="#log-lines" hx-swap="beforeend"' in found


def test_what_changes_is_shown_and_told(client: InProcessClient, reader: Reader) -> None:
    with reader.follow(f"{HERE}/live?after={client.stored[-1].id}") as stream:
        client.put(client.views[NAME].model_copy(update={"state": State.STOPPED}))
        client.tell(EventType.ENVIRONMENT_STATE, NAME, data={"state": "stopped"})
        found = stream.until("checkout-fix is stopped.")
    assert 'hx-target="#env-state"' in found
    assert "◻" in found
    assert "/environments/checkout-fix/start" in found


def test_why_it_waits_is_said(client: InProcessClient, reader: Reader) -> None:
    client.put(queued())
    assert "Waits" in text_of(reader.get("/environments/patient"))


def test_history_tells_what_happened_what_will_and_what_will_not(client: InProcessClient, reader: Reader) -> None:
    reader.post(f"{HERE}/rules/add", {"action": "stop", "rule": "0 19 * * 1-5 Europe/Berlin"})
    said = text_of(reader.get(f"{HERE}/history"))
    assert "it is destroyed" in said
    assert "2026-11-23 14:55:00 UTC" in said
    assert "rules changed" in said
    assert "What does not happen" in said
    assert "it is destroyed before" in said


def test_a_deployment_has_a_page_with_its_steps(client: InProcessClient, reader: Reader) -> None:
    for path in (f"{HERE}/deployments/dep-1", "/deployments/dep-1"):
        said = text_of(reader.get(path))
        assert "settings ✓ done" in said
        assert "succeeded" in said
    assert reader.get("/environments/shop/deployments/dep-1").status_code == 404
    assert reader.get("/deployments/dep-none").status_code == 404


def test_a_deployment_shows_the_plan_that_it_applied(client: InProcessClient, reader: Reader) -> None:
    path = reader.post(f"{HERE}/repair", {}).headers["Location"]
    reader.post(path, {"plan": path.partition("plan=")[2]})
    newest = client.deployments(NAME)[0]
    assert "value: Hello → Good morning" in text_of(reader.get(f"{HERE}/deployments/{newest.id}"))


def test_drift_is_shown_and_observed_now(client: InProcessClient, reader: Reader) -> None:
    drift_away(client)
    said = text_of(reader.get(f"{HERE}/drift"))
    assert "It differs from what its steps made." in said
    assert "checkout-fix/stranger" in said
    answer = reader.post(f"{HERE}/observe", {})
    assert answer.headers["Location"] == f"{HERE}/drift?done=environment.drift"
    assert "was observed just now" in text_of(reader.get(answer.headers["Location"]))


def test_who_may_not_observe_reads_why(client: InProcessClient, tmp_path: Path) -> None:
    keep_people(client, "mary")
    client.share(NAME, ShareRequest(subject="mary"))
    with reader_as(client, "mary", tmp_path) as mary:
        assert "this takes the role planner" in text_of(mary.get(f"{HERE}/drift"))
        refused = mary.post(f"{HERE}/observe", {})
        assert refused.status_code == 403
        audit = mary.get(f"{HERE}/audit")
        assert audit.status_code == 403
        own = mary.get(f"{HERE}/access")
        assert f"{HERE}/unshare?subject=mary" in own.text
        left = mary.post(f"{HERE}/unshare", {"subject": "mary"})
        assert left.headers["Location"].startswith("/?done=")


def test_the_audit_log_of_it_names_who_did_what(client: InProcessClient, reader: Reader) -> None:
    reader.post(f"{HERE}/pin", {"when": "2d", "reason": "a demo"})
    said = text_of(reader.get(f"{HERE}/audit"))
    assert "environment:pin" in said
    assert "allowed" in said


def test_triggers_on_it_are_listed(client: InProcessClient, reader: Reader) -> None:
    client.set_trigger({"name": "done", "on": "nomad.job", "kinds": ["complete"], "action": "destroy"}, NAME)
    answer = reader.get(f"{HERE}/triggers")
    assert "done nomad.job destroy" in text_of(answer)
    assert "/triggers/new?environment=checkout-fix" in answer.text


@pytest.mark.parametrize("text", HOSTILE[3::12])
def test_texts_of_strangers_stay_texts_on_every_page(client: InProcessClient, reader: Reader, text: str) -> None:
    text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    client.tell(EventType.LOG, NAME, text, step="app")
    client.observed[NAME] = Drift(
        observed_at=NOW - timedelta(minutes=1),
        unexpected=(Unexpected(kind="nomad.job", address=text, detail=text),),
        troubles={"app": text},
        incidents=(Incident(at=NOW, kind="nomad.job", address=text, detail=text),),
    )
    reader.post(f"{HERE}/pin", {"when": "2d", "reason": text})
    reader.post(f"{HERE}/stop", {"reason": text})
    for page in ("", "/logs", "/history", "/drift", "/rules", "/audit", "/unpin", "/pin"):
        answer = reader.get(f"{HERE}{page}")
        assert answer.status_code == 200, page
        _harmless(answer.text)


@pytest.mark.parametrize("text", HOSTILE[5::15])
def test_what_was_typed_is_kept_as_text(reader: Reader, text: str) -> None:
    text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    wrong = {"name": "x", "reason": text, "subject": text, "until": text, "rule": text, "when": text, "other": text}
    for part in ("destroy", "share", "rules/add", "schedule", "pin", "extend", "transfer"):
        answer = reader.post(f"{HERE}/{part}", {**wrong, "to": text, "action": text, "by": text, "role": text})
        if answer.status_code != 303:
            assert 400 <= answer.status_code < 500, (part, text)
            _harmless(answer.text)


def _harmless(page: str) -> None:
    lowered = page.lower()
    for wrong in ("<script>", "<img", 'href="javascript', "\x1b", " onerror=alert(1)>"):
        assert wrong not in lowered.replace("&lt;img src=x onerror=alert(1)&gt;", "")


def test_a_log_is_sent_while_it_is_read(
    reader: Reader, client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is, it is never whole in memory; what can't be read any more is told in the file."""
    history = Client.history
    asked: list[int] = []

    def some(self: Client, name: str, *, after: int = 0, limit: int = 500) -> list[Event]:
        if len(asked) == 2:
            raise ServiceUnavailable("The service is away.")
        asked.append(after)
        return history(self, name, after=after, limit=1)

    monkeypatch.setattr(Client, "history", some)
    lines = reader.get(f"{HERE}/logs.txt").text.splitlines()
    assert asked == [0, client.stored[0].id]
    assert lines[-1] == "The rest can't be read: The service is away."


def test_a_file_says_when_it_is_not_all_of_a_log(
    client: InProcessClient, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.tell_all((NOW, EventType.LOG, NAME, f"line {n}.", {"step": "app"}) for n in range(20))
    whole = reader.get(f"{HERE}/logs.txt").text
    assert "line 19." in whole.splitlines()[-1]
    monkeypatch.setattr(logs, "PAGE", 10)
    monkeypatch.setattr(logs, "MOST", 10)
    part = reader.get(f"{HERE}/logs.txt").text.splitlines()
    assert part[-1] == f"The rest is left out; all of it: calvinverse env logs {NAME}"
    assert "\n".join(part[:-1]) in whole
