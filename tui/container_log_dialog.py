"""The dialog that shows what a container of an environment writes, and follows it."""

from collections.abc import Iterator

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Select, Static

from environments.container_words import state_of, title_of
from environments.domain.containers import Stream
from environments.domain.errors import CalvinverseError
from environments.wire.containers import ContainerLogView, ContainerView
from environments.wire.environments import EnvironmentView
from environments.words import clean
from tui.clock import Clock
from tui.dialogs import Dialog
from tui.log import Entry, LogPanel

LINES = 500
"""Lines of each stream that it begins with."""

SECONDS = 2.0
"""Between two requests for more."""


class ContainerLogDialog(Dialog):
    """Lists the containers, and shows the log of the one that is chosen. It changes nothing."""

    back = "Back (esc)"

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(f"Logs of containers of {view.name}", "Follow the end")
        self._view = view
        self._clock = clock
        self._containers: list[ContainerView] = []
        self._chosen: ContainerView | None = None
        self._after: str | None = None
        """Where the log goes on; None: it hasn't begun, or has ended."""
        self._asking = False

    def body(self) -> ComposeResult:
        """The choice, what is said of it, and the log."""
        yield Select[int]([], prompt="choose a container", compact=True, id="container")
        yield Static("Asking the service…", id="container-told", markup=False)
        yield LogPanel(self._clock, id="container-log")

    def on_mount(self) -> None:
        """Asks what runs, and then again and again for more."""
        super().on_mount()
        self.set_interval(SECONDS, self._ask_more)

        def done(found: list[ContainerView]) -> None:
            self._containers = found
            choice = self.query_one(Select)
            choice.set_options([(Content(title_of(one)), number) for number, one in enumerate(found)])
            self._say("" if found else "There are no containers. They appear when its steps have registered jobs.")
            if found:
                choice.value = _first(found)
                choice.focus()

        client, id_of = self.shell.client, self._view.id
        self.ask(lambda: client().containers(id_of), done, self._failed)

    @on(Select.Changed, "#container")
    def choose(self, event: Select.Changed) -> None:
        """Shows the end of another log."""
        event.stop()
        if not isinstance(event.value, int):
            return
        chosen = self._containers[event.value]
        self._chosen, self._after = chosen, None
        self.query_one("#container-log", LogPanel).clear()
        self._say("Asking the service…")

        def done(log: ContainerLogView) -> None:
            self._show(chosen, log)

        client, id_of = self.shell.client, self._view.id
        self.ask(
            lambda: client().container_log(id_of, allocation=chosen.allocation, task=chosen.task, last=LINES),
            done,
            self._failed,
        )

    def go(self) -> None:
        """Follows the end of the log again."""
        self.query_one("#container-log", LogPanel).follow()

    def _ask_more(self) -> None:
        chosen, after = self._chosen, self._after
        if chosen is None or after is None or self._asking or self.shell.connection.away:
            return
        self._asking = True

        def done(log: ContainerLogView) -> None:
            self._asking = False
            self.complain(None)
            if (chosen, after) == (self._chosen, self._after):  # else another one was chosen meanwhile
                self._show(chosen, log)

        def failed(error: CalvinverseError) -> None:
            self._asking = False
            if not error.transient:
                self._after = None
            self._failed(error)

        client, id_of = self.shell.client, self._view.id
        self.ask(
            lambda: client().container_log(id_of, allocation=chosen.allocation, task=chosen.task, after=after),
            done,
            failed,
        )

    def _show(self, chosen: ContainerView, log: ContainerLogView) -> None:
        if chosen is not self._chosen:
            return
        self._after = None if log.ended else log.after
        panel = self.query_one("#container-log", LogPanel)
        if log.missed:
            panel.add_entries([Entry("", "──", "Lines are missing: it writes faster than its log is kept.", "bad")])
        panel.add_entries(_entries(log))
        told = log.container
        restarts = f", {told.restarts} restarts" if told.restarts != 1 else ", 1 restart"
        self._say(f"{state_of(told)}{restarts}" + (". Nothing more will come." if log.ended else ""))

    def _failed(self, error: CalvinverseError) -> None:
        self._say("")
        self.complain(error)

    def _say(self, text: str) -> None:
        self.query_one("#container-told", Static).update(Content(text))


def _first(found: list[ContainerView]) -> int:
    """The one that is shown at first: of those that run, the newest."""
    numbers = range(len(found))
    return max(numbers, key=lambda number: (found[number].state != "dead", found[number].created_at))


def _entries(log: ContainerLogView) -> Iterator[Entry]:
    for line in log.lines:
        yield Entry("", "err" if line.stream is Stream.STDERR else "out", clean(line.text), "plain")
