"""Triggers: whoever sets one acts by it, and by nobody else's; what is wrong with a definition is told at once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import EnvironmentRole, PersonKind, Share, TokenScope
from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import (
    Forbidden,
    InvalidTrigger,
    NameTaken,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.domain.received_event import NewReceivedEvent
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.service.authorization import Principal
from environments.service.storage.webhooks import Webhook
from environments.service.triggers import MOST_OF_OWNER, MOST_ON_ENVIRONMENT, TriggerDetails
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import WEB, FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")
BOB = Principal("bob", "user", "tok-bob")
EVE = Principal("eve", "user", "tok-eve")
ADMIN = Principal("admin", "admin", "tok-admin")
AUDITOR = Principal("audrey", "auditor", "tok-audrey")

WITH_SECRET = WEB.replace(
    "[parameters.verbose]",
    '[parameters.password]\ntype = "string"\nwriteOnly = true\n\n[parameters.verbose]',
)
DONE = {"name": "done", "on": "nomad.job", "kinds": ["complete"], "action": "destroy"}
REST = {"name": "rest", "on": "idle", "for": "2h", "cpu": 20, "action": "stop"}
WEB_ONLY = {"template": "web"}
EVENT: dict[str, Any] = {"source": "idle", "kind": "idle", "origin": "service", "delivery": "1", "subject": "demo"}
CLOSED = {
    "name": "closed",
    "on": "git.pull_request",
    "webhook": "forge",
    "repository": "acme/shop",
    "kinds": ["closed"],
    "when": {"number": 12},
    "action": "destroy",
}


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock, template=WITH_SECRET)
    service.requests.create(
        ADA, CreateEnvironment(name="demo", template="web", ttl="10d", parameters={"password": "swordfish"})
    )
    with service.database.write() as tx:
        for name in ("ada", "bob", "eve", "admin", "audrey"):
            tx.people.keep(name, PersonKind.PERSON, MONDAY, "test")
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "admin", MONDAY), ["everyone"])
        tx.webhooks.add(Webhook("hook", "generic", "", (), "admin", MONDAY), ["everyone"])
    yield service
    service.database.close()


def demo(service: FakeService) -> Environment:
    return service.reading.environment(ADA, "demo").environment


def share(service: FakeService, subject: str, role: EnvironmentRole) -> None:
    with service.database.write() as tx:
        tx.shares.put(
            Share(
                id=f"share-{subject}", environment_id=demo(service).id, subject=subject, role=role, by="ada", at=MONDAY
            )
        )


def names(found: list[TriggerDetails]) -> list[str]:
    return [one.trigger.name for one in found]


def faults(
    service: FakeService, definition: dict[str, Any], environment: str | None = None, by: Principal = ADA
) -> str:
    with pytest.raises(InvalidTrigger) as raised:
        service.triggers.set(by, definition, environment)
    return "; ".join(raised.value.details["problems"])


def test_a_trigger_stands_on_an_environment_and_acts_for_whoever_set_it(service: FakeService) -> None:
    share(service, "bob", EnvironmentRole.OPERATOR)
    made = service.triggers.set(BOB, REST, "demo")
    assert (made.trigger.owner, made.trigger.environment_id, made.environment) == ("bob", demo(service).id, "demo")
    assert names(service.triggers.on_environment(ADA, "demo")) == ["rest"]
    assert names(service.triggers.all(BOB)) == ["rest"]
    assert names(service.triggers.all(ADA)) == [], "it doesn't act for ada"
    assert names(service.triggers.all(ADMIN)) == names(service.triggers.all(AUDITOR)) == ["rest"]


def test_setting_takes_the_role_of_what_the_trigger_does(service: FakeService) -> None:
    share(service, "bob", EnvironmentRole.OPERATOR)
    with pytest.raises(Forbidden, match="takes owner"):
        service.triggers.set(BOB, DONE, "demo")
    with pytest.raises(Forbidden):
        service.triggers.set(AUDITOR, REST, "demo")
    with pytest.raises(UnknownEnvironment):
        service.triggers.set(EVE, REST, "demo")
    service.triggers.set(ADA, DONE, "demo")


def test_only_its_owner_says_what_a_trigger_does(service: FakeService) -> None:
    """Otherwise an operator could do by ada's trigger what takes an owner."""
    share(service, "bob", EnvironmentRole.OPERATOR)
    made = service.triggers.set(ADA, REST, "demo").trigger
    for somebody in (BOB, ADMIN):
        with pytest.raises(Forbidden, match="acts for ada"):
            service.triggers.change(somebody, made.id, {**REST, "action": "destroy"})
    assert service.triggers.one(ADA, made.id).trigger.definition.action is TriggerAction.STOP
    changed = service.triggers.change(ADA, made.id, {**REST, "name": "sleep", "for": "3h"})
    assert (changed.trigger.id, changed.trigger.name) == (made.id, "sleep")
    assert service.triggers.one(ADA, made.id).trigger.definition.written()["for"] == "3h"


