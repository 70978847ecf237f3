"""Previews while a forge is away or refuses, and what people and strangers do meanwhile."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from environments.domain.errors import Forbidden
from environments.domain.trigger import PlacedTrigger
from environments.service.authorization import Principal
from environments.service.storage.transaction import Transaction
from tests.fakes.forge import away
from tests.support.hostile_texts import HOSTILE
from tests.support.preview_world import PreviewWorld

World = Callable[..., PreviewWorld]


def test_a_forge_that_is_away_for_an_hour_ends_nothing_and_makes_nothing(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.forge.fault = away()
    opened = here.forge.open(13)
    here.tell(opened)
    begun = here.now
    while here.now - begun < timedelta(hours=1):
        here.look()
        here.work()
        here.now += timedelta(seconds=30)
    assert [one.name for one in here.living()] == ["acme-shop-pr-12"]
    assert len(here.forge.calls) < 60, "it isn't asked all the time"

    here.forge.fault = None
    here.now += timedelta(minutes=10)
    here.settle()
    assert sorted(one.name for one in here.living()) == ["acme-shop-pr-12", "acme-shop-pr-13"]


def test_a_closing_event_is_believed_when_the_forge_stays_away(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    closed = here.forge.close(12)
    here.forge.fault = away()
    here.tell(closed)
    here.now += timedelta(minutes=5)
    here.settle(3)
    assert len(here.living()) == 1
    here.now += timedelta(minutes=15)
    here.settle(3)

    assert here.living() == []


def test_a_rate_limit_is_heeded(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.forge.fault = away(retry_after=1800)
    here.settle()
    calls = len(here.forge.calls)
    here.now += timedelta(minutes=29)
    here.settle()
    assert len(here.forge.calls) == calls

    here.forge.fault = None
    here.now += timedelta(minutes=2)
    here.settle()
    assert len(here.living()) == 1


def test_a_comment_that_somebody_deleted_is_written_again_when_there_is_news(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.forge.comments.clear()
    here.tell(here.forge.close(12))
    here.settle()

    [comment] = here.forge.mine(12)
    assert "has ended" in comment


def test_a_token_that_may_not_write_holds_up_no_environment(world: World) -> None:
    here = world()
    here.forge.refuses = {"put_comment", "set_status"}
    here.tell(here.forge.open(12))
    here.settle()
    assert len(here.living()) == 1
    assert "forge_refused" in here.record(12).fault

    here.tell(here.forge.close(12))
    for _ in range(40):
        here.settle(2)
        here.now += timedelta(minutes=10)
    assert here.living() == []
    assert here.record(12).closed_at is not None, "it is given up once nothing depends on it"


def test_a_token_that_lost_its_rights_ends_nothing(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.forge.refuses = {"pull_request", "open_pull_requests"}
    here.tell(here.forge.event("pushed", 12))
    for _ in range(10):
        here.noting.sweep()
        here.settle(2)
        here.now += timedelta(minutes=10)

    assert len(here.living()) == 1


def test_what_a_forge_does_not_show_any_more_is_told_although_no_event_came(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.forge.refuses = {"pull_request", "open_pull_requests"}
    here.noting.sweep()
    here.settle(2)
    (told,) = here.service.preview_reading.list(here.service.admin)
    assert told.preview.fault.startswith("forge_refused")

    here.forge.refuses = set()
    here.now += timedelta(minutes=10)
    here.settle()
    (told,) = here.service.preview_reading.list(here.service.admin)
    assert told.preview.fault == ""


def test_one_that_its_deadline_ended_comes_back_with_the_next_push(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    here.service.requests.destroy(here.service.admin, "acme-shop-pr-12")
    here.work()
    here.settle()
    here.noting.sweep()
    here.settle()
    assert here.living() == [], "nobody asked for it again"

    here.tell(here.forge.push(12, "b2"))
    here.settle()
    assert [one.parameters["commit"] for one in here.living()] == ["b2"]


def test_what_a_removed_trigger_made_ends(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    known = here.noting.follow_triggers({})
    here.settle()
    with here.service.database.write() as tx:
        tx.triggers.remove(here.placed.id)
    here.noting.follow_triggers(known)
    here.settle()

    assert here.living() == []


def test_a_paused_trigger_does_nothing_until_it_is_resumed(world: World) -> None:
    here = world()
    with here.service.database.write() as tx:
        tx.triggers.change(here.placed.id, paused=True)
    here.tell(here.forge.open(12))
    here.settle()
    known = here.noting.follow_triggers({})
    here.settle()
    assert here.made() == 0
    with here.service.database.write() as tx:
        tx.triggers.change(here.placed.id, paused=False)
    here.noting.follow_triggers(known)
    here.settle()

    assert len(here.living()) == 1


def test_a_name_that_somebody_else_has_is_not_taken_from_them(world: World) -> None:
    from environments.domain.commands import CreateEnvironment

    here = world()
    here.service.requests.create(here.service.admin, CreateEnvironment(name="acme-shop-pr-12", template="preview"))
    here.tell(here.forge.open(12))
    here.settle()
    [theirs] = here.living()
    assert theirs.owner == "root"
    assert "name_taken" in here.record(12).fault
    assert "can't be made now" in here.forge.mine(12)[0]

    here.service.requests.destroy(here.service.admin, "acme-shop-pr-12")
    here.work()
    here.now += timedelta(minutes=11)
    here.settle()
    assert [one.owner for one in here.living()] == ["ada"]


def test_a_preview_lives_for_its_time_after_the_end(world: World) -> None:
    here = world(after="1h")
    here.tell(here.forge.open(12))
    here.settle()
    here.tell(here.forge.close(12, at=here.now))
    here.settle()
    assert len(here.living()) == 1
    assert "will be destroyed at" in here.forge.mine(12)[0]
    here.now += timedelta(hours=1)
    here.settle()

    assert here.living() == []


@pytest.mark.parametrize("forks", ["never", "label", "allowed"])
def test_hostile_texts_make_nothing_that_the_policy_forbids_and_stay_data(world: World, forks: str) -> None:
    here = world(
        forks=forks,
        label="preview" if forks == "label" else "",
        parameters={
            "title": "{{ event.title }}",
            "labels": "{{ event.labels }}",
            "commit": "on {{ event.head_branch }}",
        },
    )
    opened = [
        here.forge.open(
            number,
            fork=True,
            title=text,
            branch=text or "x",
            labels=(text,) if text != "preview" else ("Preview",),
            author=text,
            base_branch=text,
            url=text,
        )
        for number, text in enumerate(HOSTILE, 1)
    ]
    here.tell(*opened)
    here.settle()

    if forks != "allowed":
        assert here.made() == 0
        assert here.forge.comments == {}
        return
    environments = {one.name: one for one in here.living()}
    faults = [here.record(number).fault for number in range(1, 301)]
    assert len(environments) == 300 - sum(bool(fault) for fault in faults)
    assert {fault.partition(":")[0] for fault in faults} == {"", "invalid_parameters", "invalid_input"}
    assert len(environments) > 280
    said = "\n".join(text for _, _, text in here.forge.comments.values())
    for number, text in enumerate(HOSTILE, 1):
        environment = environments.get(f"acme-shop-pr-{number}")
        if environment is None:
            continue
        given = environment.parameters
        assert (
            given["title"].replace(" ", "") in text.replace("\ud83d", "?").replace(" ", "")
            or len(given["title"]) <= 1000
        )
        if len(text) > 15 and not text.startswith("<!-- calvinverse"):
            assert text not in said, "nothing that a stranger wrote is repeated"
    assert here.service.world.secrets == {}


def test_what_was_made_for_somebody_who_is_disabled_still_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    (made,) = here.living()
    with here.service.database.write() as tx:
        tx.environments.change(made.id, owner="grace")
    acting = here.acting

    def refusing(tx: Transaction, owner: str, placed: PlacedTrigger, now: datetime) -> Principal:
        if owner == "ada":
            raise Forbidden("ada is disabled, and the trigger acts for them.")
        return acting(tx, owner, placed, now)

    monkeypatch.setattr(here.previews, "_acting", refusing)
    here.tell(here.forge.open(13), here.forge.close(12))
    here.settle()

    assert here.living() == [], "nothing new is made for them"
