"""Drives the TUI in a test: keys in, and waiting until what must happen has happened."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from tests.support.in_process.client import InProcessClient
from tests.support.tui_scenes import make_app
from tui.app import CalvinverseApp
from tui.clock import Clock

Script = Callable[["Driver"], Awaitable[None]]
LONGEST_WAIT = 240.0


class Driver:
    """The running application, its service in this process, and the keyboard."""

    def __init__(self, app: CalvinverseApp, client: InProcessClient, pilot: Pilot[Any]) -> None:
        self.app = app
        self.client = client
        self.pilot = pilot
        self._said: list[str] = []
        self._notify = app.notify
        app.notify = self._remember  # type: ignore[method-assign]

    @property
    def screen(self) -> Screen[Any]:
        """What is on top."""
        return self.app.screen

    async def press(self, *keys: str) -> None:
        """Presses keys, one after another."""
        await self.pilot.press(*keys)

    async def write(self, text: str) -> None:
        """Types text."""
        for character in text:
            await self.pilot.press(
                {" ": "space", "-": "minus", "_": "underscore", ":": "colon"}.get(character, character)
            )

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Waits until it holds."""
        await until(self.pilot, condition, what)

    async def until_screen(self, kind: type[Screen[Any]]) -> None:
        """Waits until a screen of this kind is on top, with its widgets."""
        await self.until(lambda: isinstance(self.screen, kind) and self.screen.is_mounted, kind.__name__)
        await self.pilot.pause()

    async def until_text(self, text: str) -> None:
        """Waits until the screen shows it."""
        await self.until(lambda: text in self.text(), f"{text!r} on the screen:\n{self.text()}")

    def text(self) -> str:
        """What the screen shows, as lines; a text that was wrapped isn't found as one."""
        return screen_text(self.app)

    def static(self, selector: str) -> str:
        """The text of a widget, unwrapped."""
        return str(self.screen.query_one(selector, Static).content)

    def said(self) -> list[str]:
        """The words that were shown in toasts so far; those of toasts that are gone again, too."""
        return list(self._said)

    def _remember(self, message: str, **options: Any) -> None:
        self._said.append(message)
        self._notify(message, **options)


async def until(pilot: Pilot[Any], condition: Callable[[], Any], what: str = "") -> None:
    """Waits until it holds; fails the test after a while."""
    give_up = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < give_up, f"waited in vain for {what or condition}"
        await pilot.pause(0.01)
    await pilot.pause()


def screen_text(app: App[Any]) -> str:
    """What is on the screen, as lines of text."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


def drive(
    script: Script,
    client: InProcessClient,
    *,
    size: tuple[int, int] = (100, 30),
    at: Clock | None = None,
    connected: bool = True,
) -> None:
    """Runs the TUI over the API in this process, and the script on it."""

    async def run() -> None:
        app = make_app(client, at)
        async with app.run_test(size=size, notifications=True) as pilot:
            driver = Driver(app, client, pilot)
            if connected:
                await driver.until(lambda: app.connection.here, "the connection")
            await script(driver)

    asyncio.run(run())