def test_operators_pause_and_remove_those_of_others_but_do_not_resume_them(service: FakeService) -> None:
    share(service, "bob", EnvironmentRole.OPERATOR)
    made = service.triggers.set(ADA, REST, "demo").trigger
    assert service.triggers.change(BOB, made.id, paused=True).trigger.paused
    with pytest.raises(Forbidden):
        service.triggers.change(BOB, made.id, paused=False)
    assert not service.triggers.change(ADA, made.id, paused=False).trigger.paused
    assert service.triggers.change(ADMIN, made.id, paused=True).trigger.paused
    service.triggers.remove(BOB, made.id)
    with pytest.raises(NotFound):
        service.triggers.one(ADA, made.id)


def test_a_trigger_is_stopped_while_its_owner_is_disabled(service: FakeService) -> None:
    share(service, "bob", EnvironmentRole.OPERATOR)
    placed = service.triggers.set(BOB, REST, "demo").trigger
    alone = service.triggers.set(BOB, DONE | WEB_ONLY).trigger
    own = service.triggers.set(ADA, DONE, "demo").trigger

    def stopped() -> dict[str, str]:
        found = service.triggers.all(ADMIN)
        assert {one.trigger.id: one.stopped for one in found} == {
            one.trigger.id: service.triggers.one(ADMIN, one.trigger.id).stopped for one in found
        }
        on_demo = {one.trigger.id: one.stopped for one in service.triggers.on_environment(ADA, "demo")}
        assert on_demo == {one.trigger.id: one.stopped for one in found if one.environment}
        return {one.trigger.id: one.stopped for one in found}

    assert stopped() == {placed.id: "", alone.id: "", own.id: ""}
    with service.database.write() as tx:
        tx.people.change("bob", disabled_at=MONDAY, disabled_by="admin")
    why = "bob is disabled, and the trigger acts for them."
    assert stopped() == {placed.id: why, alone.id: why, own.id: ""}
    with service.database.write() as tx:
        tx.people.change("bob", disabled_at=None, disabled_by="")
    assert stopped() == {placed.id: "", alone.id: "", own.id: ""}


def test_viewers_see_triggers_and_change_nothing_and_strangers_do_not_see_them(service: FakeService) -> None:
    made = service.triggers.set(ADA, REST, "demo").trigger
    alone = service.triggers.set(ADA, {**CLOSED, "template": "web"}).trigger
    share(service, "bob", EnvironmentRole.VIEWER)
    assert service.triggers.one(BOB, made.id).environment == "demo"
    with pytest.raises(Forbidden):
        service.triggers.remove(BOB, made.id)
    with pytest.raises(Forbidden):
        service.triggers.change(BOB, made.id, paused=True)
    for somebody, id in ((EVE, made.id), (BOB, alone.id), (EVE, alone.id), (EVE, "trg-none")):
        asks: list[Callable[[Principal, str], TriggerDetails]] = [service.triggers.one, service.triggers.remove]
        for ask in asks:
            with pytest.raises(NotFound) as raised:
                ask(somebody, id)
            assert "ada" not in raised.value.message
            assert "closed" not in raised.value.message
    with pytest.raises(Forbidden):
        service.triggers.remove(AUDITOR, alone.id)
    service.triggers.remove(ADMIN, alone.id)


@pytest.mark.parametrize(
    ("scope", "environment", "definition"),
    [
        (TokenScope(actions=("environment:triggers",)), "demo", REST),
        (TokenScope(actions=("environment:triggers", "environment:stop")), "demo", DONE),
        (TokenScope(actions=("trigger:manage",)), None, {**DONE, "template": "web"}),
        (TokenScope(templates=("other",)), None, {**DONE, "template": "web"}),
        (TokenScope(templates=("web",)), None, DONE),
        (TokenScope(environments=("env-aaaaaaaaaaaa",)), None, {**DONE, "template": "web"}),
        (
            TokenScope(actions=("trigger:manage", "environment:create")),
            None,
            {**CLOSED, "kinds": [], "action": "preview", "template": "web"},
        ),
    ],
    ids=str,
)
def test_a_limited_token_sets_no_trigger_that_does_more_than_it(
    service: FakeService, scope: TokenScope, environment: str | None, definition: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden, match="token"):
        service.triggers.set(replace(ADA, scope=scope), definition, environment)


