"""Lists in pages, and tokens with those that they were made with: the same on SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import EVERYTHING, Sight
from environments.domain.environment import DegradedReason, Deployment, Drift, Environment, Resource, Unexpected
from environments.domain.errors import NotFound
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State
from environments.service.selection import Order, Place, Selection, place_of, place_text, read_place
from environments.service.storage.deployments import WorkerRecord
from environments.service.storage.templates import PublishedImage
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Transaction
from tests.fakes.plans import NOW
from tests.support.engine_harness import DATABASES, EngineHarness, open_harness

MANY = 5

# How to read on behind a page: by its last line, or by how many there were.
Read = Callable[[Transaction, Any, int | None], list[Any]]


@pytest.fixture(params=DATABASES)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    setting = open_harness(request, tmp_path / "data")
    yield setting
    setting.database.close()


def at(number: int) -> datetime:
    """A moment; each two numbers share one."""
    return NOW + timedelta(seconds=number // 2)


def token(number: int, parent: int | None = None, revoked_at: datetime | None = None) -> TokenRecord:
    """One of ada's."""
    above = None if parent is None else f"tok-{parent}"
    hashed = (f"cv_{number:09d}", "0" * 64)
    return TokenRecord(f"tok-{number}", *hashed, "ada", "user", "", at(number), None, revoked_at, None, above)


def fill(tx: Transaction) -> None:
    """Some of everything."""
    environment = {"template": "things", "template_version": "1", "bundle": "sha256:0", "owner": "ada"}
    moments = {"created_at": NOW, "state_since": NOW}
    tx.environments.add(Environment(id="env-1", name="one", state=State.READY, **environment, **moments))
    for number in range(MANY):
        tx.deployments.add(
            Deployment(
                id=f"dep-{number}",
                environment_id="env-1",
                kind=DeploymentKind.UPDATE,
                state=DeploymentState.SUCCEEDED,
                reason="",
                requested_by="ada",
                requested_at=at(number),
                bundle="sha256:0",
            )
        )
        tx.tokens.add(token(number))
        tx.workers.beat(WorkerRecord(f"worker-{number}", "host", number, "1", {}, at(number), NOW, True), 60)
        image = PublishedImage("image", f"sha256:{number:064}", "qa", "", "", NOW, "ada")
        tx.images.publish(image)
        tx.images.publish(image._replace(name=f"image-{number}"))
        resource = Resource(
            environment_id="env-1",
            kind="thing",
            address=str(number),
            status=ResourceStatus.PRESENT,
            created_at=NOW,
            updated_at=NOW,
        )
        tx.inventory.intend([resource], {f"thing {number}": 1})


BEHIND_LAST: dict[str, Read] = {
    "deployments": lambda tx, last, limit: tx.deployments.of("env-1", limit=limit, before=last and last.id),
    "tokens": lambda tx, last, limit: tx.tokens.all(None, limit=limit, before=last and last.id),
    "an owner's tokens": lambda tx, last, limit: tx.tokens.all("ada", limit=limit, before=last and last.id),
    "images": lambda tx, last, limit: tx.images.current(after=last.name if last else "", limit=limit),
}

BEHIND_MANY: dict[str, Read] = {
    "workers": lambda tx, skip, limit: tx.workers.all(limit=limit, skip=skip),
    "history": lambda tx, skip, limit: tx.images.history("image", limit=limit, skip=skip),
    "resources": lambda tx, skip, limit: tx.inventory.of("env-1", limit=limit, skip=skip),
}


@pytest.mark.parametrize("what", [*BEHIND_LAST, *BEHIND_MANY])
def test_pages_follow_each_other_without_gap(setting: EngineHarness, what: str) -> None:
    with setting.database.write() as tx:
        fill(tx)
    with setting.database.read() as tx:
        for size in (1, 2, MANY, 100):
            found: list[Any] = []
            while True:
                if what in BEHIND_LAST:
                    page = BEHIND_LAST[what](tx, found[-1] if found else None, size)
                else:
                    page = BEHIND_MANY[what](tx, len(found), size)
                assert len(page) <= size
                found += page
                if not page:
                    break
            whole = BEHIND_LAST[what](tx, None, None) if what in BEHIND_LAST else BEHIND_MANY[what](tx, 0, None)
            assert found == whole
            assert len(found) >= MANY


