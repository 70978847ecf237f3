"""Who may use a webhook, on both databases; those from before this could be said are open to everyone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text

from environments.domain.access import Group, PersonKind
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.webhook_use import OPEN, WebhookUse
from environments.service.storage.webhooks import Webhook
from environments.stores.database import open_database
from environments.stores.migrating import alembic_config
from environments.stores.sqlite import FILE
from tests.fakes.plans import NOW
from tests.support.engine_harness import DATABASES, EngineHarness, open_harness

SHOP = Webhook("shop", "gitea", "", (), "root", NOW, repositories=("acme/*", "other/docs"))


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    yield setting
    setting.database.close()


def test_what_is_said_of_a_webhook_is_read(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.webhooks.add(SHOP, ["group:shop", "ada"])
        tx.webhooks.add(Webhook("closed", "generic", "", (), "root", NOW))
        assert tx.webhooks.get("shop") == SHOP
        shop = WebhookUse(users=("ada", "group:shop"), repositories=("acme/*", "other/docs"))
        assert tx.webhooks.uses() == {"closed": WebhookUse(), "shop": shop}
        assert tx.webhooks.uses(["closed", "none"]) == {"closed": WebhookUse()}
        assert tx.webhooks.use("none") is None
        tx.webhooks.set_users("shop", ["everyone"])
        tx.webhooks.change("shop", repositories=())
        assert tx.webhooks.use("shop") == OPEN
        assert tx.webhooks.remove("shop")
    with setting.database.write() as tx:
        tx.webhooks.add(SHOP)
        assert tx.webhooks.use("shop") == WebhookUse(repositories=SHOP.repositories), "who might use the former one may"


def test_a_group_that_is_deleted_and_made_again_may_not_use_it(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.groups.add(Group(name="shop", created_at=NOW))
        tx.webhooks.add(SHOP, ["group:shop", "ada"])
        assert tx.groups.gives("shop")["webhooks"] == 1
        tx.groups.remove("shop")
        tx.groups.add(Group(name="shop", created_at=NOW))
        found = tx.webhooks.use("shop")
        assert found is not None
        assert found.users == ("ada",)


def test_it_goes_to_the_name_that_somebody_gets(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        for name in ("old", "new"):
            tx.people.keep(name, PersonKind.PERSON, NOW, "test")
        tx.webhooks.add(SHOP, ["old"])
        tx.webhooks.add(Webhook("both", "generic", "", (), "root", NOW), ["new", "old"])
        assert tx.people.hand_over("old", "new")["webhooks"] == 1
        assert [one.users for one in tx.webhooks.uses().values()] == [("new",), ("new",)]


def test_webhooks_from_before_are_open_to_everyone(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0028")
        values = "'shop', 'gitea', '', '[]', 'root', '2026-11-01 00:00:00.000000'"
        connection.execute(
            text(f"INSERT INTO webhooks (name, kind, address, allowed, created_by, created_at) VALUES ({values})")  # noqa: S608
        )
    engine.dispose()
    database = open_database(tmp_path)
    try:
        with database.read() as tx:
            assert tx.webhooks.uses() == {"shop": OPEN}
            found = tx.webhooks.get("shop")
        assert found is not None
        assert found.repositories == ()
    finally:
        database.close()


COVERED = {
    "acme/shop": True,
    "ACME/a_b.c-1": True,
    "acme/sub/shop": True,
    "acme/.github": True,
    "Other/Docs": True,
    "acme": False,
    "acme/": False,
    "acme//shop": False,
    "acme/../secret": False,
    "acme/./shop": False,
    "acme/..": False,
    "acmex/shop": False,
    "other/docs2": False,
    "other/docs\n": False,
    "acme/caf\u00e9": False,
    "acme/\u212aeep": False,
    "other/doc\u017f": False,
}
"""Whether `SHOP` may be used for a repository. U+212A is a `k` in lower case, and U+017F an `S` in upper case."""


def test_events_are_found_for_exactly_the_repositories_that_are_covered(setting: EngineHarness) -> None:
    use = WebhookUse(users=("ada",), repositories=SHOP.repositories)
    assert {name: use.covers(name) for name in COVERED} == COVERED
    with setting.database.write() as tx:
        for number, name in enumerate(COVERED):
            told = NewReceivedEvent(
                source=Source.BRANCH,
                kind="pushed",
                origin="shop",
                delivery=f"d-{number}",
                subject=f"{name}#main",
                fields={"repository": name},
            )
            tx.received.add(told, f"evt-{number}", NOW)
        found = tx.received.all(usable={"shop": use})
    assert {one.fields["repository"] for one in found} == {name for name, covered in COVERED.items() if covered}
