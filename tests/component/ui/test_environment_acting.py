"""What can be done with one environment: each page says what will happen, asks, and keeps what was typed."""

from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.access import EnvironmentRole
from environments.domain.lifecycle import DeploymentKind, State
from environments.wire.access import ShareRequest
from tests.fakes.plans import NOW
from tests.support.in_process.client import InProcessClient
from tests.support.ui_harness import Reader, text_of
from tests.support.ui_people import keep_people, reader_as

NAME = "checkout-fix"
HERE = f"/environments/{NAME}"
READY = ("stop", "extend", "schedule", "pin", "repair", "rollback", "share", "transfer", "destroy", "rules/add")
OTHERS = ("start", "retry", "promote", "unpin", "cancel", "unshare", "abandon")


def _done(answer: object, action: str, back: str = HERE) -> None:
    assert answer.status_code == 303, text_of(answer)  # type: ignore[attr-defined,arg-type]
    assert answer.headers["Location"] == f"{back}?done={action}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("part", READY)
def test_each_action_has_a_page_that_asks(client: InProcessClient, reader: Reader, part: str) -> None:
    client.put(client.environment(NAME).model_copy(update={"last_good": "dep-0"}))
    answer = reader.get(f"{HERE}/{part}")
    assert answer.status_code == 200
    assert NAME in text_of(answer)
    assert "disabled" not in answer.text


@pytest.mark.parametrize("part", OTHERS)
def test_the_page_of_an_action_that_is_not_possible_says_why(reader: Reader, part: str) -> None:
    answer = reader.get(f"{HERE}/{part}")
    assert answer.status_code == 200
    assert 'disabled aria-describedby="why-not"' in answer.text


def test_stopping_asks_the_service_once_and_says_so(client: InProcessClient, reader: Reader) -> None:
    _done(reader.post(f"{HERE}/stop", {"reason": "lunch"}), "environment.stop")
    newest = client.environment(NAME).deployment
    assert newest is not None
    assert newest.kind is DeploymentKind.STOP
    assert "lunch" in newest.reason
    assert f"{NAME} will be stopped." in text_of(reader.get(f"{HERE}?done=environment.stop"))


def test_what_an_address_says_of_an_action_is_never_shown(reader: Reader) -> None:
    assert "pwned" not in reader.get(f"{HERE}?done=pwned").text


def test_a_failed_one_is_retried_and_a_stopped_one_is_started(client: InProcessClient, reader: Reader) -> None:
    _done(reader.post("/environments/shop/retry", {}), "environment.retry", "/environments/shop")
    client.put(client.environment(NAME).model_copy(update={"state": State.STOPPED}))
    _done(reader.post(f"{HERE}/start", {}), "environment.start")


def test_a_deadline_moves_by_what_was_chosen_or_typed(client: InProcessClient, reader: Reader) -> None:
    before = client.environment(NAME).deadline
    assert before is not None
    begins = {"begins": before.isoformat()}
    _done(reader.post(f"{HERE}/extend", {"by": "4h", "other": "", **begins}), "environment.extend")
    assert client.environment(NAME).deadline == before + timedelta(hours=4)
    _done(reader.post(f"{HERE}/extend", {"by": "4h", "other": "90m", **begins}), "environment.extend")
    assert client.environment(NAME).deadline == before + timedelta(minutes=90)


def test_what_is_no_duration_is_said_on_the_form_that_keeps_it(client: InProcessClient, reader: Reader) -> None:
    before = client.environment(NAME).deadline
    answer = reader.post(f"{HERE}/extend", {"by": "4h", "other": "soon <b>", "begins": NOW.isoformat()})
    assert answer.status_code == 400
    assert "is not a duration" in text_of(answer)
    assert 'value="soon &lt;b&gt;"' in answer.text
    assert client.environment(NAME).deadline == before


def test_the_service_refuses_more_than_the_maximum_and_the_form_says_so(reader: Reader) -> None:
    answer = reader.post(f"{HERE}/schedule", {"quick": "", "when": "400d"})
    assert answer.status_code == 400
    assert "later than this template allows" in text_of(answer)
    assert 'value="400d"' in answer.text


