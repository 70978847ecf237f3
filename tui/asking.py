"""Further requests of the detail screen: drift, the reason for waiting, a newer template version."""

from environments.actions.registry import action
from environments.domain.environment import Drift
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import ENDED, DeploymentState, State
from environments.domain.plan import summary
from environments.wire.access import AccessView
from environments.wire.deployments import PendingView
from environments.wire.environments import DriftView, EnvironmentView
from environments.wire.templates import TemplateView
from tui.acting import ActingScreen

TICKS = 5
"""Seconds between two requests for the reason of waiting: the place in the queue changes without an event."""


RARE = 30
"""Seconds between two requests for the newest version of the template."""


class AskingScreen(ActingScreen):
    """Keeps an environment's drift and its place in the queue; the screen draws them."""

    def __init__(self) -> None:
        super().__init__()
        self.drift: Drift | None = None
        self.pending: PendingView | None = None
        self.access: AccessView | None = None
        """With whom it is shared."""
        self.newer: str | None = None
        """The newest version of the template, if the environment has another one."""
        self._drift_of: object = None
        self._access_of: object = None
        self._newer_than = ""
        self._ticks = 0

    def current(self) -> EnvironmentView:
        """The environment that is shown."""
        raise NotImplementedError

    def facts_changed(self) -> None:
        """Called when there is something new to draw."""
        raise NotImplementedError

    def ask_beside(self) -> None:
        """Requests the drift if it may have changed, and the reason for waiting if the deployment is queued."""
        view = self.current()
        if self.shell.connection.away:
            return
        key = _drift_key(view)
        if key != self._drift_of:
            self._drift_of = key
            self.drift = None
            if view.state is State.READY:
                self._ask_drift(view.id, key)
        self._ask_access()
        self._ask_why()
        if view.bundle != self._newer_than:
            self._ask_newest()

    def tick(self) -> None:
        """Requests the place in the queue, and from time to time the newest template."""
        super().tick()
        self._ticks += 1
        if self._ticks % TICKS == 0:
            self._ask_why()
        if self._ticks % RARE == 0 and not self.shell.connection.away:
            self._ask_newest()

    def _ask_drift(self, id_of: str, key: object) -> None:
        def known(found: DriftView) -> None:
            if key == self._drift_of:  # else the answer came late: the next one is for what is shown now
                self._drift_known(found)

        client = self.shell.client
        self.ask(lambda: client().drift(id_of), known, _unknown)

    def _drift_known(self, found: DriftView) -> None:
        self.drift = found.drift
        self.facts_changed()

    def access_changed(self) -> None:
        """It was shared, or a share has ended: requests the shares again."""
        self._access_of = None
        self._ask_access()

    def _ask_access(self) -> None:
        view = self.current()
        key = (view.owner, view.role, view.shared)
        if key == self._access_of or self.shell.connection.away:
            return
        self._access_of = key

        def known(found: AccessView) -> None:
            self.access = found
            self.facts_changed()

        def unknown(_: CalvinverseError) -> None:
            self._access_of = None  # requested again with the next change

        client = self.shell.client
        self.ask(lambda: client().access(view.id), known, unknown)

    def _ask_why(self) -> None:
        newest = self.current().deployment
        if newest is None or newest.state is not DeploymentState.QUEUED:
            self.pending = None
            return
        if self.shell.connection.away:
            return
        client, id_of = self.shell.client, newest.id

        def known(found: PendingView) -> None:
            now = self.current().deployment
            waits = now is not None and now.id == id_of and now.state is DeploymentState.QUEUED
            self.pending = found if waits and found.state is DeploymentState.QUEUED else None
            self.facts_changed()

        self.ask(lambda: client().why(id_of), known, _unknown)

    def _ask_newest(self) -> None:
        view = self.current()
        self._newer_than = view.bundle

        def known(found: TemplateView) -> None:
            self.newer = found.version if found.digest != view.bundle else None
            self.facts_changed()

        def unknown(_: CalvinverseError) -> None:
            self.newer = None  # the template was deleted, or the catalogue can't be reached

        if view.state in ENDED or view.managed_by is not None:
            self.newer = None
            return
        client = self.shell.client
        self.ask(lambda: client().template(view.template), known, unknown)

    def action_environment_drift(self) -> None:
        """Checks for drift now."""
        view = self.target(action("environment.drift"))
        why_not = self.shell.why_unavailable()
        if view is None or why_not is not None:
            if why_not is not None:
                self.shell.say(why_not, severity="warning")
            return
        self.shell.say(f"Checking each step of {view.name}…")

        def found(answer: DriftView) -> None:
            drift = answer.drift
            now = self.current().model_copy(update={"drifted": drift is not None and drift.found})
            self._drift_of = _drift_key(now)  # this answer is already stored: don't request it again
            self._drift_known(answer)
            self.shell.learn(now)
            if drift is None or not drift.found:
                self.shell.say(f"{view.name} is as its steps made it.")
            else:
                more = f", {len(drift.unexpected) + drift.more_unexpected} unexpected" if drift.unexpected else ""
                self.shell.say(f"{view.name} has drifted: {summary(drift.steps)}{more}.", severity="warning")

        def failed(error: CalvinverseError) -> None:
            self.shell.complain(f"{view.name} can't be observed", error)

        client = self.shell.client
        self.ask(lambda: client().observe(view.id), found, failed)


def _drift_key(view: EnvironmentView) -> object:
    """Identifies what the stored drift belongs to; another key makes it obsolete."""
    return (view.state, view.state_since, view.drifted, view.deployment.id if view.deployment else None)


def _unknown(_: CalvinverseError) -> None:
    """Keeps the stored value: the banner reports the outage, and the request is repeated."""
