"""Dialogs to cancel a deployment and to abandon an environment."""

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Checkbox, Static

from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import ResourceStatus
from environments.wire.deployments import CancelRequest
from environments.wire.environments import AbandonRequest, EnvironmentView, ResourceView
from environments.words import STATES, clean
from tui.dialogs import Dialog, ReasonedDialog

SHOWN = 6
"""Things that are listed by name; the others are counted."""


_FORCE = {False: "no force: running steps may finish cleanly", True: "with force: running steps are stopped at once"}


class CancelDialog(Dialog):
    """Cancels the queued or running deployment."""

    cautious = True
    back = "Back (esc)"

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__(f"Cancel the deployment of {view.name}", "Cancel it")
        self._view = view

    def body(self) -> ComposeResult:
        """What will happen, and whether to use force."""
        newest = self._view.deployment
        asked = newest is not None and newest.cancel_requested_at is not None
        word = STATES[self._view.state].word
        again = "Cancellation was requested before. " if asked else ""
        yield Static(
            f"{self._view.name} is {word}. {again}Running steps may finish cleanly. Then it is failed, and "
            "can be retried, repaired, updated or destroyed. What was made by then stays, and is listed.",
            classes="paragraph",
            markup=False,
        )
        yield Checkbox(Content(_FORCE[asked]), asked, id="force", compact=True)

    def on_mount(self) -> None:
        """Describes the choice."""
        super().on_mount()
        self._say_how(self.query_one("#force", Checkbox))

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Describes the choice in words, too."""
        event.stop()
        self._say_how(event.checkbox)

    def _say_how(self, force: Checkbox) -> None:
        force.label = _FORCE[force.value]
        self.query_one("#go", Button).label = self.verb = "Force it" if force.value else "Cancel it"

    def go(self) -> None:
        """Sends the request."""
        view = self._view
        force = self.query_one("#force", Checkbox).value
        self.send(
            lambda client: client.cancel(view.id, CancelRequest(force=force)),
            f"Cancellation of {view.name} was requested.",
        )


class AbandonDialog(ReasonedDialog):
    """Abandons an environment after its name and a reason were typed; names what may be left."""

    def __init__(self, view: EnvironmentView) -> None:
        super().__init__(f"Abandon {view.name}", "Abandon", view.name)
        self._view = view

    def body(self) -> ComposeResult:
        """What is abandoned, and the two inputs."""
        view = self._view
        yield Static(
            Content.assemble(
                (view.name, "bold"),
                " can't be destroyed, and won't be tried again. Its name stays reserved until nothing of it is "
                "found. What may be left of it is recorded and still observed, but ",
                ("you have to remove it by hand.", "bold"),
            ),
            classes="paragraph",
        )
        yield Static("Asking what may be left…", id="left", classes="paragraph", markup=False)
        yield from self.asks()

    def on_mount(self) -> None:
        """Asks what may be left."""
        super().on_mount()
        view, client = self._view, self.shell.client
        self.ask(lambda: client().resources(view.id), self._found, self._not_found)

    def _found(self, resources: list[ResourceView]) -> None:
        left = [one for one in resources if one.status is not ResourceStatus.GONE]
        left.sort(key=lambda one: one.status is not ResourceStatus.STUCK)
        lines = [f"  {clean(one.kind)}  {clean(one.address)}" for one in left[:SHOWN]]
        if len(left) > SHOWN:
            lines.append(f"  and {len(left) - SHOWN} more")
        self.query_one("#left", Static).update(
            "\n".join(["This may be left:", *lines]) if left else "Nothing is known."
        )

    def _not_found(self, error: CalvinverseError) -> None:
        self.query_one("#left", Static).update(f"What may be left can't be told: {clean(error.message)}")

    def confirmed(self, reason: str) -> None:
        """Abandons the environment by its id."""
        view = self._view
        self.send(lambda client: client.abandon(view.id, AbandonRequest(reason=reason)), f"{view.name} was abandoned.")
