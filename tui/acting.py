"""What the screens share: the keys of the registry, and actions on the selected environment."""

from collections.abc import Callable

from environments.actions.action import Action
from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.client import Client
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import DeploymentKind
from environments.wire.environments import EnvironmentView
from environments.wire.plans import PlanRequest
from tui.deadline_dialog import DeadlineDialog
from tui.dialogs import DestroyDialog
from tui.explain_dialog import ExplainDialog
from tui.pin_dialog import PinDialog
from tui.placed import PlacedScreen
from tui.plan_dialog import PlanDialog
from tui.recovery_dialogs import AbandonDialog, CancelDialog
from tui.sharing_dialogs import ShareDialog, UnshareDialog
from tui.switch_dialog import StopDialog


class ActingScreen(PlacedScreen):
    """A screen with actions on environments."""

    def current(self) -> EnvironmentView | None:
        """The environment that actions apply to."""
        raise NotImplementedError

    def why_not(self, act: Action) -> str | None:
        """Also because of the environment's state."""
        view = self.current()
        if view is None:
            return super().why_not(act) or ("No environment is selected." if act.states is not None else None)
        return super().why_not(act) or refusal(act, view)

    def about(self, act: Action) -> str:
        """The environment."""
        view = self.current()
        return view.name if view is not None and act.group == "environment" and act.id != "environment.create" else ""

    # --- acting ------------------------------------------------------------------------------------------------------

    def target(self, act: Action) -> EnvironmentView | None:
        """The environment to act on; None, after saying why, when there is none or the action isn't possible now."""
        view = self.current()
        if view is None:
            self.shell.say("No environment is selected.", severity="warning")
            return None
        return None if self.refuses(act) else view

    def action_environment_create(self) -> None:
        """Opens the form. It can be filled in while the service can't be reached."""
        self.shell.open_create()

    def action_environment_update(self) -> None:
        """Opens the form with the environment's present values."""
        view = self.target(action("environment.update"))
        if view is not None:
            self.shell.open_update(view)

    def action_environment_extend(self) -> None:
        """Asks for a duration."""
        view = self.target(action("environment.extend"))
        if view is not None:
            self.shell.push_screen(DeadlineDialog(view, self.shell.clock, "extend"))

    def action_environment_schedule(self) -> None:
        """Asks for a moment or a duration."""
        view = self.target(action("environment.schedule"))
        if view is not None:
            self.shell.push_screen(DeadlineDialog(view, self.shell.clock, "schedule"))

    def action_environment_explain(self) -> None:
        """Shows what the calendar will do to the environment."""
        view = self.target(action("environment.explain"))
        if view is not None:
            self.shell.push_screen(ExplainDialog(view, self.shell.clock))

    def action_environment_pin(self) -> None:
        """Asks for a duration and a reason."""
        view = self.target(action("environment.pin"))
        if view is not None:
            self.shell.push_screen(PinDialog(view, self.shell.clock, self.shell.role))

    def action_environment_unpin(self) -> None:
        """Sends the request without asking: nothing ends within an hour."""
        view = self.target(action("environment.unpin"))
        if view is not None:
            said, refused = f"{view.name} isn't pinned any more.", f"{view.name} can't be unpinned"
            self._send(lambda client: client.unpin(view.id), said, refused)

    def action_environment_rules(self) -> None:
        """Opens the rules of the environment."""
        view = self.target(action("environment.rules"))
        if view is not None:
            self.shell.open_rules(view)

    def action_environment_triggers(self) -> None:
        """Opens the triggers of the environment."""
        view = self.target(action("environment.triggers"))
        if view is not None:
            self.shell.open_triggers(view)

    def action_environment_share(self) -> None:
        """Asks with whom, in which role, and until when."""
        view = self.target(action("environment.share"))
        if view is not None:
            self.shell.push_screen(ShareDialog(view, self.shell.clock))

    def action_environment_unshare(self) -> None:
        """Asks which share ends."""
        view = self.target(action("environment.unshare"))
        if view is not None:
            self.shell.push_screen(UnshareDialog(view, self.shell.me))

    def action_environment_destroy(self) -> None:
        """Asks for the environment's name."""
        view = self.target(action("environment.destroy"))
        if view is not None:
            self.shell.push_screen(DestroyDialog(view))

    def action_environment_repair(self) -> None:
        """Shows the plan of a repair before anything is done."""
        view = self.target(action("environment.repair"))
        if view is not None:
            request = PlanRequest(kind=DeploymentKind.REPAIR)
            self.shell.push_screen(PlanDialog(view.name, view.id, request, f"Repair {view.name}", "is being repaired"))

    def action_environment_promote(self) -> None:
        """Shows the plan of a promotion before anything is done."""
        view = self.target(action("environment.promote"))
        if view is not None:
            request = PlanRequest(kind=DeploymentKind.PROMOTE)
            self.shell.push_screen(PlanDialog(view.name, view.id, request, f"Promote {view.name}", "is being promoted"))

    def action_environment_rollback(self) -> None:
        """Shows the plan of a rollback before anything is done."""
        view = self.target(action("environment.rollback"))
        if view is not None:
            request = PlanRequest(kind=DeploymentKind.UPDATE, rollback_to="last-good")
            self.shell.push_screen(
                PlanDialog(view.name, view.id, request, f"Roll {view.name} back", "is being rolled back")
            )

    def action_environment_cancel(self) -> None:
        """Asks for confirmation, and whether to use force."""
        view = self.target(action("environment.cancel"))
        if view is not None:
            self.shell.push_screen(CancelDialog(view))

    def action_environment_abandon(self) -> None:
        """Asks for the environment's name and a reason."""
        view = self.target(action("environment.abandon"))
        if view is not None:
            self.shell.push_screen(AbandonDialog(view))

    def action_environment_stop(self) -> None:
        """Asks for confirmation: somebody may be using it."""
        view = self.target(action("environment.stop"))
        if view is not None:
            self.shell.push_screen(StopDialog(view, self.shell.clock))

    def action_environment_start(self) -> None:
        """Sends the request without asking: a start loses nothing."""
        view = self.target(action("environment.start"))
        if view is not None:
            self._send(
                lambda client: client.start(view.id), f"{view.name} will be started.", f"{view.name} can't start"
            )

    def action_environment_retry(self) -> None:
        """Sends the request without asking: a retry loses nothing."""
        view = self.target(action("environment.retry"))
        if view is not None:
            said, refused = f"{view.name} will be tried again.", f"{view.name} can't be retried"
            self._send(lambda client: client.retry(view.id), said, refused)

    def _send(self, call: Callable[[Client], object], said: str, refused: str) -> None:
        """Sends a request; says `said`, or `refused` with the error."""

        def done(answer: object) -> None:
            self.shell.learn_answer(answer)
            self.shell.say(said)

        def failed(error: CalvinverseError) -> None:
            self.shell.complain(refused, error)

        client = self.shell.client
        self.ask(lambda: call(client()), done, failed)
