"""Signs and words: every state has a glyph and a word, so that colour is never the only sign."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from environments.domain.cleaning import replace_unshown
from environments.domain.lifecycle import ENDED, DeploymentState, ResourceStatus, State, StepState
from environments.domain.plan import Action
from environments.wire.views import EnvironmentView

Mood = Literal["good", "busy", "bad", "warn", "gone", "plain"]
"""What a colour says: named in the style sheet as `mood--…`, and never without a glyph and a word."""


@dataclass(frozen=True)
class Sign:
    """How a state is shown. The glyph is one cell wide in every terminal."""

    glyph: str
    word: str
    mood: Mood
    meaning: str = ""

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


STATES: dict[State, Sign] = {
    State.REQUESTED: Sign("◌", "requested", "busy", "waits for a worker"),
    State.DEPLOYING: Sign("◐", "deploying", "busy", "its steps are running"),
    State.VALIDATING: Sign("◑", "validating", "busy", "its checks are running"),
    State.READY: Sign("●", "ready", "good", "can be used"),
    State.FAILED: Sign("✗", "failed", "bad", "a step or a check failed; retry, update or destroy it"),
    State.UPDATING: Sign("◒", "updating", "busy", "a change is being applied"),
    State.DESTROYING: Sign("▼", "destroying", "busy", "everything that belongs to it is being removed"),
    State.DESTROYED: Sign("○", "destroyed", "gone", "nothing of it is left"),
    State.DESTROY_FAILED: Sign("⊗", "destroy failed", "bad", "something is left; tried again by itself, or retry it"),
    State.ABANDONED: Sign("∅", "abandoned", "gone", "abandoned by a person; something may be left"),
}

STEPS: dict[StepState, Sign] = {
    StepState.PENDING: Sign("·", "waiting", "gone"),
    StepState.RUNNING: Sign("◐", "running", "busy"),
    StepState.DONE: Sign("✓", "done", "good"),
    StepState.FAILED: Sign("✗", "failed", "bad"),
    StepState.SKIPPED: Sign("-", "skipped", "gone"),
}

DEPLOYMENTS: dict[DeploymentState, Sign] = {
    DeploymentState.QUEUED: Sign("◌", "queued", "busy"),
    DeploymentState.RUNNING: Sign("◐", "running", "busy"),
    DeploymentState.SUCCEEDED: Sign("✓", "succeeded", "good"),
    DeploymentState.FAILED: Sign("✗", "failed", "bad"),
    DeploymentState.SUPERSEDED: Sign("-", "superseded", "gone"),
    DeploymentState.CANCELLED: Sign("■", "cancelled", "warn"),
}

RESOURCES: dict[ResourceStatus, Sign] = {
    ResourceStatus.INTENDED: Sign("◌", "intended", "busy"),
    ResourceStatus.PRESENT: Sign("●", "present", "good"),
    ResourceStatus.GONE: Sign("○", "gone", "gone"),
    ResourceStatus.STUCK: Sign("⊗", "stuck", "bad"),
    ResourceStatus.ABANDONED: Sign("∅", "abandoned", "gone"),
}

WARNING = "!"
"""Before the time left of an environment whose owner was warned."""


ACTIONS: dict[Action, Sign] = {
    Action.CREATE: Sign("+", "create", "good"),
    Action.CHANGE: Sign("~", "change", "warn"),
    Action.REPLACE: Sign("±", "replace", "warn"),
    Action.DESTROY: Sign("-", "destroy", "bad"),
}
"""What a plan does to a thing."""

DRIFTED = Sign("≠", "drifted", "warn", "ready, but no longer what its steps made; repair it")
"""Instead of `ready`, of an environment that isn't what its steps made any more."""

DEGRADED = Sign("▲", "degraded", "bad", "ready, but a job or a check of it fails; its detail says which")
"""Instead of `ready`, of an environment that doesn't work as a whole."""

AWAITING = Sign(
    "↥", "awaiting", "warn", "awaiting promotion: ready, with a new version beside it that a person has to promote"
)
"""Instead of `ready`, of an environment whose new version waits."""


def clean(text: str) -> str:
    """Text from elsewhere without control characters, which a terminal would obey; a tab becomes a space."""
    return replace_unshown(text, "�")


def shown(value: Any) -> str:
    """A value as one line that a person reads."""
    if isinstance(value, str):
        return clean(value).replace("\n", " ")
    return clean(json.dumps(value, ensure_ascii=False))


def sign_of(view: EnvironmentView) -> Sign:
    """How the state of an environment is shown: a ready one that fails, has drifted or waits isn't simply ready."""
    if view.state is not State.READY:
        return STATES[view.state]
    if view.degraded:
        return DEGRADED
    if view.drifted:
        return DRIFTED
    return AWAITING if view.awaiting_promotion else STATES[view.state]


def note(view: EnvironmentView) -> str:
    """What else should be known of an environment, in few words; often nothing."""
    if view.failure is not None and view.state not in ENDED:
        where = f"{view.failure.step}: " if view.failure.step else ""
        return clean(where + view.failure.message).replace("\n", " ")
    if view.managed_by is not None:
        return f"managed by {clean(view.managed_by)}"
    return ""


def address_of(view: EnvironmentView) -> str | None:
    """The first output that is an address, or None."""
    for output in view.outputs.values():
        if not output.secret and isinstance(output.value, str) and "://" in output.value:
            return output.value
    return None
