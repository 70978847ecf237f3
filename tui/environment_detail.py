"""One environment: its header, outputs, steps, resources and log, as they happen."""

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Footer, Static

from environments.actions.action import Place
from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.domain.environment import Event, EventType
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import State
from environments.wire.environments import EnvironmentView, OutputView, ResourceView
from environments.words import address_of
from tui import access_sections, plan_sections, sections
from tui.asking import AskingScreen
from tui.bars import AwayBanner, TopBar
from tui.container_log_dialog import ContainerLogDialog
from tui.dialogs import RevealDialog
from tui.keys import bindings
from tui.log import LONGEST, LogPanel

PAGE = 500
"""Events per request."""

_OF_ACCESS = (EventType.ENVIRONMENT_SHARED, EventType.ENVIRONMENT_UNSHARED, EventType.ENVIRONMENT_TRANSFERRED)


class DetailScreen(AskingScreen):
    """Everything about one environment: in two columns on a wide screen, in one on a narrow one."""

    PLACE = Place.DETAIL
    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.DETAIL)

    def __init__(self, view: EnvironmentView, *, log_only: bool = False) -> None:
        super().__init__()
        self.id_of = view.id
        self._view = view
        self._resources: Sequence[ResourceView] = ()
        self._revealed: dict[str, OutputView] = {}
        self._asking = False
        self._ask_again = False
        self._reading = False
        self._early: list[Event] = []
        self._was_away = False
        self._drawn_for = 0
        """The width in cells that lines were shortened for."""
        self.set_class(log_only, "-log-only")

    def compose(self) -> ComposeResult:
        """Top line, banner, header, facts, log, keys."""
        yield TopBar(id="top")
        yield AwayBanner(id="away", markup=False)
        yield Static(id="header", markup=False)
        with Container(id="panes"):
            with VerticalScroll(id="facts"):
                for part in ("outputs", "parameters", "steps", "drift", "resources", "access"):
                    yield Static(id=f"{part}-title", classes="section", markup=False)
                    if part == "steps":
                        yield Static(id="why", markup=False)
                    yield Static(id=part, classes="section-body", markup=False)
            yield LogPanel(self.shell.clock, id="log")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Requests what the list doesn't contain."""
        self.query_one("#log" if self.has_class("-log-only") else "#facts").focus()
        self.shell.live.focus = self.id_of
        self.shell.live.touch(self.id_of)
        self.state_changed()
        self._read_history()

    def on_resize(self) -> None:
        """Draws again: lines have another width now."""
        self.call_after_refresh(self._render_facts)

    def on_unmount(self) -> None:
        """Forgets revealed secrets, and stops fetching the steps."""
        self._revealed.clear()
        if self.shell.live.focus == self.id_of:
            self.shell.live.focus = None

    def current(self) -> EnvironmentView:
        """The environment that is shown."""
        return self._view

    # --- showing -----------------------------------------------------------------------------------------------------

    def state_changed(self) -> None:
        """Draws the known state, and requests what may have changed with it."""
        shell = self.shell
        self._view = shell.known.get(self.id_of, self._view)
        away = shell.connection.away
        if self._was_away and not away:
            self._read_history()
        self._was_away = away
        if shell.connection.signed_out or refusal(action("environment.outputs"), self._view) is not None:
            self._revealed.clear()
        self._ask_resources()
        self.ask_beside()
        self.tick()
        self._render_facts()

    def tick(self) -> None:
        """Updates ages, times left and running steps."""
        super().tick()
        shell, view = self.shell, self._view
        self.query_one("#header", Static).update(
            sections.header(view, shell.clock, stale=shell.connection.away, newer=self.newer)
        )
        self.query_one("#steps", Static).update(sections.steps(view.deployment, shell.clock.now()))

    def _width(self) -> int:
        return max(self.query_one("#steps").size.width, 40)

    def _render_facts(self) -> None:
        view = self._view
        self.query_one("#outputs-title", Static).update("Outputs")
        self.query_one("#outputs", Static).update(sections.outputs(view.outputs, self._revealed, view.entry_points))
        self.query_one("#parameters-title", Static).display = bool(view.parameters)
        self.query_one("#parameters-title", Static).update("Parameters")
        self.query_one("#parameters", Static).display = bool(view.parameters)
        self.query_one("#parameters", Static).update(sections.parameters(view.parameters))
        self.query_one("#steps-title", Static).update(sections.deployment_title(view.deployment))
        why = self.query_one("#why", Static)
        why.display = self.pending is not None
        if self.pending is not None:
            why.update(plan_sections.waiting(self.pending))
        laid_out = view.deployment is not None and bool(view.deployment.steps)
        self.query_one("#steps").display = laid_out or self.pending is None
        self._render_drift()
        count = len(self._resources)
        self.query_one("#resources-title", Static).update(f"Resources — {count}" if count else "Resources")
        self._drawn_for = self._width()
        self.query_one("#resources", Static).update(sections.resources(self._resources, self._drawn_for))
        self.query_one("#access-title", Static).update(access_sections.access_title(view))
        self.query_one("#access", Static).update(access_sections.access(view, self.access, self.shell.clock))
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Draws again if what was drawn brought a scrollbar, or took one away: lines have another width then."""
        if self.is_drawn and self._width() != self._drawn_for:
            self._render_facts()

    def _render_drift(self) -> None:
        shown = self._view.state is State.READY
        said = plan_sections.drift(self.drift, self._width()) if shown else None
        title, body = self.query_one("#drift-title", Static), self.query_one("#drift", Static)
        title.display, body.display = shown, said is not None
        title.set_class(said is None, "-alone")
        if shown:
            title.update(plan_sections.drift_title(self.drift, self.shell.clock.now()))
        if said is not None:
            body.update(said)

    def facts_changed(self) -> None:
        """Draws the drift and the place in the queue."""
        if self.is_drawn:
            self.tick()
            self._render_facts()

    # --- asking ------------------------------------------------------------------------------------------------------

    def _ask_resources(self) -> None:
        """Sends one request at a time; a change meanwhile causes one more."""
        if self.shell.connection.away:
            return
        if self._asking:
            self._ask_again = True
            return
        self._asking, self._ask_again = True, False

        def done(found: list[ResourceView]) -> None:
            self._asking = False
            self._resources = found
            self._render_facts()
            if self._ask_again:
                self._ask_resources()

        def failed(_: CalvinverseError) -> None:
            self._asking = False  # the banner reports the outage; the known state is kept

        client = self.shell.client
        self.ask(lambda: client().resources(self.id_of), done, failed)

    def _read_history(self) -> None:
        """Reads stored events after the last one seen; live events are held back until then, to keep the order."""
        if self._reading or self.shell.connection.away:
            return
        self._reading = True
        log = self.query_one(LogPanel)
        client = self.shell.client
        after = log.last

        def read() -> deque[Event]:
            found: deque[Event] = deque()
            before: int | None = None
            while len(found) < LONGEST and (page := client().newest_history(self.id_of, before=before, limit=PAGE)):
                found.extendleft(event for event in reversed(page) if event.id > after)
                before = page[0].id
                if before <= after:
                    break
            return found

        def done(found: deque[Event]) -> None:
            self._reading = False
            log.add(found)
            early, self._early = self._early, []
            log.add(early)

        def failed(_: CalvinverseError) -> None:
            self._reading = False
            self._early.clear()  # they are stored, and will be read when the service is back

        self.ask(read, done, failed)

    def happened(self, events: Sequence[Event]) -> None:
        """Shows live events of this environment."""
        mine = [event for event in events if event.environment_id == self.id_of]
        if any(event.type in _OF_ACCESS for event in mine):
            self.access_changed()
        if self._reading:
            self._early.extend(mine)
        else:
            self.query_one(LogPanel).add(mine)

    # --- keys of this screen -----------------------------------------------------------------------------------------

    def action_environment_logs(self) -> None:
        """Shows the log on the whole screen, or beside the rest again."""
        self.toggle_class("-log-only")
        self.query_one("#log" if self.has_class("-log-only") else "#facts").focus()

    def action_environment_container_logs(self) -> None:
        """Shows what a container writes."""
        why_not = self.why_not(action("environment.container_logs")) or self.shell.why_unavailable()
        if why_not is not None:
            self.shell.say(why_not, severity="warning")
        else:
            self.shell.push_screen(ContainerLogDialog(self._view, self.shell.clock))

    def action_view_follow(self) -> None:
        """Follows the end of the log."""
        self.query_one(LogPanel).follow()

    def action_view_copy(self) -> None:
        """Copies the first address to the clipboard."""
        address = address_of(self._view)
        if address is None:
            self.shell.say(f"{self._view.name} has no address yet.", severity="warning")
        else:
            self.shell.copy_to_clipboard(address)
            self.shell.say(f"Copied {address}")

    def action_event_list(self) -> None:
        """Opens the received events of this environment."""
        self.shell.open_events(self._view)

    def action_environment_access(self) -> None:
        """Shows who has access."""
        self.remove_class("-log-only")
        self.query_one("#facts").focus()
        self.query_one("#access-title").scroll_visible(animate=False, top=True)

    def action_environment_outputs(self) -> None:
        """Asks before it shows secrets, or hides them again."""
        if self._revealed:
            self._revealed.clear()
            self._render_facts()
            return
        secret = [name for name, output in self._view.outputs.items() if output.secret]
        why_not = self.why_not(action("environment.outputs")) or self.shell.why_unavailable()
        if not secret:
            self.shell.say(f"{self._view.name} has no secret outputs.")
        elif why_not is not None:
            self.shell.say(why_not, severity="warning")
        else:
            self.shell.push_screen(RevealDialog(self._view.name, len(secret)), self._reveal)

    def _reveal(self, yes: bool | None) -> None:
        if not yes:
            return

        def done(found: dict[str, OutputView]) -> None:
            self._revealed = {name: output for name, output in found.items() if output.secret}
            self._render_facts()

        def failed(error: CalvinverseError) -> None:
            self.shell.complain("The secrets can't be shown", error)

        client = self.shell.client
        self.ask(lambda: client().outputs(self.id_of, reveal=True), done, failed)
