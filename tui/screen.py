"""What every whole screen has: the application by its own type, the line on top, and the banner."""

from textual.screen import Screen

from tui.bars import AwayBanner, TopBar
from tui.shell import UsesShell


class AppScreen(UsesShell, Screen[None]):
    """A whole screen; dialogs stand over one."""

    @property
    def drawn(self) -> bool:
        """Whether all its widgets are there: not yet before they are mounted, no more while it is closed."""
        return self.is_mounted and self.is_attached and self.display

    def picture_changed(self) -> None:
        """Something that is known has changed, or the connection has."""
        self.tick()

    def tick(self) -> None:
        """A second has passed, or what the bars say has changed."""
        shell = self.shell
        self.query_one(TopBar).say(shell.clock, shell.where, shell.living(), shell.connection)
        self.query_one(AwayBanner).say(shell.clock, shell.connection)
