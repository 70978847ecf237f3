"""Dry runs: what an event would do, with whose rights, and why not the rest; nothing of what the caller doesn't see."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import EnvironmentRole, PersonKind, Share, TokenScope
from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import InvalidInput, NotFound, UnknownEnvironment
from environments.domain.received_event import Source
from environments.domain.template import make_bundle
from environments.service import trigger_candidates
from environments.service.authorization import Principal
from environments.service.storage.webhooks import Webhook
from environments.service.trigger_candidates import Judged
from environments.service.trigger_testing import SHOWN, Outcome, WantedDelivery, WantedEvent
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import WEB, FakeService, make_service
from tests.support.docs_reference import CHECKOUT

ADA = Principal("ada", "user", "tok-ada")
BOB = Principal("bob", "user", "tok-bob")
ADMIN = Principal("admin", "admin", "tok-admin")
CLOSED: dict[str, Any] = {
    "name": "end",
    "on": "git.pull_request",
    "kinds": ["closed"],
    "webhook": "forge",
    "repository": "acme/shop",
    "action": "destroy",
}
EVENT = WantedEvent(
    Source.PULL_REQUEST, "closed", "forge", fields={"repository": "acme/shop", "number": 1, "title": "x\x1b[31m" * 900}
)
BATCH = WEB.replace('name = "web"', 'name = "batch"').replace(
    "[[steps]]",
    '[[triggers]]\nname = "done"\non = "nomad.job"\nkinds = ["complete"]\naction = "destroy"\n\n[[steps]]',
    1,
)


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.catalogue.push(service.admin, make_bundle({"template.toml": BATCH.encode()}))
    for owner, name in ((ADA, "one"), (ADA, "two"), (BOB, "hidden")):
        service.requests.create(owner, CreateEnvironment(name=name, template="web"))
    service.requests.create(ADA, CreateEnvironment(name="batch-1", template="batch"))
    with service.database.write() as tx:
        for person in ("ada", "bob", "admin"):
            tx.people.keep(person, PersonKind.PERSON, MONDAY, "test")
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "admin", MONDAY), ["everyone"])
    yield service
    service.database.close()


def find(service: FakeService, name: str) -> Environment:
    return service.reading.environment(service.admin, name).environment


def outcome(service: FakeService, by: Principal, event: WantedEvent = EVENT, only: str | None = None) -> Outcome:
    (found,) = service.trigger_testing.test(by, event=event, only=only).events
    return found


def told(found: Sequence[Judged]) -> list[tuple[str, str, str]]:
    return [(one.trigger.name, "" if one.environment is None else one.environment.name, one.reason) for one in found]


def test_it_tells_what_would_be_hit_and_why_not_the_others_and_does_nothing(service: FakeService) -> None:
    service.triggers.set(ADA, {**CLOSED, "when": {"number": 1}}, "one")
    service.triggers.set(ADA, {**CLOSED, "name": "other", "when": {"number": 2}}, "two")
    service.triggers.set(ADA, {**CLOSED, "name": "all", "template": "web", "action": "stop"})
    service.triggers.set(ADA, {**CLOSED, "name": "none", "template": "batch", "kinds": ["merged"]})
    with service.database.read() as tx:
        before = [str(tx.environments.get(find(service, name).id)) for name in ("one", "two")]
    found = outcome(service, ADA)
    assert sorted(told(found.hits)) == [("all", "one", ""), ("all", "two", ""), ("end", "one", "")]
    assert ("other", "two", "its condition on number doesn't hold") in told(found.misses)
    assert ("none", "batch-1", "it is for merged, not for closed") in told(found.misses)
    assert told(found.misses)[-1] == ("done", "batch-1", "it is for nomad.job, not for git.pull_request")
    assert found.event.subject == "acme/shop#1"
    assert len(str(found.event.fields["title"])) <= 1000
    assert "\x1b" not in str(found.event.fields["title"])
    with service.database.read() as tx:
        assert [str(tx.environments.get(find(service, name).id)) for name in ("one", "two")] == before
        assert list(tx.received.all()) == []


def test_nothing_is_told_of_what_the_caller_does_not_see(service: FakeService) -> None:
    service.triggers.set(BOB, CLOSED, "hidden")
    service.triggers.set(BOB, {**CLOSED, "name": "secretive", "template": "web"})
    found = outcome(service, ADA)
    assert (told(found.hits), found.more_hits, found.more_misses) == ([], 0, 0)
    assert "hidden" not in str(found)
    assert "secretive" not in str(found)
    with pytest.raises(UnknownEnvironment):
        outcome(service, ADA, only="hidden")
    with pytest.raises(UnknownEnvironment):
        outcome(service, ADA, WantedEvent(Source.ENVIRONMENT, "ready", environment="hidden"))
    assert sorted(told(outcome(service, ADMIN).hits)) == [("end", "hidden", ""), ("secretive", "hidden", "")]


def test_a_limited_token_is_told_of_its_environments_alone(service: FakeService) -> None:
    service.triggers.set(ADA, {**CLOSED, "name": "all", "template": "web"})
    service.triggers.set(ADA, CLOSED, "one")
    limited = replace(ADA, scope=TokenScope(environments=(find(service, "one").id,)))
    assert told(outcome(service, limited).hits) == [("end", "one", "")]


def test_rights_are_those_that_the_owner_has_now(service: FakeService) -> None:
    one = find(service, "one")
    share = Share(id="s", environment_id=one.id, subject="bob", role=EnvironmentRole.OWNER, by="ada", at=MONDAY)
    with service.database.write() as tx:
        tx.shares.put(share)
    service.triggers.set(BOB, CLOSED, "one")
    with service.database.write() as tx:
        tx.shares.put(share.model_copy(update={"role": EnvironmentRole.VIEWER}))
    ((_, _, why),) = told(outcome(service, ADA).hits)
    assert why == "bob is viewer of one, and to destroy takes owner"
    with service.database.write() as tx:
        tx.people.change("bob", disabled_at=MONDAY, disabled_by="admin")
    ((_, _, why),) = told(outcome(service, ADA).hits)
    assert "bob is disabled" in why


def test_what_would_be_made_is_named(service: FakeService) -> None:
    service.triggers.set(ADA, {**CLOSED, "action": "create", "template": "web", "environment": "pr-{{ event.number }}"})
    (hit,) = outcome(service, ADA).hits
    assert (hit.name, hit.reason, hit.environment) == ("pr-1", "", None)
    (hit,) = outcome(service, ADA, replace(EVENT, fields={"repository": "acme/shop"})).hits
    assert "no field 'number'" in hit.reason


def test_nothing_would_be_made_where_the_name_is_taken(service: FakeService) -> None:
    make = {**CLOSED, "action": "create", "template": "web", "environment": "{{ event.title }}"}
    service.triggers.set(ADA, make)

    def why(title: str) -> str:
        event = replace(EVENT, fields={"repository": "acme/shop", "number": 1, "title": title})
        (hit,) = outcome(service, ADA, event).hits
        return hit.reason

    assert why("new") == ""
    assert why("one") == "nothing is created: one is there already", "as at firing, it is left out"
    assert why("batch-1") == "There is an environment named 'batch-1' already", "it is of another template"
    assert why("hidden") == "The name 'hidden' is taken", "ada doesn't see that it is bob's"
    assert "Not A Name" in why("Not A Name")
    service.requests.destroy(ADA, "one")
    assert why("one") == "", "it is created once the name is free"


def test_triggers_of_templates_and_paused_ones_are_told(service: FakeService) -> None:
    event = WantedEvent(Source.JOB, "complete", environment="batch-1")
    assert told(outcome(service, ADA, event).hits) == [("done", "batch-1", "")]
    made = service.triggers.set(ADA, {**CLOSED, "name": "mine"}, "one").trigger
    service.triggers.change(ADA, made.id, paused=True)
    assert ("mine", "one", "it is paused") in told(outcome(service, ADA).misses)
    assert told(outcome(service, ADA, event, only="one").hits) == []


def test_many_are_counted(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        service.triggers.set(ADA, {**CLOSED, "name": f"all{number}", "template": "web"})
    found = outcome(service, ADA)
    assert (len(found.hits), found.more_hits) == (SHOWN, 120 - SHOWN)
    monkeypatch.setattr(trigger_candidates, "MOST_JUDGED", 50)
    with pytest.raises(InvalidInput, match="more than 50 pairs"):
        outcome(service, ADA)
    monkeypatch.setattr(trigger_candidates, "MOST_ENVIRONMENTS", 2)
    with pytest.raises(InvalidInput, match="more than 2 environments"):
        outcome(service, ADA)


def test_a_recorded_delivery_is_read_as_its_webhook_reads_it(service: FakeService) -> None:
    told = json.loads((CHECKOUT / "tests/fixtures/webhooks/gitea/pull_request_closed.json").read_text())
    delivery = WantedDelivery("forge", told["headers"], told["body"])
    repository = told["body"]["repository"]["full_name"]
    service.triggers.set(ADA, {**CLOSED, "repository": repository}, "one")
    (found,) = service.trigger_testing.test(ADA, delivery=delivery).events
    assert (found.event.kind, found.event.origin, told_hits(found)) == ("closed", "forge", ["one"])
    ignored = service.trigger_testing.test(ADA, delivery=replace(delivery, headers={"X-Gitea-Event": "ping"}))
    assert (list(ignored.events), ignored.ignored) == ([], "no trigger can be for this kind of event")
    with pytest.raises(NotFound):
        service.trigger_testing.test(ADA, delivery=replace(delivery, webhook="frge"))
    with pytest.raises(InvalidInput):
        service.trigger_testing.test(ADA)


@pytest.mark.parametrize("headers", [{}, {"webhook-timestamp": "soon"}, {"webhook-timestamp": "9" * 12}])
def test_a_delivery_of_a_program_needs_no_headers_that_are_signed(
    service: FakeService, headers: dict[str, str]
) -> None:
    with service.database.write() as tx:
        tx.webhooks.add(Webhook("nightly", "generic", "", (), "admin", MONDAY), ["everyone"])
    delivery = WantedDelivery("nightly", headers, {"build": 7})
    (found,) = service.trigger_testing.test(ADA, delivery=delivery).events
    assert (dict(found.event.fields), found.event.at) == ({"build": 7, "webhook": "nightly"}, None)


def told_hits(found: Outcome) -> list[str]:
    return [one.environment.name for one in found.hits if one.environment is not None]
