"""The memory that large bodies share, and what becomes of a body that was ended for another one."""

import asyncio
import contextlib

import pytest

from environments.api.memory_budget import MemoryBudget


def test_bytes_that_still_come_after_a_body_was_ended_take_no_memory() -> None:
    async def scenario() -> None:
        budget = MemoryBudget(most=100, each=100, free=1, idle=0.0)
        with budget.allocation("ada") as idle, budget.allocation("grace") as other:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60) as idle.receiving:
                    idle.grow(80)
                    other.grow(90)
                    with pytest.raises(TimeoutError):
                        idle.grow(85)
                    other.grow(95)
                    await asyncio.sleep(60)
            assert idle.size == 0
            assert other.size == 95

    asyncio.run(scenario())