def test_destruction_is_scheduled_at_a_moment_in_the_zone_of_the_reader(
    client: InProcessClient, reader: Reader
) -> None:
    zone = {"Cookie": f"__Host-calvinverse={reader.token}; __Host-calvinverse-zone=Europe/Berlin"}
    page = reader.get(f"{HERE}/schedule", zone)
    assert "today at 18:00, 2026-11-23 18:00:00 CET" in text_of(page)
    _done(reader.post(f"{HERE}/schedule", {"quick": "", "when": "2026-11-24T18:00"}, zone), "environment.schedule")
    deadline = client.environment(NAME).deadline
    assert deadline is not None
    assert deadline.isoformat() == "2026-11-24T17:00:00+00:00"


def test_it_is_pinned_for_a_reason_and_unpinned(client: InProcessClient, reader: Reader) -> None:
    missing = reader.post(f"{HERE}/pin", {"when": "2d", "reason": " "})
    assert missing.status_code == 400
    assert "Why it has to stay is missing." in text_of(missing)
    _done(reader.post(f"{HERE}/pin", {"when": "2d", "reason": "a demo"}), "environment.pin")
    assert "a demo" in text_of(reader.get(HERE))
    _done(reader.post(f"{HERE}/unpin", {}), "environment.unpin")


def test_destroying_takes_the_name(client: InProcessClient, reader: Reader) -> None:
    wrong = reader.post(f"{HERE}/destroy", {"name": "checkout", "reason": "over"})
    assert wrong.status_code == 400
    assert 'value="over"' in wrong.text
    assert client.environment(NAME).state is State.READY
    _done(reader.post(f"{HERE}/destroy", {"name": NAME, "reason": "over"}), "environment.destroy")
    newest = client.environment(NAME).deployment
    assert newest is not None
    assert newest.kind is DeploymentKind.DESTROY


def test_a_form_of_an_environment_that_had_the_name_does_nothing(client: InProcessClient, reader: Reader) -> None:
    answer = reader.post(f"{HERE}/destroy", {"name": NAME, "id": "env-aaaaaaaaaaaa"})
    assert answer.status_code == 404
    assert client.environment(NAME).state is State.READY


def test_abandoning_lists_what_may_be_left_and_takes_a_reason(client: InProcessClient, reader: Reader) -> None:
    assert "This may be left" in text_of(reader.get("/environments/stuck/abandon"))
    answer = reader.post("/environments/stuck/abandon", {"name": "stuck", "reason": "the disk burned"})
    _done(answer, "environment.abandon", "/environments/stuck")
    assert client.environments(ended=True)[0] is not None


def test_cancelling_may_use_force(client: InProcessClient, reader: Reader) -> None:
    there = "/environments/branch-418"
    _done(reader.post(f"{there}/cancel", {"force": "yes"}), "environment.cancel", there)
    assert "requested cancellation" in text_of(reader.get(there))


def test_a_repair_shows_its_plan_and_applies_that(client: InProcessClient, reader: Reader) -> None:
    planned = reader.post(f"{HERE}/repair", {})
    assert planned.status_code == 303
    path = planned.headers["Location"]
    assert path.startswith(f"{HERE}/repair?plan=")
    page = reader.get(path)
    assert "value: Hello → Good morning" in text_of(page)
    assert "environments/checkout-fix/token" in text_of(page)
    plan = path.partition("plan=")[2]
    _done(reader.post(path, {"plan": plan}), "environment.repair")
    again = reader.post(path, {"plan": plan})  # the same request twice makes one deployment
    assert again.status_code in (303, 409)
    assert [one.kind for one in client.deployments(NAME)].count(DeploymentKind.REPAIR) == 1


def test_a_plan_of_another_environment_is_not_shown(client: InProcessClient, reader: Reader) -> None:
    plan = reader.post(f"{HERE}/repair", {}).headers["Location"].partition("plan=")[2]
    assert reader.get(f"/environments/demo-friday/repair?plan={plan}").status_code == 404


def test_a_rollback_goes_to_a_deployment_that_one_chooses(client: InProcessClient, reader: Reader) -> None:
    client.put(client.environment(NAME).model_copy(update={"last_good": "dep-1"}))
    client.put_past_deployment(NAME, "dep-0")
    page = reader.get(f"{HERE}/rollback")
    assert "dep-0: create of" in text_of(page)
    assert "dep-1:" not in text_of(page)
    planned = reader.post(f"{HERE}/rollback", {"to": "dep-0"})
    assert planned.status_code == 303, text_of(planned)


