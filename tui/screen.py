"""What every whole screen has: the application by its own type, the line on top, and the banner."""

from typing import TYPE_CHECKING

from textual.screen import Screen

from tui.background import Asks
from tui.bars import AwayBanner, TopBar

if TYPE_CHECKING:
    from tui.app import CalvinverseApp


class HouseScreen(Asks, Screen[None]):
    """A whole screen; dialogs stand over one."""

    @property
    def house(self) -> "CalvinverseApp":
        """The application, by its own type."""
        from tui.app import CalvinverseApp

        assert isinstance(self.app, CalvinverseApp)
        return self.app

    @property
    def drawn(self) -> bool:
        """Whether all its widgets are there: not yet before they are mounted, no more while it is closed."""
        return self.is_mounted and self.is_attached and self.display

    def picture_changed(self) -> None:
        """Something that is known has changed, or the connection has."""
        self.tick()

    def tick(self) -> None:
        """A second has passed, or what the bars say has changed."""
        house = self.house
        self.query_one(TopBar).say(house.clock, house.where, house.living(), house.connection)
        self.query_one(AwayBanner).say(house.clock, house.connection)
