"""Who may use a webhook: in triggers that are set, in dry runs, and to see what it told of."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import PersonKind, ServiceRole, ServiceRoleGrant
from environments.domain.commands import CreateEnvironment
from environments.domain.errors import Forbidden, InvalidInput, NameTaken, NotAllowedNow, NotFound, UnknownWebhook
from environments.domain.preview import Preview, Wanted, Written
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.domain.webhook_use import WebhookUse
from environments.service.authorization import Principal
from environments.service.storage.audit import AuditFilter
from environments.service.storage.webhooks import Webhook
from environments.service.trigger_testing import WantedEvent
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import FakeService, make_service

ADA = Principal("ada", "user", "tok-ada", frozenset({"shop"}))
BOB = Principal("bob", "user", "tok-bob")
ADMIN = Principal("admin", "admin", "tok-admin")
AUDITOR = Principal("audrey", "auditor", "tok-audrey")
PREVIEWS: dict[str, Any] = {
    "name": "previews",
    "on": "git.pull_request",
    "webhook": "forge",
    "repository": "acme/shop",
    "action": "preview",
    "template": "web",
}
NIGHTLY = {"name": "nightly", "on": "webhook", "webhook": "hook", "template": "web", "action": "stop"}


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    with service.database.write() as tx:
        for name in ("ada", "bob", "admin", "audrey"):
            tx.people.keep(name, PersonKind.PERSON, MONDAY, "test")
        tx.service_roles.put(ServiceRoleGrant(subject="admin", role=ServiceRole.ADMIN, by="root", at=MONDAY))
        tx.webhooks.add(Webhook("forge", "gitea", "", (), "admin", MONDAY))
        tx.webhooks.add(Webhook("hook", "generic", "", (), "admin", MONDAY))
    yield service
    service.database.close()


def allow(
    service: FakeService, users: Collection[str], repositories: Collection[str] = (), name: str = "forge"
) -> None:
    with service.database.write() as tx:
        tx.webhooks.set_users(name, users)
        tx.webhooks.change(name, repositories=tuple(repositories))


def test_a_new_webhook_is_for_admins_and_they_say_for_whom_else(service: FakeService) -> None:
    made = service.webhooks.create(ADMIN, "shop", "gitea").webhook
    assert (made.users, made.repositories) == ((), ())
    changed = service.webhooks.set_use(ADMIN, "shop", users=["ada", "everyone"], repositories=["acme/*"])
    assert (changed.users, changed.repositories) == (("ada", "everyone"), ("acme/*",))
    assert service.webhooks.set_use(ADMIN, "shop", repositories=[]).users == ("ada", "everyone")
    assert service.webhooks.show(ADMIN, "shop").webhook.repositories == ()
    shown = {one.name: one.users for one in service.webhooks.list(ADMIN)}
    assert shown == {"forge": (), "hook": (), "shop": ("ada", "everyone")}
    with service.database.read() as tx:
        (entry, *_) = tx.audit.list(AuditFilter(actor="admin"), limit=1)
    assert entry.entry.object_id == "shop"


def test_only_admins_say_so_and_only_of_what_there_is(service: FakeService) -> None:
    for somebody in (ADA, AUDITOR):
        with pytest.raises(Forbidden):
            service.webhooks.set_use(somebody, "forge", users=["everyone"])
    with pytest.raises(UnknownWebhook):
        service.webhooks.set_use(ADMIN, "none", users=["everyone"])
    for users in (["nobody-known"], ["group:none"]):
        with pytest.raises(NotFound):
            service.webhooks.set_use(ADMIN, "forge", users=users)
        with pytest.raises(NotFound):
            service.webhooks.create(ADMIN, "shop", "gitea", users=users)
    for name, repositories in (("forge", ["acme"]), ("hook", ["acme/shop"])):
        with pytest.raises(InvalidInput):
            service.webhooks.set_use(ADMIN, name, repositories=repositories)
    with service.database.read() as tx:
        assert tx.webhooks.uses() == {"forge": WebhookUse(), "hook": WebhookUse()}


def test_a_trigger_names_only_webhooks_that_its_owner_may_use(service: FakeService) -> None:
    for definition in (PREVIEWS, NIGHTLY):
        with pytest.raises(Forbidden, match=r"ada may not use the webhook .*, and an admin says who may") as raised:
            service.triggers.set(ADA, definition)
        assert "webhook set" in raised.value.hint
        assert service.triggers.set(ADMIN, definition).trigger.owner == "admin"
    allow(service, ["group:shop"], ["acme/*"])
    allow(service, ["everyone"], name="hook")
    service.triggers.set(ADA, {**PREVIEWS, "name": "mine"})
    service.triggers.set(BOB, NIGHTLY)
    with pytest.raises(Forbidden):
        service.triggers.set(BOB, {**PREVIEWS, "name": "his"})
    for somebody in (ADA, ADMIN):
        with pytest.raises(Forbidden, match="isn't for other/docs"):
            service.triggers.set(somebody, {**PREVIEWS, "name": "other", "repository": "other/docs"})


def test_an_admin_s_token_gives_a_trigger_no_more_than_its_owner_has(service: FakeService) -> None:
    """The trigger would be refused each time it fires."""
    with pytest.raises(Forbidden, match="ada may not use") as raised:
        service.triggers.set(replace(ADA, role="admin"), PREVIEWS)
    assert "--for ada" in raised.value.hint
    allow(service, ["ada"])
    service.triggers.set(replace(ADA, role="admin"), PREVIEWS)


def test_a_trigger_is_not_changed_to_what_its_owner_may_not_use(service: FakeService) -> None:
    allow(service, ["ada"], ["acme/shop"])
    made = service.triggers.set(ADA, PREVIEWS).trigger
    with pytest.raises(Forbidden):
        service.triggers.change(ADA, made.id, {**PREVIEWS, "repository": "other/docs"})
    allow(service, [])
    with pytest.raises(Forbidden):
        service.triggers.change(ADA, made.id, {**PREVIEWS, "ttl": "2h"})
    service.triggers.change(ADA, made.id, paused=True)


def test_a_dry_run_tells_who_may_not_use_the_webhook(service: FakeService) -> None:
    allow(service, ["ada"])
    service.triggers.set(ADA, PREVIEWS)
    fields = {"repository": "acme/shop", "number": 12}
    event = WantedEvent(Source.PULL_REQUEST, "opened", origin="forge", fields=fields)

    def reasons() -> list[str]:
        return [one.reason for one in service.trigger_testing.test(ADA, event=event).events[0].hits]

    assert reasons() == [""]
    allow(service, [])
    assert reasons() == ["ada may not use the webhook 'forge', and an admin says who may"]
    allow(service, ["ada"], ["acme/other"])
    assert reasons() == ["The webhook 'forge' isn't for acme/shop, and an admin says for what it is"]


def test_previews_of_two_owners_have_statuses_of_two_names(service: FakeService) -> None:
    allow(service, ["everyone"])
    service.triggers.set(ADA, PREVIEWS)
    with pytest.raises(NameTaken, match="somebody else"):
        service.triggers.set(BOB, {**PREVIEWS, "repository": "Acme/Shop"})
    his = service.triggers.set(BOB, {**PREVIEWS, "repository": "acme/docs"}).trigger
    with pytest.raises(NameTaken):
        service.triggers.change(BOB, his.id, PREVIEWS)
    service.triggers.change(BOB, his.id, {**PREVIEWS, "name": "his"})


def test_no_way_round_gives_previews_of_two_owners_one_name(service: FakeService) -> None:
    with service.database.write() as tx:
        for name, kind, address in (
            ("first", "github", ""),
            ("second", "github", "https://GitHub.com"),
            ("third", "gitea", "https://github.com.example"),
        ):
            tx.webhooks.add(Webhook(name, kind, address, (), "admin", MONDAY), ["everyone"])
    allow(service, ["everyone"])
    service.triggers.set(ADA, {**PREVIEWS, "webhook": "first"})
    with pytest.raises(NameTaken):
        service.triggers.set(BOB, {**PREVIEWS, "webhook": "second"})
    service.triggers.set(BOB, {**PREVIEWS, "webhook": "third", "name": "third"})
    service.triggers.set(ADA, {**PREVIEWS, "name": "third"})
    created = {**PREVIEWS, "webhook": "first", "action": "create", "environment": "pr-{{ event.number }}"}
    his = service.triggers.set(BOB, created).trigger
    with pytest.raises(NameTaken):
        service.triggers.change(BOB, his.id, {**PREVIEWS, "webhook": "first"})


def received(service: FakeService, event_id: str, repository: str, origin: str = "forge", **told: Any) -> None:
    """An event that led to a firing of a trigger of ada's."""
    values = {
        "source": Source.PULL_REQUEST,
        "kind": "closed",
        "origin": origin,
        "delivery": event_id,
        "subject": f"{repository}#12",
        "fields": {"repository": repository, "title": "a word"},
    }
    firing = Firing(
        id=f"fir-{event_id}",
        event_id=event_id,
        trigger_id="trg-ada",
        trigger_name="previews",
        owner="ada",
        action=TriggerAction.PREVIEW,
        state=FiringState.REFUSED,
        created_at=MONDAY,
    )
    with service.database.write() as tx:
        tx.received.add(NewReceivedEvent.model_validate(values | told), event_id, MONDAY)
        tx.firings.add([firing])


