"""One session's slow pages never keep those of others waiting."""

import anyio
import pytest

from environments.domain.errors import TooManyRequests
from environments.ui.turns import Turns


def test_a_session_has_some_turns_at_once_and_others_have_theirs() -> None:
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
