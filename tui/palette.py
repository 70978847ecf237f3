"""The palette: every action of the registry, and every environment."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider

from environments.actions.action import Action
from environments.actions.registry import ACTIONS, at
from environments.words import STATES, one_line
from tui.keys import handler, written
from tui.placed import PlacedScreen

MOST = 50
"""Maximum of environments in the results."""


class _Entry(NamedTuple):
    """An entry: title, help (or why it isn't possible now), further words to search for, and what it runs."""

    title: str
    help: str
    words: str
    run: Callable[[], None]
    now: bool = True
    """Whether it is possible now."""


class ActionProvider(Provider):
    """The actions of the screen, those of the command line, and the environments."""

    def _actions(self) -> Iterator[_Entry]:
        screen = self.screen
        if not isinstance(screen, PlacedScreen):
            return
        for action in at(screen.PLACE):
            if action.id == "view.palette":
                continue
            why_not = screen.why_not(action)
            about = f" {screen.about(action)}".rstrip()
            key = f"  ({written(action.keys[0])})" if action.keys else ""
            run = getattr(screen, f"action_{handler(action)}")
            title = f"{action.title}{about}{key}"
            yield _Entry(title, why_not or action.help, _words(action), run, why_not is None)

    def _commands(self) -> Iterator[_Entry]:
        """Actions that the command line has, and this screen doesn't."""
        screen = self.screen
        if not isinstance(screen, PlacedScreen):
            return
        here = {action.id for action in at(screen.PLACE)}
        for action in ACTIONS:
            if action.command is not None and action.id not in here:
                elsewhere = f", or in the {action.only_in}" if action.only_in else ""
                help = f"In a terminal, `{action.command_line}`{elsewhere}: {action.help}"
                yield _Entry(action.title, help, _words(action), partial(_copy_command, screen, action))

    def _environments(self) -> Iterator[_Entry]:
        screen = self.screen
        if not isinstance(screen, PlacedScreen):
            return
        shell = screen.shell
        for view in sorted(shell.known.values(), key=lambda view: view.name):
            help = f"{STATES[view.state]}, {view.template}, {view.owner}"
            yield _Entry(f"Go to {view.name}", help, "", partial(shell.open_detail, view))

    async def discover(self) -> Hits:
        """The entries before anything is typed: the possible actions of this screen."""
        for entry in self._actions():
            if entry.now:
                yield DiscoveryHit(entry.title, entry.run, entry.title, _as_markup(entry.help))

    async def search(self, query: str) -> Hits:
        """The entries that match the query by title, or by the words of the help and the command."""
        matcher = self.matcher(query)
        typed = query.lower().split()
        found = 0
        for title, help, words, run, _ in [*self._actions(), *self._commands(), *self._environments()]:
            score = matcher.match(title)
            if score <= 0 and words and all(word in words for word in typed):
                score = 0.1
            if score > 0 and found < MOST:
                found += 1
                yield Hit(score, matcher.highlight(title), run, title, _as_markup(help))


def _copy_command(screen: PlacedScreen, action: Action) -> None:
    screen.shell.copy_to_clipboard(action.command_line)
    screen.shell.say(f"Copied: {action.command_line}. Use it in a terminal; --help explains it.")


def _as_markup(text: str) -> str:
    """What shows the text as it is: the palette reads markup, and help names owners and templates."""
    return one_line(text).replace("[", r"\[")


def _words(action: Action) -> str:
    return f"{action.title} {action.help} {action.detail} {action.command_line} {action.id}".lower()
