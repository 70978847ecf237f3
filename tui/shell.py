"""The application as its screens and dialogs see it: the known state, the connection, ways to open other screens."""

from collections.abc import Callable
from typing import Literal

from textual.app import App

from environments.actions.action import Place
from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import ENDED
from environments.wire.deployments import DeploymentView
from environments.wire.environments import Accepted, EnvironmentView
from environments.wire.system import Info
from environments.words import clean, one_line
from tui.background import Asks
from tui.bars import Connection
from tui.clock import Clock
from tui.draft import Draft
from tui.live import Live


class Shell(Asks, App[None]):
    """Holds what all screens share. `tui.app` adds the screens, so that they need not import each other."""

    def __init__(self, connect: Callable[[], Client], *, clock: Clock, make_key: Callable[[], str], where: str) -> None:
        super().__init__()
        self.clock = clock
        self.make_key = make_key
        self.where = where
        self.known: dict[str, EnvironmentView] = {}
        """Id → environment, as last reported."""
        self.connection = Connection()
        self.role = ""
        """The role of the caller, `admin`, `auditor` or `user`; empty: not known yet."""
        self.me = ""
        """The user name of the caller; empty: not known yet."""
        self.draft = Draft()
        self.live = Live(connect, self.post_message)

    def living(self) -> list[EnvironmentView]:
        """Environments that have not ended: their names are taken."""
        return [view for view in self.known.values() if view.state not in ENDED]

    def client(self) -> Client:
        """The present client. Raises `ServiceUnavailable`."""
        return self.live.client()

    def learn_role(self) -> None:
        """Asks the service who the caller is, and in which role; says so when it is somebody else than before."""

        def known(info: Info) -> None:
            before = self.me
            self.me, self.role = info.owner, info.role
            if before and before != self.me:
                self.say(f"You are {self.me} now.")
            self.state_changed()

        self.ask(lambda: self.client().info(), known, lambda _: None)  # without an answer the service refuses

    def learn(self, view: EnvironmentView) -> None:
        """Stores an environment that the service has answered with."""
        before = self.known.get(view.id)
        if view.deployment is None and before is not None:
            view = view.model_copy(update={"deployment": before.deployment})
        if view.role is None and before is not None:  # an answer that doesn't tell what the caller is for it
            view = view.model_copy(update={"role": before.role, "may": before.may, "shared": before.shared})
        self.known[view.id] = view
        self.state_changed()

    def learn_answer(self, answer: object) -> None:
        """Stores what an answer of the service says of an environment or a deployment; of other things nothing."""
        if isinstance(answer, Accepted):
            self.learn(answer.environment)
        elif isinstance(answer, EnvironmentView):
            self.learn(answer)
        elif isinstance(answer, DeploymentView):
            self.learn_deployment(answer)

    def learn_deployment(self, deployment: DeploymentView) -> None:
        """Stores a deployment that the service has answered with."""
        for view in self.known.values():
            if view.deployment is not None and view.deployment.id == deployment.id:
                self.learn(view.model_copy(update={"deployment": deployment}))
                return

    def why_unavailable(self) -> str | None:
        """Why no request can be sent now, as a sentence; None if one can."""
        connection = self.connection
        if connection.signed_out and connection.error is not None:
            return f"You aren't signed in: {clean(connection.error.message)} {clean(connection.error.hint)}"
        if connection.error is not None:
            return f"There is no connection ({clean(connection.error.message).rstrip('.')}): retrying."
        return None if connection.here else "The service isn't connected yet: the TUI keeps trying."

    def say(self, text: str, *, severity: Literal["information", "warning", "error"] = "information") -> None:
        """Shows a short notification."""
        self.notify(clean(text), severity=severity, timeout=4 if severity == "information" else 8, markup=False)

    def complain(self, what: str, error: CalvinverseError) -> None:
        """Shows an error as one sentence and a hint."""
        text = f"{clean(error.message)}\n{clean(error.hint)}"
        self.notify(text, title=one_line(what), severity="error", timeout=12, markup=False)

    # --- what the application adds -----------------------------------------------------------------------------------

    def state_changed(self) -> None:
        """Draws the screens after the known state has changed."""
        raise NotImplementedError

    def open_detail(self, view: EnvironmentView, *, log_only: bool = False) -> None:
        """Shows one environment."""
        raise NotImplementedError

    def open_create(self) -> None:
        """Shows the form that creates an environment."""
        raise NotImplementedError

    def open_update(self, view: EnvironmentView) -> None:
        """Shows the form that updates an environment."""
        raise NotImplementedError

    def open_rules(self, view: EnvironmentView) -> None:
        """Shows the rules of an environment."""
        raise NotImplementedError

    def open_triggers(self, view: EnvironmentView) -> None:
        """Shows the triggers of an environment."""
        raise NotImplementedError

    def open_events(self, view: EnvironmentView) -> None:
        """Shows the received events of an environment."""
        raise NotImplementedError

    def open_list(self, place: Place) -> None:
        """Shows a list of things of the service."""
        raise NotImplementedError

    def open_help(self) -> None:
        """Shows the help."""
        raise NotImplementedError


class UsesShell(Asks):
    """A screen or dialog that uses the application."""

    @property
    def shell(self) -> Shell:
        """The application."""
        assert isinstance(self.app, Shell)
        return self.app
