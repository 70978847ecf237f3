"""What every full screen has: the top line and the banner."""

from textual.screen import Screen

from tui.bars import AwayBanner, TopBar
from tui.shell import UsesShell


class AppScreen(UsesShell, Screen[None]):
    """A full screen; dialogs are shown over one."""

    @property
    def is_drawn(self) -> bool:
        """Whether all its widgets exist: not before they are mounted, nor while the screen is closed."""
        return self.is_mounted and self.is_attached and self.display

    def state_changed(self) -> None:
        """Draws the screen after the known state or the connection has changed."""
        self.tick()

    def tick(self) -> None:
        """Updates the bars; called every second and after changes."""
        shell = self.shell
        who = f"{shell.me}, {shell.role}" if shell.me else ""
        self.query_one(TopBar).say(shell.clock, shell.where, shell.living(), shell.connection, who)
        self.query_one(AwayBanner).say(shell.clock, shell.connection)
