"""`python -m tests.support.refused_tui`: the terminal UI in the present context, which can't reach its service.

Prints what the UI knows of that, message and hint, and then its screen.
"""

import asyncio

from environments.client import connect
from environments.context import find_context
from environments.moments import local_zone
from tests.support.tui_driver import screen_text, until
from tui.app import CalvinverseApp
from tui.clock import Clock, utc_now


async def main() -> None:
    """Runs it until it knows."""
    app = CalvinverseApp(
        lambda: connect(find_context()), clock=Clock(now=utc_now, zone=local_zone()), make_key=lambda: "", animate=False
    )
    async with app.run_test(size=(160, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.connection.away, "being away")
        error = app.connection.error
        assert error is not None
        print(error.message, error.hint, screen_text(app), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