def test_sharing_and_the_end_of_it(client: InProcessClient, reader: Reader) -> None:
    keep_people(client, "mary")
    back = f"{HERE}/access"
    given = {"subject": "mary", "role": "operator", "reveal": "yes", "until": "8h"}
    _done(reader.post(f"{HERE}/share", given), "environment.share", back)
    share = client.access(NAME).shares[0]
    assert (share.subject, share.role, share.reveal) == ("mary", EnvironmentRole.OPERATOR, True)
    page = reader.get(back)
    assert "mary operator yes" in text_of(page)
    assert f"{HERE}/unshare?subject=mary" in page.text
    _done(reader.post(f"{HERE}/unshare", {"subject": "mary"}), "environment.unshare", back)
    assert client.access(NAME).shares == ()


def test_sharing_with_nobody_known_is_refused_on_the_form(reader: Reader) -> None:
    answer = reader.post(f"{HERE}/share", {"subject": "nobody-here", "role": "viewer", "until": ""})
    assert 400 <= answer.status_code < 500
    assert 'value="nobody-here"' in answer.text


def test_it_is_given_to_somebody_else(client: InProcessClient, reader: Reader, tmp_path: Path) -> None:
    keep_people(client, "mary", "bob")
    _done(reader.post(f"{HERE}/transfer", {"to": "mary", "name": NAME}), "environment.transfer", f"{HERE}/access")
    assert client.environment(NAME).owner == "mary"
    (tmp_path / "mary").mkdir()
    with reader_as(client, "mary", tmp_path / "mary") as mary:
        # Whoever gives it away may not see it any more, and lands where they may be.
        assert mary.post(f"{HERE}/transfer", {"to": "bob", "name": NAME}).headers["Location"].startswith("/?done=")


def test_rules_are_added_and_removed(client: InProcessClient, reader: Reader) -> None:
    wrong = reader.post(f"{HERE}/rules/add", {"action": "stop", "rule": "every night"})
    assert wrong.status_code == 400
    assert 'value="every night"' in wrong.text
    back = f"{HERE}/rules"
    rule = "0 19 * * 1-5 Europe/Berlin"
    _done(reader.post(f"{HERE}/rules/add", {"action": "stop", "rule": rule}), "environment.add_rule", back)
    page = reader.get(back)
    assert rule in text_of(page)
    assert "2026-11-23 18:00:00 UTC" in text_of(page)
    assert "What the calendar will do" in text_of(page)
    assert "rules/remove?rule=0+19" in page.text
    removed = reader.post(f"{HERE}/rules/remove", {"action": "stop", "rule": rule})
    _done(removed, "environment.remove_rule", back)
    assert rule not in text_of(reader.get(back))


@pytest.mark.parametrize("part", ["stop", "extend", "pin", "destroy", "share", "transfer", "repair", "rules/add"])
def test_a_viewer_reads_why_not_and_is_refused(client: InProcessClient, tmp_path: Path, part: str) -> None:
    keep_people(client, "mary")
    client.share(NAME, ShareRequest(subject="mary"))
    before = client.environment(NAME)
    fields = {
        "name": NAME,
        "reason": "x",
        "when": "2d",
        "by": "1h",
        "begins": NOW.isoformat(),
        "subject": "mary",
        "role": "owner",
        "to": "mary",
        "rule": "0 19 * * 1-5 UTC",
        "action": "stop",
    }
    with reader_as(client, "mary", tmp_path) as mary:
        page = mary.get(f"{HERE}/{part}")
        answer = mary.post(f"{HERE}/{part}", fields)
    assert "you are viewer of checkout-fix" in text_of(page)
    assert 'disabled aria-describedby="why-not"' in page.text
    assert answer.status_code == 403, text_of(answer)
    assert client.environment(NAME) == before


@pytest.mark.parametrize("part", [*READY, *OTHERS, "logs", "history", "drift", "access", "rules", "triggers", "audit"])
def test_somebody_else_finds_nothing(client: InProcessClient, tmp_path: Path, part: str) -> None:
    with reader_as(client, "mary", tmp_path) as mary:
        answer = mary.get(f"{HERE}/{part}")
        assert answer.status_code == 404
        assert "checkout-fix" not in text_of(answer).replace("'checkout-fix'", "")
        if part in (*READY, *OTHERS):
            assert mary.post(f"{HERE}/{part}", {"name": NAME}).status_code == 404
