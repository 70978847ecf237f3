"""Previews and their webhook: who may use it, when it is deleted, and statuses by the names of triggers."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from environments.domain.lifecycle import State
from environments.domain.preview import Preview, Wanted, Written
from environments.service.forges import FIRST_STATUS_NAME, status_name
from tests.support.preview_world import PreviewWorld

World = Callable[..., PreviewWorld]


def allow(here: PreviewWorld, *users: str, repositories: tuple[str, ...] = ()) -> None:
    with here.service.database.write() as tx:
        tx.webhooks.set_users("shop", users)
        tx.webhooks.change("shop", repositories=repositories)


def remove_webhook(here: PreviewWorld) -> None:
    here.service.webhooks.delete(here.service.admin, "shop", force=True)


def test_nothing_is_asked_or_told_for_an_owner_who_may_not_use_the_webhook(world: World) -> None:
    here = world()
    allow(here, "grace")
    here.tell(here.forge.open(12))
    here.noting.sweep()
    here.settle()
    assert (here.made(), here.forge.calls, here.forge.comments, here.forge.statuses) == (0, [], {}, {})
    assert "ada may not use the webhook 'shop'" in here.record(12).fault

    allow(here, "ada", repositories=("acme/other",))
    here.now += timedelta(minutes=20)
    here.settle()
    assert here.forge.calls == []
    assert "isn't for acme/shop" in here.record(12).fault

    allow(here, "ada", repositories=("acme/shop",))
    here.now += timedelta(minutes=20)
    here.settle()
    assert len(here.living()) == 1
    assert here.record(12).fault == ""


def test_what_was_made_stays_as_it_is_until_its_own_end(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    allow(here)
    here.tell(here.forge.push(12, "b2"))
    here.settle()
    [environment] = here.living()
    assert environment.parameters["commit"] == "a1", "a push is not followed"
    assert "may not use the webhook" in here.record(12).fault

    here.forge.close(12)
    here.noting.sweep()
    here.settle()
    assert here.living() == []
    [comment] = here.forge.mine(12)
    assert "has ended" in comment
    assert {state for state, _, _ in here.forge.statuses.values()} == {"success"}
    assert here.record(12).closed_at is not None


def test_previews_of_a_deleted_webhook_end_at_their_deadline(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    remove_webhook(here)
    calls = len(here.forge.calls)
    here.settle()
    assert here.record(12).fault == "its webhook was deleted; it ends at its deadline"
    assert here.record(12).look_at is None, "nothing is tried again and again"
    [environment] = here.living()
    assert environment.state is State.READY

    with here.service.database.write() as tx:
        tx.environments.set_state(environment.id, State.DESTROYED, here.clock(), failure=None, destroyed_at=here.now)
    here.settle()
    record = here.record(12)
    assert (record.wanted, record.because, record.fault) == (Wanted.ENDED, "its webhook was deleted", "")
    assert record.closed_at is not None
    assert len(here.forge.calls) == calls


def test_a_trigger_that_is_removed_ends_what_a_deleted_webhook_left(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    remove_webhook(here)
    with here.service.database.write() as tx:
        tx.triggers.remove(here.placed.id)
        tx.previews.change(here.record(12).id, look_at=here.now)
    here.settle()
    assert here.living(every=True) == []
    assert here.record(12).closed_at is not None


def test_a_webhook_that_is_made_again_goes_on_with_its_previews(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    remove_webhook(here)
    here.settle()
    here.service.webhooks.create(here.service.admin, "shop", "gitea", users=["everyone"])
    here.settle()
    assert here.record(12).fault == ""
    assert len(here.forge.mine(12)) == 1, "its comment was found again"
    here.tell(here.forge.close(12))
    here.settle()
    assert here.living() == []


def test_two_triggers_of_a_repository_overwrite_nothing_of_one_another(world: World) -> None:
    here = world()
    other = here.trigger("other", environment="other-{{ event.number }}")
    opened = here.forge.open(12)
    here.tell(opened)
    with here.service.database.write() as tx:
        event = tx.received.all()[0]
        here.noting.hint(tx, other, event, here.clock())
    here.settle()
    assert len(here.living()) == 2
    assert {name for _, name in here.forge.statuses} == {"calvinverse/shop", "calvinverse/other"}
    first, second = here.forge.mine(12)
    assert first.splitlines()[0] != second.splitlines()[0], "they have one marker"
    here.tell(here.forge.close(12))
    here.settle()
    assert [state for state, _, _ in here.forge.statuses.values()] == ["success", "success"]
    assert all("has ended" in comment for comment in here.forge.mine(12))


def told_as_before(here: PreviewWorld) -> Preview:
    """What an earlier version had written of the preview: the status that all had, and the same comment."""
    record = here.record(12)
    sha = record.written.status_sha
    here.forge.statuses = {(sha, FIRST_STATUS_NAME): ("failure", "The preview has failed", "")}
    written = Written.model_validate(record.written.model_dump() | {"status_name": "", "status": "failure x"})
    with here.service.database.write() as tx:
        tx.previews.change(record.id, written=written, look_at=here.now)
    return here.record(12)


def test_the_status_that_all_had_is_ended_and_the_comment_is_the_same(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    told_as_before(here)
    here.settle()
    assert here.forge.statuses["a1", FIRST_STATUS_NAME][:2] == ("success", "It is told as calvinverse/shop now")
    assert here.forge.statuses["a1", "calvinverse/shop"][0] == "success"
    assert len(here.forge.mine(12)) == 1


def test_it_is_ended_too_when_the_trigger_was_removed_meanwhile(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    told_as_before(here)
    with here.service.database.write() as tx:
        tx.triggers.remove(here.placed.id)
    here.settle()
    assert here.forge.statuses == {("a1", FIRST_STATUS_NAME): ("success", "The preview has ended", "")}


def test_a_trigger_that_gets_another_name_leaves_no_status_behind(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    with here.service.database.write() as tx:
        tx.triggers.change(here.placed.id, name="renamed")
        tx.previews.change(here.record(12).id, look_at=here.now)
    here.settle()
    assert here.forge.statuses["a1", "calvinverse/shop"][1] == "It is told as calvinverse/renamed now"
    assert here.forge.statuses["a1", "calvinverse/renamed"][1] == "The preview is ready"


def test_a_trigger_that_goes_elsewhere_ends_its_statuses_under_the_name_that_they_have(world: World) -> None:
    """Under its new name another trigger may have statuses here."""
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    there = here.placed.definition.model_copy(update={"name": "other", "repository": "acme/docs"})
    with here.service.database.write() as tx:
        tx.triggers.change(here.placed.id, name="other", definition=there)
        tx.previews.change(here.record(12).id, look_at=here.now)
    here.settle()
    assert here.living() == []
    assert here.forge.statuses == {("a1", "calvinverse/shop"): ("success", "The preview has ended", "")}


def test_a_trigger_that_goes_elsewhere_makes_previews_of_the_same_numbers_there(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    there = here.placed.definition.model_copy(update={"repository": "acme/docs"})
    with here.service.database.write() as tx:
        tx.triggers.change(here.placed.id, definition=there)
        tx.previews.change(here.record(12).id, look_at=here.now)
    here.settle()
    assert here.living(every=True) == []

    here.forge.repository = "acme/docs"
    here.tell(here.forge.open(12, head="b2"))
    here.settle()
    [environment] = here.living()
    assert environment.parameters["commit"] == "b2"
    assert here.record(12).repository == "acme/docs"


@pytest.mark.parametrize("removed", [True, False])
def test_nothing_is_told_at_last_that_a_trigger_never_wanted_told(world: World, *, removed: bool) -> None:
    here = world(comment=False, status=False)
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    elsewhere = here.placed.definition.model_copy(update={"repository": "acme/docs", "preview": None})
    with here.service.database.write() as tx:
        if removed:
            tx.triggers.remove(here.placed.id)
        else:
            tx.triggers.change(here.placed.id, definition=elsewhere)
        tx.previews.change(here.record(12).id, look_at=here.now)
    here.settle()
    assert here.living() == []
    assert (here.forge.comments, here.forge.statuses) == ({}, {})
    assert here.record(12).closed_at is not None


def test_names_of_statuses_are_legal_at_every_forge() -> None:
    assert status_name("shop-previews") == "calvinverse/shop-previews"
    assert status_name("a b\n/c") == "calvinverse/a-b-c"
    assert status_name("☃") == "calvinverse/preview"
    assert len(status_name("x" * 500)) <= 100
