"""Events that come late, twice, in another order or never, and a process that is killed: one state in the end."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from environments.domain.lifecycle import State
from environments.domain.preview import Wanted
from tests.support.preview_world import Killed, PreviewWorld

World = Callable[..., PreviewWorld]


def test_closed_before_opened_makes_nothing(world: World) -> None:
    here = world()
    opened = here.forge.open(12)
    closed = here.forge.close(12)
    here.tell(closed, opened)
    here.settle()

    assert here.made() == 0
    assert here.forge.comments == {}


def test_events_in_any_order_and_number_end_in_the_same_state(world: World) -> None:
    here = world()
    chance = random.Random(7)
    events = [here.forge.open(number, head=f"{number}-0") for number in range(1, 9)]
    for number in range(1, 9):
        for step in range(3):
            events.append(here.forge.push(number, f"{number}-{step + 1}"))
        if number % 2:
            events.append(here.forge.close(number))
        if number % 4 == 3:
            events.append(here.forge.reopen(number))
    told = events * 3
    chance.shuffle(told)
    for event in told:
        here.tell(event)
        if chance.random() < 0.2:
            here.look()
            here.work()
    here.settle()

    assert {one.name: one.parameters["commit"] for one in here.living()} == {
        f"acme-shop-pr-{number}": f"{number}-3" for number in (2, 3, 4, 6, 7, 8)
    }


def test_a_reopen_during_destroying_waits_until_the_name_is_free(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.tell(here.forge.close(12))
    here.look()
    [going] = here.living(every=True)
    assert going.state is State.DESTROYING

    here.tell(here.forge.reopen(12))
    for _ in range(5):
        here.look()
        here.now += timedelta(seconds=3)
    assert here.living() == []
    here.settle()

    assert len(here.living()) == 1
    assert here.made() == 2
    assert here.record(12).generation == 2


@pytest.mark.parametrize("point", ["asked", "settled", "commented", "stated", "told"])
def test_fifty_times_closed_and_reopened_with_the_process_killed(world: World, point: str) -> None:
    here = world()
    here.tell(here.forge.open(12))
    killed = [0]

    def die(reached: str) -> None:
        if reached == point:
            killed[0] += 1
            if killed[0] % 2:
                raise Killed

    here.at = die
    for number in range(50):
        here.tell(here.forge.close(12))
        if number % 3 == 0:
            dying(here)
            here.work()
        here.tell(here.forge.reopen(12))
        dying(here)
        here.previews = here.make()
    for _ in range(10):
        dying(here)
        here.work()
    here.at = lambda reached: None
    here.settle()

    assert killed[0] > 10
    assert len(here.living(every=True)) == 1
    assert here.record(12).wanted is Wanted.ALIVE
    assert len(here.forge.mine(12)) == 1
    assert "is ready" in here.forge.mine(12)[0]


def dying(here: PreviewWorld) -> None:
    here.now += timedelta(seconds=3)
    try:
        here.look()
    except Killed:
        here.previews = here.make()


def test_a_lost_opening_is_found(world: World) -> None:
    here = world()
    here.forge.open(12)
    here.noting.sweep()
    here.settle()

    assert [one.name for one in here.living()] == ["acme-shop-pr-12"]


def test_a_lost_push_is_found(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    here.forge.push(12, "b2")
    here.noting.sweep()
    here.settle()

    assert [one.parameters["commit"] for one in here.living()] == ["b2"]


def test_a_sweep_that_finds_nothing_new_asks_for_the_list_alone(world: World) -> None:
    here = world()
    here.tell(*[here.forge.open(number) for number in range(1, 6)])
    here.settle()
    here.forge.calls.clear()
    here.noting.sweep()
    here.settle()

    assert here.forge.calls == ["open_pull_requests"]