def seen(service: FakeService, by: Principal) -> set[str]:
    """What is listed; exactly that is shown, too."""
    listed = {one.id for one in service.event_reading.all(by)}
    for event_id in ("evt-1", "evt-2", "evt-3", "evt-4", "evt-5"):
        if event_id in listed:
            assert service.event_reading.one(by, event_id).event.id == event_id
        else:
            with pytest.raises(NotFound):
                service.event_reading.one(by, event_id)
    return listed


def test_events_of_repositories_that_nobody_lets_them_use_are_not_shown(service: FakeService) -> None:
    received(service, "evt-1", "acme/shop")
    received(service, "evt-2", "Acme_2/Docs")
    received(service, "evt-3", "acme/shop", origin="deleted")
    received(service, "evt-4", "", origin="hook", source=Source.WEBHOOK, kind="received", fields={"job": "nightly"})
    received(service, "evt-5", "", origin="consul", source=Source.KEY, kind="changed", fields={"key": "a"})
    assert seen(service, ADMIN) == seen(service, AUDITOR) == {f"evt-{number}" for number in range(1, 6)}
    assert seen(service, ADA) == {"evt-5"}
    for users, repositories, shown in (
        (["ada"], [], {"evt-1", "evt-2"}),
        (["group:shop"], ["ACME/*"], {"evt-1"}),
        (["everyone"], ["acme_2/docs", "x/y"], {"evt-2"}),
        (["everyone"], ["acme_2/*"], {"evt-2"}),
        (["everyone"], ["acmex2/*", "acme/sho"], set()),
        (["bob"], [], set()),
    ):
        allow(service, users, repositories)
        assert seen(service, ADA) == {"evt-5"} | shown, (users, repositories)
    allow(service, ["everyone"], name="hook")
    assert seen(service, ADA) == {"evt-4", "evt-5"}
    assert seen(service, BOB) == set(), "nothing of it was his"


