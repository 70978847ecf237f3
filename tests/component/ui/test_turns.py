"""One person's slow pages never keep those of others waiting, with however many sessions."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from environments.domain.errors import ServiceUnavailable, TooManyRequests
from environments.ui.persons import Persons
from environments.ui.turns import Turns
from environments.wire.sign_in import WhoView


def test_a_person_has_some_turns_at_once_and_others_have_theirs() -> None:
    async def scene() -> list[str]:
        turns, done, end = Turns(each=2, waiting=1), list[str](), anyio.Event()

        async def slow(name: str) -> None:
            async with turns.turn("greedy"):
                done.append(name)
                await end.wait()

        async with anyio.create_task_group() as tasks:
            for name in ("first", "second", "third"):
                tasks.start_soon(slow, name)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(TooManyRequests):
                async with turns.turn("greedy"):
                    raise AssertionError("it isn't its turn")
            async with turns.turn("modest"):
                done.append("modest")
            end.set()
        assert not turns._here
        assert not turns._limits
        return done

    assert anyio.run(scene) == ["first", "second", "modest", "third"]


def who(name: str) -> WhoView:
    unused = {"display_name": "", "email": "", "role": "user", "groups": [], "kind": "", "token_id": "", "provider": ""}
    return WhoView.model_validate({"user_name": name, "signed_in_at": None, "ends_at": None, **unused})


def test_whose_a_session_is_is_asked_once_and_refusals_are_not_remembered() -> None:
    async def scene() -> None:
        persons, asked = Persons(known=2), list[str]()

        def ask(token: str) -> Callable[[], Awaitable[WhoView]]:
            async def answer() -> WhoView:
                asked.append(token)
                if token == "bad":
                    raise ServiceUnavailable("Nobody answers.")
                return who(token.partition("-")[0])

            return answer

        names = [await persons.whose(token, ask(token)) for token in ("ada-1", "ada-2", "ada-1")]
        assert (names, asked) == (["ada"] * 3, ["ada-1", "ada-2"])
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                await persons.whose("bad", ask("bad"))
        assert asked[2:] == ["bad", "bad"]
        names = [await persons.whose(token, ask(token)) for token in ("eve-1", "ada-1", "ada-2")]
        assert names == ["eve", "ada", "ada"]
        assert asked[4:] == ["eve-1", "ada-2"]

    anyio.run(scene)
