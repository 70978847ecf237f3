"""What the service says of one thing beyond its list: on the screen of the list, and in a dialog."""

from typing import Generic, TypeVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from environments.client import Client
from environments.domain.errors import CalvinverseError
from tui.clock import Clock
from tui.dialogs import Dialog
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


class DetailDialog(Dialog, Generic[D]):
    """Shows what the list knows of a thing, and its details once the service has answered. It changes nothing."""

    back = "Back (esc)"
    cautious = True

    def __init__(self, title: str, clock: Clock) -> None:
        super().__init__(title, "Reload")
        self.clock = clock

    def load(self, client: Client) -> D:
        """Requests the details; called in another thread. Raises `CalvinverseError`."""
        raise NotImplementedError

    def has_details(self) -> bool:
        """Whether the service knows more of it than the list says."""
        return True

    def told(self, found: D | None) -> Content:
        """The thing in full; None: as the list knows it."""
        raise NotImplementedError

    def body(self) -> ComposeResult:
        """What is known of the thing."""
        yield Static(id="told", markup=False)

    def on_mount(self) -> None:
        """Shows what the list knows, and asks if there is more."""
        super().on_mount()
        self._show(None)
        more = self.has_details()
        self.query_one("#go").display = more
        if more:
            self.go()

    def go(self) -> None:
        """Asks the service."""

        def done(found: D) -> None:
            self.complain(None)
            self._show(found)

        client = self.shell.client
        self.ask(lambda: self.load(client()), done, self.complain)

    def _show(self, found: D | None) -> None:
        self.query_one("#told", Static).update(self.told(found))
