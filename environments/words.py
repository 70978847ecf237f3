"""Signs and words that every front end shares: a state has a glyph and a word, so colour is never the only sign."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from environments.domain.cleaning import replace_unshown
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState
from environments.moments import coarse as coarse  # where the command line looks for them
from environments.moments import local_zone as local_zone
from environments.moments import moment as moment
from environments.moments import taken as taken

Mood = Literal["good", "busy", "bad", "warn", "gone", "plain"]
"""What a colour says; never without a glyph and a word."""


@dataclass(frozen=True)
class Sign:
    """How a state is shown. The glyph is one cell wide in every terminal."""

    glyph: str
    word: str
    mood: Mood

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


STATES: dict[State, Sign] = {
    State.REQUESTED: Sign("◌", "requested", "busy"),
    State.DEPLOYING: Sign("◐", "deploying", "busy"),
    State.VALIDATING: Sign("◑", "validating", "busy"),
    State.READY: Sign("●", "ready", "good"),
    State.FAILED: Sign("✗", "failed", "bad"),
    State.UPDATING: Sign("◒", "updating", "busy"),
    State.DESTROYING: Sign("▼", "destroying", "busy"),
    State.DESTROYED: Sign("○", "destroyed", "gone"),
    State.DESTROY_FAILED: Sign("‼", "destroy failed", "bad"),
    State.ABANDONED: Sign("∅", "abandoned", "gone"),
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
    ResourceStatus.STUCK: Sign("‼", "stuck", "bad"),
    ResourceStatus.ABANDONED: Sign("∅", "abandoned", "gone"),
}


DRIFTED = Sign("≠", "drifted", "warn")
"""Beside the state of an environment that isn't what its steps made any more."""

AWAITING = Sign("↥", "awaiting promotion", "warn")
"""Beside the state of an environment with a new version that a person has to promote."""

DEGRADED = Sign("▲", "degraded", "bad")
"""Beside the state of an environment that is ready, but doesn't work as a whole."""


def clean(text: str) -> str:
    """Text from elsewhere without control characters, which a terminal would obey; a tab becomes a space."""
    return replace_unshown(text, "�")


def shown(value: Any) -> str:
    """A value as one line that a person reads; an empty text as quotes, for else it would be missing."""
    if isinstance(value, str):
        return clean(value).replace("\n", " ") or '""'
    return clean(json.dumps(value, ensure_ascii=False))