def test_a_limited_token_sets_what_it_is_for(service: FakeService) -> None:
    scope = TokenScope(actions=("environment:triggers", "environment:stop"), environments=(demo(service).id,))
    service.triggers.set(replace(ADA, scope=scope), REST, "demo")
    with pytest.raises(Forbidden):
        service.triggers.set(replace(ADA, scope=scope), REST)
    assert names(service.triggers.all(replace(ADA, scope=scope))) == ["rest"]


def test_a_limited_token_lets_nothing_act_again_that_does_more_than_it(service: FakeService) -> None:
    pauses = replace(ADA, scope=TokenScope(actions=("trigger:manage", "environment:triggers")))
    for definition, environment in ((REST, "demo"), ({**DONE, "template": "web"}, None)):
        found = service.triggers.set(ADA, definition, environment).trigger
        service.triggers.change(pauses, found.id, paused=True)
        with pytest.raises(Forbidden, match="token"):
            service.triggers.change(pauses, found.id, paused=False)
        service.triggers.change(ADA, found.id, paused=False)


def test_every_fault_of_a_definition_is_told_at_once(service: FakeService) -> None:
    told = faults(service, {"name": "Bad", "on": "idle", "acton": "stop", "when": {"cpu": {"nott": 1}}}, "demo")
    assert 'acton: there is no such key; did you mean "action"?' in told
    assert 'did you mean "not"?' in told
    told = faults(service, {"name": "a", "on": "idle", "action": "extend", "webhook": "forge"}, "demo")
    assert "it needs for" in told
    assert "it needs a measure" in told
    assert "to extend it needs by" in told
    assert "webhook is read for" in told
    assert "stand alone" in faults(service, {**CLOSED, "action": "preview", "template": "web"}, "demo")
    assert "bytes" in faults(service, {**REST, "when": {f"f{n}": ["x" * 1000] * 100 for n in range(20)}}, "demo")
    assert "nested" in faults(service, {**CLOSED, "action": "update", "parameters": {"a": _nested(100)}}, "demo")


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_what_a_trigger_names_has_to_exist(service: FakeService) -> None:
    assert "there is no webhook 'frge'" in faults(service, {**CLOSED, "webhook": "frge"}, "demo")
    assert "is no forge's" in faults(service, {**CLOSED, "webhook": "hook"}, "demo")
    hook = {"name": "hook", "on": "webhook", "webhook": "forge", "action": "stop"}
    assert "is of a forge" in faults(service, hook, "demo")
    service.triggers.set(ADA, {**hook, "webhook": "hook"}, "demo")
    with pytest.raises(UnknownTemplate):
        service.triggers.set(ADA, {**DONE, "template": "wbe"})
    with pytest.raises(Forbidden):
        service.triggers.set(ADA, {**CLOSED, "action": "preview", "template": "meta"})


def test_parameters_of_a_trigger_are_those_of_the_template_and_no_secrets(service: FakeService) -> None:
    update = {**CLOSED, "action": "update"}
    told = faults(service, {**update, "parameters": {"replcas": 1, "password": "{{ event.title }}"}}, "demo")
    assert 'has no such parameter; did you mean "replicas"?' in told
    assert "it is secret" in told
    service.triggers.set(ADA, {**update, "template": "web", "parameters": {"replicas": 2}})


def test_only_an_admin_watches_keys_of_others(service: FakeService) -> None:
    key = {"name": "key", "on": "consul.key", "action": "stop"}
    assert "needs a condition on key" in faults(service, key, "demo")
    assert "needs a condition on key" in faults(service, {**key, "when": {"key": {"not": "a"}}}, "demo")
    for wanted in ("environments/other/a", ["environments/demo/a", "vault/x"], {"matches": "*"}, {"starts_with": "e"}):
        assert "only an admin" in faults(service, {**key, "when": {"key": wanted}}, "demo")
    assert "only an admin" in faults(service, {**key, "template": "web", "when": {"key": "environments/demo/a"}})
    service.triggers.set(ADA, {**key, "when": {"key": "environments/demo/done"}}, "demo")
    service.triggers.set(
        ADA, {**key, "template": "web", "when": {"key": {"starts_with": "environments/{{ environment.name }}/"}}}
    )
    service.triggers.set(ADMIN, {**key, "template": "web", "when": {"key": "deploys/halt"}})