@pytest.mark.parametrize("state", [FiringState.PENDING, FiringState.LEFT_OUT])
def test_names_that_were_made_of_such_events_are_not_shown(service: FakeService, state: FiringState) -> None:
    """An event that was void is left out before anybody's rights are looked at."""
    allow(service, ["ada"])
    created = {**PREVIEWS, "action": "create", "environment": "pr-{{ event.number }}"}
    made = service.triggers.set(ADA, created).trigger
    received(service, "evt-1", "acme/shop")
    firing = Firing(
        id="fir-1",
        event_id="evt-1",
        trigger_id=made.id,
        trigger_name=made.name,
        owner="ada",
        environment="pr-12",
        action=TriggerAction.CREATE,
        state=state,
        created_at=MONDAY,
    )
    with service.database.write() as tx:
        tx.firings.add([firing])

    def names(who: Principal) -> list[str]:
        return [one.environment for one in service.triggers.one(who, made.id).firings]

    assert names(ADA) == ["pr-12"]
    for users, repositories in (([], []), (["ada"], ["acme/other"])):
        allow(service, users, repositories)
        assert names(ADA) == [""]
        assert names(ADMIN) == names(AUDITOR) == ["pr-12"]


def test_a_webhook_by_which_previews_live_is_deleted_by_force_alone(service: FakeService) -> None:
    made = service.requests.create(ADA, CreateEnvironment(name="acme-shop-pr-12", template="web", ttl="2d"))
    service.webhooks.create(ADMIN, "shop", "gitea")
    preview = Preview(
        id="prv-1",
        trigger_id="trg-1",
        webhook="shop",
        repository="acme/shop",
        number=12,
        environment_id=made.environment.id,
        environment="acme-shop-pr-12",
        wanted=Wanted.ALIVE,
        written=Written(comment_id="7"),
    )
    with service.database.write() as tx:
        tx.previews.add(preview)
    with pytest.raises(NotAllowedNow, match="1 preview lives by the webhook 'shop'") as raised:
        service.webhooks.delete(ADMIN, "shop")
    assert "--force" in raised.value.hint
    assert raised.value.details == {"previews": 1}
    with pytest.raises(Forbidden):
        service.webhooks.delete(ADA, "shop", force=True)
    service.webhooks.delete(ADMIN, "shop", force=True)
    with service.database.read() as tx:
        left = tx.previews.get("prv-1")
    assert left is not None
    assert left.look_at is not None, "nobody looks at it"
    assert not left.written.begun, "another webhook of that name would edit what isn't its own"
