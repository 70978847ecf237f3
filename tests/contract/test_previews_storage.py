"""Previews on either database."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.preview import Preview, PullRequest, Seen, Wanted, Written
from environments.stores.database import Database
from tests.support.engine_harness import ADMIN, DATABASES, TEMPLATE, EngineHarness, open_harness

PULL = PullRequest(
    repository="acme/shop", number=12, head_branch="fix", head_sha="a1", title="\0 \u202e title", labels=("x", "ä")
)


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    yield setting
    setting.database.close()


def add(database: Database, number: int, **more: object) -> Preview:
    preview = Preview.model_validate(
        {
            "id": f"prv-{number}",
            "trigger_id": "trg-1",
            "webhook": "shop",
            "repository": "acme/shop",
            "number": number,
            "environment": f"acme-shop-pr-{number}",
            **more,
        }
    )
    with database.write() as tx:
        assert tx.previews.add(preview)
    return preview


def test_what_is_written_is_read(setting: EngineHarness) -> None:
    now = setting.clock()
    seen = Seen(pull=PULL, approved_sha="a1", ending_since=now, told=PULL)
    made = add(setting.database, 12, seen=seen, written=Written(comment_id="7", failures=2), looked_at=now, look_at=now)

    with setting.database.write() as tx:
        assert tx.previews.get("prv-12") == made
        assert tx.previews.of("trg-1", 12) == made
        assert not tx.previews.add(made.model_copy(update={"id": "prv-13"})), "one for each pull request"
        tx.previews.change("prv-12", wanted=Wanted.ALIVE, seen=Seen(), fault="x" * 5000)
    with setting.database.read() as tx:
        found = tx.previews.get("prv-12")
    assert found is not None
    assert (found.wanted, found.seen, len(found.fault)) == (Wanted.ALIVE, Seen(), 1000)


def test_those_that_are_due_or_concerned_are_found(setting: EngineHarness) -> None:
    now = setting.clock()
    add(setting.database, 1, look_at=now, fault="away")
    add(setting.database, 2, look_at=now + timedelta(hours=1), seen=Seen(pull=PULL), fault="away")
    add(setting.database, 3, closed_at=now - timedelta(days=40), fault="away")
    add(setting.database, 4, trigger_id="trg-2", repository="acme/other", closed_at=now)

    with setting.database.write() as tx:
        assert tx.previews.due(now, 10) == {"prv-1": "shop"}
        assert tx.previews.triggers() == {"trg-1"}
        assert [one.number for one in tx.previews.open_of("trg-1")] == [1, 2]
        assert [one.preview.number for one in tx.previews.shown()] == [1, 2]
        assert [one.preview.number for one in tx.previews.shown(ended=True)] == [1, 2, 3]
        assert [one.preview.number for one in tx.previews.shown(ended=True, skip=1, limit=1)] == [2]
        assert tx.previews.shown(owners=["nobody"], ended=True) == [], "neither the trigger nor an environment is seen"
        assert tx.previews.repositories() == {("shop", "acme/shop")}
        assert tx.previews.look(now, webhook="shop", repository="ACME/shop", branch="fix") == 1
        assert tx.previews.look(now, webhook="shop", repository="acme/shop", number=3) == 0, "it has ended"
        assert tx.previews.look(now, webhook="other", repository="acme/shop") == 0
        assert sorted(tx.previews.due(now, 10)) == ["prv-1", "prv-2"]
        assert tx.previews.forget(now - timedelta(days=30), 10) == 1


def test_the_environment_of_one_that_is_shown_may_be_forgotten(setting: EngineHarness) -> None:
    made = add(setting.database, 1, environment_id="env-forgotten")

    with setting.database.read() as tx:
        assert tx.previews.shown() == [(made, "", None)]


def test_those_whose_environment_has_moved_on_are_found(setting: EngineHarness) -> None:
    setting.push(TEMPLATE)
    request = CreateEnvironment(name="demo", template="things", parameters={"code": "swordfish"})
    environment = setting.requests.create(ADMIN, request).environment
    add(setting.database, 1, environment_id=environment.id, looked_at=environment.state_since - timedelta(seconds=1))
    add(setting.database, 2, environment_id=environment.id, looked_at=environment.state_since)

    with setting.database.read() as tx:
        assert tx.previews.behind(10) == ["prv-1"]
