"""The palette: every action of the registry that fits the screen, and every environment to jump to."""

from collections.abc import Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from environments.actions import at, refusal
from tui.acting import ActingScreen
from tui.keys import handler, written
from tui.words import STATES

MOST = 50
"""Environments that are offered at once."""


class ActionProvider(Provider):
    """What can be done here, and where one can jump to."""

    def _actions(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        screen = self.screen
        if not isinstance(screen, ActingScreen):
            return
        view = screen.current()
        for action in at(screen.PLACE):
            if action.id == "view.palette" or (view is not None and refusal(action, view) is not None):
                continue
            if action.states is not None and view is None:
                continue
            about = (
                f" {view.name}" if view is not None and action.group == "environment" and _about_one(action.id) else ""
            )
            key = f"  ({written(action.keys[0])})" if action.keys else ""
            yield f"{action.title}{about}{key}", action.help, getattr(screen, f"action_{handler(action)}")

    def _environments(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        screen = self.screen
        if not isinstance(screen, ActingScreen):
            return
        house = screen.house
        for view in sorted(house.known.values(), key=lambda view: view.name):
            help = f"{STATES[view.state]}, {view.template}, {view.owner}"
            yield f"Go to {view.name}", help, partial(house.open_detail, view)

    async def discover(self) -> Hits:
        """Before anything is typed: the actions."""
        for title, help, run in self._actions():
            yield DiscoveryHit(title, run, title, help)

    async def search(self, query: str) -> Hits:
        """What fits what was typed."""
        matcher = self.matcher(query)
        found = 0
        for title, help, run in [*self._actions(), *self._environments()]:
            score = matcher.match(title)
            if score > 0 and found < MOST:
                found += 1
                yield Hit(score, matcher.highlight(title), run, title, help)


def _about_one(id: str) -> bool:
    return id not in ("environment.create", "environment.list")
