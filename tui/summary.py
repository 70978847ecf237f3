"""An environment in a few words: its sign, and a note."""

from environments.domain.lifecycle import ENDED, State
from environments.wire.environments import EnvironmentView
from environments.words import STATES, Sign, clean, flags


def sign_of(view: EnvironmentView) -> Sign:
    """The sign of an environment's state; of a ready one, its most important flag instead."""
    return next(flags(view), STATES[view.state]) if view.state is State.READY else STATES[view.state]


def note(view: EnvironmentView) -> str:
    """What else is important about an environment, in a few words; often nothing."""
    if view.failure is not None and view.state not in ENDED:
        where = f"{view.failure.step}: " if view.failure.step else ""
        return clean(where + view.failure.message).replace("\n", " ")
    if view.managed_by is not None:
        return f"managed by {clean(view.managed_by)}"
    return ""
