"""The dialog to stop an environment."""

from environments.domain.timing import TimedAction
from environments.wire.environments import EnvironmentView
from tui.clock import Clock
from tui.dialogs import ConfirmDialog


class StopDialog(ConfirmDialog):
    """Stops what an environment runs, after it has said what that means, and until when."""

    def __init__(self, view: EnvironmentView, clock: Clock) -> None:
        super().__init__(
            f"Stop {view.name}",
            "Stop it",
            f"The jobs of {view.name} will be stopped; its data is kept, and its deadline stays. {_until(view, clock)}",
            lambda client: client.stop(view.id),
            f"{view.name} will be stopped.",
        )


def _until(view: EnvironmentView, clock: Clock) -> str:
    in_time = view.deadline is None or view.switch_at is None or view.switch_at <= view.deadline
    if view.switch_at is not None and view.switch_action is TimedAction.START and in_time:
        return f"The calendar starts it at {clock.moment(view.switch_at)}, if nobody does before."
    return "It stays stopped until somebody or its calendar starts it."