def test_names_are_unique_and_a_taken_one_tells_which_trigger_has_it(service: FakeService) -> None:
    made = service.triggers.set(ADA, DONE | WEB_ONLY).trigger
    with pytest.raises(NameTaken) as raised:
        service.triggers.set(ADA, DONE | WEB_ONLY)
    assert raised.value.details == {"trigger": made.id}
    service.triggers.set(BOB, DONE | WEB_ONLY)
    service.triggers.set(ADA, DONE, "demo")
    other = service.triggers.set(ADA, REST | WEB_ONLY).trigger
    with pytest.raises(NameTaken):
        service.triggers.change(ADA, other.id, {**REST, **WEB_ONLY, "name": "done"})


def test_a_limited_token_is_not_told_of_a_trigger_that_it_does_not_see(service: FakeService) -> None:
    service.triggers.set(ADA, DONE | WEB_ONLY)
    actions = ("trigger:manage", "environment:triggers", "environment:destroy")
    limited = replace(ADA, scope=TokenScope(templates=("web",), actions=actions))
    assert names(service.triggers.all(limited)) == []
    with pytest.raises(NameTaken) as raised:
        service.triggers.set(limited, DONE | WEB_ONLY)
    assert raised.value.details == {}
    made = service.triggers.set(ADA, DONE, "demo").trigger
    with pytest.raises(NameTaken) as raised:
        service.triggers.set(limited, DONE, "demo")
    assert raised.value.details == {"trigger": made.id}, "it sees the environment"


def test_there_is_a_most_of_triggers(service: FakeService) -> None:
    for number in range(MOST_ON_ENVIRONMENT):
        service.triggers.set(ADA, {**REST, "name": f"rest{number}"}, "demo")
    with pytest.raises(NotAllowedNow, match="stand on 'demo' already"):
        service.triggers.set(ADMIN, REST, "demo")
    for number in range(MOST_OF_OWNER - MOST_ON_ENVIRONMENT):
        service.triggers.set(ADA, {**REST, **WEB_ONLY, "name": f"rest{number}"})
    with pytest.raises(NotAllowedNow, match="act for ada already"):
        service.triggers.set(ADA, REST | WEB_ONLY)
    assert len(service.triggers.all(ADA, limit=30)) == 30


def test_a_trigger_shows_only_firings_on_environments_that_are_seen(service: FakeService) -> None:
    share(service, "bob", EnvironmentRole.OPERATOR)
    made = service.triggers.set(BOB, REST, "demo").trigger
    with service.database.write() as tx:
        tx.received.add(NewReceivedEvent(**EVENT), "evt-1", MONDAY)
        tx.firings.add([_firing(made.id, demo(service).id, "bob")])
    assert [one.id for one in service.triggers.one(BOB, made.id).firings] == ["fir-1"]
    alone = service.triggers.set(BOB, {**DONE, "template": "web"}).trigger
    with service.database.write() as tx:
        tx.firings.add([_firing(alone.id, demo(service).id, "bob", id="fir-2")])
        tx.shares.remove(demo(service).id, "bob")
    assert service.triggers.one(BOB, alone.id).firings == []
    assert len(service.triggers.one(ADMIN, alone.id).firings) == 1


def _firing(trigger_id: str, environment_id: str, owner: str, id: str = "fir-1") -> Firing:
    return Firing(
        id=id,
        event_id="evt-1",
        trigger_id=trigger_id,
        trigger_name="rest",
        owner=owner,
        environment_id=environment_id,
        environment="demo",
        action=TriggerAction.STOP,
        state=FiringState.DONE,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_triggers_on_an_environment_that_has_ended_are_neither_listed_nor_counted(service: FakeService) -> None:
    service.triggers.set(ADA, REST, "demo")
    with service.database.write() as tx:
        assert tx.triggers.count("ada") == 1
        tx.environments.change(demo(service).id, destroyed_at=MONDAY)
        assert tx.triggers.count("ada") == 0
        assert tx.triggers.all(owners=["ada"]) == []
