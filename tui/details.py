"""The screen of a list whose selected thing is asked for more than the list says."""

from typing import Generic, TypeVar

from environments.client import Client
from environments.domain.errors import CalvinverseError
from tui.things import ThingsScreen

T = TypeVar("T")
D = TypeVar("D")


class DetailedScreen(ThingsScreen[T], Generic[T, D]):
    """Asks for the details of the selected thing, one request at a time; again after the list was asked for again."""

    def __init__(self) -> None:
        super().__init__()
        self._details: dict[str, D] = {}
        self._asked: dict[str, object] = {}
        """Thing → the list as it was when its details were asked for."""
        self._asking_details = False

    def load_details(self, client: Client, thing: T) -> D:
        """Requests more; called in another thread. Raises `CalvinverseError`."""
        raise NotImplementedError

    def has_details(self, thing: T) -> bool:
        """Whether the service knows more of it than the list says."""
        return True

    def details(self, thing: T) -> D | None:
        """What is known of a thing beyond the list; None: nothing yet."""
        return self._details.get(self.key_of(thing))

    def draw_selected(self) -> None:
        """Asks for its details, too."""
        super().draw_selected()
        self._ask_details()

    def _ask_details(self) -> None:
        thing, listed = self.selected, self.things
        if thing is None or self._asking_details or self.shell.connection.away or not self.has_details(thing):
            return
        key = self.key_of(thing)
        if self._asked.get(key) is listed:
            return
        self._asked[key] = listed
        self._asking_details = True

        def done(found: D) -> None:
            self._details[key] = found
            ended()

        def failed(_: CalvinverseError) -> None:
            ended()  # the dialog of the thing says why

        def ended() -> None:
            self._asking_details = False
            if self.is_drawn:
                self.draw_selected()  # another one may be selected by now

        client = self.shell.client
        self.ask(lambda: self.load_details(client(), thing), done, failed)