def test_the_newest_comes_first_also_of_one_moment(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        fill(tx)
    with setting.database.read() as tx:
        assert [one.id for one in tx.deployments.of("env-1")] == [f"dep-{number}" for number in (4, 3, 2, 1, 0)]
        assert [one.id for one in tx.deployments.of("env-1", limit=1)] == ["dep-4"]
        assert [one.id for one in tx.tokens.all(None)] == [f"tok-{number}" for number in (4, 3, 2, 1, 0)]


def test_a_place_that_is_not_there_is_told(setting: EngineHarness) -> None:
    with setting.database.read() as tx:
        for ask in (lambda: tx.deployments.of("env-1", before="x"), lambda: tx.tokens.all(None, before="x")):
            with pytest.raises(NotFound, match="'x' to continue from"):
                ask()


def test_tokens_know_their_line_and_are_revoked_with_it(setting: EngineHarness) -> None:
    early = NOW - timedelta(hours=1)
    with setting.database.write() as tx:
        for made in (token(1), token(2, 1), token(3, 2), token(4, 1, early), token(5)):
            tx.tokens.add(made)
    with setting.database.read() as tx:
        assert tx.tokens.line("tok-3", 8) == [token(3, 2), token(2, 1), token(1)]
        assert tx.tokens.line("tok-3", 2) == [token(3, 2), token(2, 1)]
        assert tx.tokens.line("tok-9", 8) == []
    with setting.database.write() as tx:
        assert tx.tokens.revoke("tok-1", NOW) == token(1, revoked_at=NOW)
        assert tx.tokens.revoke("tok-9", NOW) is None
    with setting.database.read() as tx:
        ended = {one.id: one.revoked_at for one in tx.tokens.all(None)}
    assert ended == {"tok-1": NOW, "tok-2": NOW, "tok-3": NOW, "tok-4": early, "tok-5": None}


def test_a_circle_of_tokens_has_an_end(setting: EngineHarness) -> None:
    with setting.database.write() as tx:
        tx.tokens.add(token(1, 2))
        tx.tokens.add(token(2, 1))
    with setting.database.write() as tx:
        assert len(tx.tokens.line("tok-1", 8)) == 8
        assert tx.tokens.revoke("tok-1", NOW) is not None
        assert [one.revoked_at for one in tx.tokens.all(None)] == [NOW, NOW]


SOON, LATE = NOW + timedelta(hours=1), NOW + timedelta(days=9)
BEHIND = Drift(observed_at=NOW, unexpected=(Unexpected(kind="nomad.job", address="a/b", detail=""),))
AWAY = DegradedReason(since=NOW, step="app", kind="nomad.job", address="a/b", reason="Nothing runs.")
AS_MADE = Drift(observed_at=NOW, troubles={"x": 'an answer with "unexpected": [{ and "changes": [{ in it'})
SORTED: dict[str, dict[str, Any]] = {
    "env-a": {"name": "shop_1", "state": State.READY, "deadline": LATE, "drift": AS_MADE},
    "env-b": {"name": "shop-2", "state": State.FAILED, "owner": "grace"},
    "env-c": {"name": "cart", "state": State.READY, "deadline": SOON, "drift": BEHIND, "template": "other"},
    "env-d": {"name": "desk", "state": State.STOPPED, "deadline": SOON, "hold_id": "hld-1"},
    "env-e": {"name": "echo", "state": State.READY, "awaiting_promotion": ("web",)},
    "env-f": {"name": "fern", "state": State.DESTROYED, "destroyed_at": NOW, "deadline": NOW, "hold_id": "hld-2"},
    "env-g": {"name": "gold", "state": State.READY, "degraded": (AWAY,)},
}


@pytest.fixture
def sorted_ones(setting: EngineHarness) -> EngineHarness:
    with setting.database.write() as tx:
        for number, (id, values) in enumerate(SORTED.items()):
            common = {"template": "web", "template_version": "1", "bundle": "sha256:0", "owner": "ada"}
            moments = {"created_at": at(number), "state_since": NOW}
            tx.environments.add(Environment(id=id, **{**common, **moments, **values}))
    return setting


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_a_sorted_list_are_the_list(sorted_ones: EngineHarness, order: Order, descending: bool) -> None:
    which = Selection(ended=True)
    with sorted_ones.database.read() as tx:

        def page(after: Place | None, limit: int | None) -> list[Environment]:
            return tx.environments.selected(
                EVERYTHING, which, order=order, descending=descending, after=after, limit=limit
            )

        whole = [one.id for one in page(None, None)]
        paged: list[str] = []
        after = None
        while found := page(after, 2):
            paged += [one.id for one in found]
            after = read_place(order, place_text(order, place_of(order, found[-1])))
        assert paged == whole
        assert sorted(whole) == sorted(SORTED)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Selection(), "abcdeg"),
        (Selection(ended=True), "abcdefg"),
        (Selection(owner="grace"), "b"),
        (Selection(owners={"grace"}), "b"),
        (Selection(not_owners=frozenset({"grace"})), "acdeg"),
        (Selection(template="other"), "c"),
        (Selection(states=frozenset({State.FAILED, State.STOPPED})), "bd"),
        (Selection(name="shop"), "ab"),
        (Selection(name="shop_"), "a"),
        (Selection(name="%"), ""),
        (Selection(ids={"env-a", "env-c", "env-none"}), "ac"),
        (Selection(ids=()), ""),
        (Selection(due=NOW + timedelta(days=1)), "cd"),
        (Selection(attention=True), "bcdeg"),
        (Selection(attention=True, ended=True), "bcdeg"),
        (Selection(attention=True, name="c"), "ce"),
    ],
)
def test_a_selection_is_all_that_fits_and_counts_the_same(
    sorted_ones: EngineHarness, which: Selection, expected: str
) -> None:
    with sorted_ones.database.read() as tx:
        found = tx.environments.selected(EVERYTHING, which, order=Order.CREATED, descending=False)
        assert "".join(one.id.removeprefix("env-") for one in found) == expected
        counted = tx.environments.counted(EVERYTHING, which)
        assert sum(counted.states.values()) == len(expected)
        assert counted.attention == len(set(expected) & set("bcdeg"))
        mine = Sight.of(frozenset({"grace"}), None, NOW)
        seen = tx.environments.selected(mine, which, order=Order.CREATED, descending=False)
        assert {one.owner for one in seen} <= {"grace"}
        assert sum(tx.environments.counted(mine, which).states.values()) == len(seen)
