"""Received events: everybody sees what concerns them, and nothing of environments that they don't see."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import EnvironmentRole, Share, TokenScope
from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, NotAllowedNow, NotFound, UnknownEnvironment
from environments.domain.received_event import NewReceivedEvent, ReceivedState, Source
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.service.authorization import Principal
from environments.service.storage.audit import AuditFilter
from environments.service.storage.webhooks import Webhook
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")
BOB = Principal("bob", "user", "tok-bob")
EVE = Principal("eve", "user", "tok-eve")
ADMIN = Principal("admin", "admin", "tok-admin")
AUDITOR = Principal("audrey", "auditor", "tok-audrey")


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    with service.database.write() as tx:
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "admin", MONDAY), ["everyone"])
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web", ttl="10d"))
    service.requests.create(BOB, CreateEnvironment(name="other", template="web", ttl="10d"))
    yield service
    service.database.close()


def find(service: FakeService, name: str) -> Environment:
    return service.reading.environment(ADMIN, name).environment


def received(service: FakeService, id: str, **told: Any) -> str:
    event = {
        "source": Source.PULL_REQUEST,
        "kind": "closed",
        "origin": "forge",
        "delivery": id,
        "subject": "acme/shop#12",
        "fields": {"title": "a word", "number": 12},
    }
    with service.database.write() as tx:
        tx.received.add(NewReceivedEvent.model_validate(event | told), id, MONDAY, refused="")
    return id


def fired(service: FakeService, event_id: str, environment: str | None, owner: str = "ada", **changes: Any) -> None:
    found = None if environment is None else find(service, environment)
    firing = Firing(
        id=f"fir-{event_id}-{environment}-{owner}",
        event_id=event_id,
        trigger_id=f"trg-{owner}",
        trigger_name="rest",
        owner=owner,
        environment_id=None if found is None else found.id,
        environment="" if found is None else found.name,
        action=TriggerAction.STOP,
        state=FiringState.DONE,
        created_at=MONDAY,
    )
    with service.database.write() as tx:
        tx.firings.add([firing.model_copy(update=changes)])


def seen(service: FakeService, by: Principal, **asked: Any) -> list[str]:
    return [one.id for one in service.event_reading.all(by, **asked)]


def test_events_are_seen_by_those_whom_they_concern(service: FakeService) -> None:
    fired(service, received(service, "evt-1"), "demo")
    fired(service, received(service, "evt-2"), None, owner="bob")
    received(service, "evt-3")
    assert seen(service, ADMIN) == seen(service, AUDITOR) == ["evt-3", "evt-2", "evt-1"]
    assert seen(service, ADA) == ["evt-1"]
    assert seen(service, BOB) == ["evt-2"]
    assert seen(service, EVE) == []
    with service.database.write() as tx:
        tx.shares.put(
            Share(
                id="share-1",
                environment_id=find(service, "demo").id,
                subject="eve",
                role=EnvironmentRole.VIEWER,
                by="ada",
                at=MONDAY,
            )
        )
    assert seen(service, EVE) == ["evt-1"]
    for id in ("evt-2", "evt-3", "evt-none"):
        with pytest.raises(NotFound):
            service.event_reading.one(EVE, id)


def test_a_firing_on_an_environment_that_is_not_seen_is_neither_shown_nor_counted(service: FakeService) -> None:
    event = received(service, "evt-1")
    fired(service, event, "demo")
    fired(service, event, "other", owner="bob")
    fired(service, event, "other", owner="ada")
    found = service.event_reading.one(ADA, event)
    assert [one.environment for one in found.firings] == ["demo"]
    assert found.more == 0
    assert len(service.event_reading.one(ADMIN, event).firings) == 3
    assert len(service.event_reading.one(BOB, event).firings) == 2


def test_what_an_event_says_of_an_environment_that_is_not_seen_is_left_out(service: FakeService) -> None:
    other = find(service, "other")
    told = {"name": "other", "owner": "bob"}
    event = received(
        service,
        "evt-1",
        source=Source.ENVIRONMENT,
        kind="ready",
        origin="service",
        subject=other.id,
        fields=told,
        environment_id=other.id,
    )
    fired(service, event, "demo")
    for found in (service.event_reading.one(ADA, event).event, service.event_reading.all(ADA)[0]):
        assert "other" not in str(found)
        assert "bob" not in str(found)
        assert other.id not in str(found)
    assert seen(service, ADA) == [event]
    assert seen(service, ADA, subject=other.id) == [], "it is found by what is left out"
    assert seen(service, ADMIN, subject=other.id) == [event]
    assert service.event_reading.one(ADMIN, event).event.fields == told
    fired(service, event, "other", owner="bob")
    assert service.event_reading.one(BOB, event).event.fields == told


def test_a_limited_token_sees_what_its_environments_had(service: FakeService) -> None:
    fired(service, received(service, "evt-1"), "demo")
    fired(service, received(service, "evt-2"), None)
    limited = replace(ADA, scope=TokenScope(environments=(find(service, "demo").id,)))
    elsewhere = replace(ADA, scope=TokenScope(environments=(find(service, "other").id,)))
    assert (seen(service, ADA), seen(service, limited), seen(service, elsewhere)) == (["evt-2", "evt-1"], ["evt-1"], [])
    with pytest.raises(NotFound):
        service.event_reading.one(limited, "evt-2")


def test_lists_are_filtered_and_go_on_page_by_page(service: FakeService) -> None:
    for number in range(5):
        fired(service, received(service, f"evt-{number}", subject=f"acme/shop#{number}"), "demo")
    received(service, "evt-9", source=Source.IDLE, kind="idle")
    assert seen(service, ADMIN, source=Source.IDLE) == ["evt-9"]
    assert seen(service, ADMIN, subject="acme/shop#3") == ["evt-3"]
    assert seen(service, ADMIN, environment="demo", limit=2) == ["evt-4", "evt-3"]
    assert seen(service, ADA, environment="demo", limit=2, before="evt-3") == ["evt-2", "evt-1"]
    assert seen(service, ADMIN, state=ReceivedState.DONE) == []
    with pytest.raises(UnknownEnvironment):
        seen(service, EVE, environment="demo")
    with pytest.raises(NotFound):
        seen(service, EVE, before="evt-9")


def test_an_admin_replays_an_event_as_a_new_one(service: FakeService) -> None:
    event = received(service, "evt-1", hops=2, environment_id=find(service, "demo").id)
    fired(service, event, "demo")
    for somebody in (ADA, AUDITOR, replace(ADMIN, scope=TokenScope(actions=("environment:read",)))):
        with pytest.raises(Forbidden):
            service.event_reading.replay(somebody, event)
    made = service.event_reading.replay(ADMIN, event)
    again = service.event_reading.replay(ADMIN, event)
    assert len({event, made.id, again.id}) == 3
    old = service.event_reading.one(ADMIN, event).event
    same = ("source", "kind", "origin", "subject", "fields", "at", "environment_id", "hops")
    assert all(getattr(made, name) == getattr(old, name) for name in same)
    assert (made.replay_of, made.state) == (event, ReceivedState.WAITING)
    with service.database.read() as tx:
        entry = tx.audit.list(AuditFilter(actor="admin"), limit=1)[0].entry
    assert (entry.action, entry.object_id) == ("event:replay", event)


def test_a_refused_event_is_not_replayed(service: FakeService) -> None:
    event = received(service, "evt-1")
    with service.database.write() as tx:
        tx.received.refuse(event, MONDAY, "it ends a chain of 5 triggers")
    with pytest.raises(NotAllowedNow, match="ends a chain"):
        service.event_reading.replay(ADMIN, event)
    with pytest.raises(NotFound):
        service.event_reading.replay(ADMIN, "evt-none")
