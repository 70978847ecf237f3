"""The top line of every screen, and the banner that is shown while the service can't be reached."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from environments.domain.errors import CalvinverseError, Unauthenticated
from environments.domain.lifecycle import BUSY, State
from environments.moments import coarse
from environments.wire.environments import EnvironmentView
from environments.words import STATES, WARNING, clean
from tui.clock import Clock


@dataclass(frozen=True)
class Connection:
    """Whether the service answers. `since`: when it stopped answering; None while it answers or hasn't answered yet."""

    here: bool = False
    error: CalvinverseError | None = None
    since: datetime | None = None
    last_heard: datetime | None = None

    @property
    def away(self) -> bool:
        """Whether an attempt has failed; before the first attempt the service is neither here nor away."""
        return self.error is not None

    @property
    def signed_out(self) -> bool:
        """Whether the service answers, and knows the token no longer: the session has ended, or there is none."""
        return isinstance(self.error, Unauthenticated)


class TopBar(Widget):
    """The service's name, the number of environments by state, who is signed in, and the time with its zone."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left = Text("")
        self._who = Text("")
        self._right = Text("")

    def say(self, clock: Clock, where: str, views: Iterable[EnvironmentView], connection: Connection, who: str) -> None:
        """Updates the line. `who`: the caller and their role; empty while that isn't known."""
        known = list(views)
        parts = [Text(" Calvinverse", style="bold"), Text(f" {clean(where)}", style="dim")]
        groups = (
            (STATES[State.READY].glyph, "ready", {State.READY}),
            (STATES[State.DEPLOYING].glyph, "busy", set(BUSY)),
            (STATES[State.STOPPED].glyph, "stopped", {State.STOPPED}),
            (STATES[State.FAILED].glyph, "failed", {State.FAILED, State.DESTROY_FAILED}),
        )
        for glyph, word, states in groups:
            count = sum(view.state in states for view in known)
            if count:
                parts.append(Text(f"{glyph} {count} {word}"))
        held = sum(view.held_by is not None for view in known)
        if held:
            parts.append(Text(f"{WARNING} {held} held", style="bold"))
        if connection.away:
            parts.append(Text("✗ signed out" if connection.signed_out else "✗ away", style="bold"))
        self._left = Text("   ").join(parts)
        self._who = Text(f"{clean(who)}   " if who and not connection.signed_out else "")
        self._right = Text(f"{clock.now().astimezone(clock.zone):%H:%M %Z} ", style="dim")
        self.refresh()

    def render(self) -> Text:
        """The line, as wide as the screen; where there is no room, without who is signed in."""
        room = self.size.width - self._left.cell_len - self._right.cell_len
        who = self._who if self._who.cell_len + 2 <= room else Text("")
        gap = max(room - who.cell_len, 2)
        return Text.assemble(self._left, " " * gap, who, self._right, no_wrap=True, overflow="ellipsis")


class AwayBanner(Static):
    """Shown only while the service can't be reached: why, since when, and that the connection is retried."""

    def say(self, clock: Clock, connection: Connection) -> None:
        """Updates the banner, or hides it."""
        self.display = connection.away
        if connection.error is None:
            return
        now = clock.now()
        since = connection.since or now
        heard = (
            f"What you see is from {clock.time(connection.last_heard)} and may have changed."
            if connection.last_heard
            else "Nothing is known yet."
        )
        what = "Signed out" if connection.signed_out else "Away"
        then = " The TUI then continues by itself." if connection.signed_out else ""
        self.update(
            Text.assemble(
                (f"✗ {clean(connection.error.message)}", "bold"),
                f"\n{what} since {clock.time(since)} ({coarse(now - since)}), retrying. {heard}",
                f"\n{clean(connection.error.hint)}{then}",
            )
        )
