"""Signs and words of every front end: each state has a glyph and a word, so that colour is never the only sign."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from environments.domain.cleaning import replace_unshown
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState

if TYPE_CHECKING:  # the command line reads this module to say `--help`, and shouldn't have to wait for pydantic
    from environments.wire.environments import EnvironmentView

Mood = Literal["good", "busy", "bad", "warn", "gone", "plain"]
"""What a colour says, never without a glyph and a word; the style sheet of the TUI names it `mood--…`."""


@dataclass(frozen=True)
class Sign:
    """How a state is shown. The glyph is one cell wide in every terminal.

    `meaning` explains it in a help. `short` is the word for narrow columns, where `word` is too long.
    """

    glyph: str
    word: str
    mood: Mood
    meaning: str = ""
    short: str = ""

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"

    @property
    def narrow(self) -> str:
        """Glyph and word in at most 16 cells."""
        return f"{self.glyph} {self.short or self.word}"


STATES: dict[State, Sign] = {
    State.REQUESTED: Sign("◌", "requested", "busy", "waits for a worker"),
    State.DEPLOYING: Sign("◐", "deploying", "busy", "its steps are running"),
    State.VALIDATING: Sign("◑", "validating", "busy", "its checks are running"),
    State.READY: Sign("●", "ready", "good", "can be used"),
    State.FAILED: Sign("✗", "failed", "bad", "a step or a check failed; retry, update or destroy it"),
    State.UPDATING: Sign("◒", "updating", "busy", "a change is being applied"),
    State.STOPPING: Sign("◓", "stopping", "busy", "its jobs are being stopped; its data is kept"),
    State.STOPPED: Sign("◻", "stopped", "plain", "its jobs don't run; its data is kept; start it"),
    State.STARTING: Sign("◔", "starting", "busy", "its jobs are being started again"),
    State.DESTROYING: Sign("▼", "destroying", "busy", "everything that belongs to it is being removed"),
    State.DESTROYED: Sign("○", "destroyed", "gone", "nothing of it is left"),
    State.DESTROY_FAILED: Sign("⊗", "destroy failed", "bad", "something is left; retried automatically, or retry it"),
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

PLAN_ACTIONS: dict[str, Sign] = {
    "create": Sign("+", "create", "good"),
    "change": Sign("~", "change", "warn"),
    "replace": Sign("±", "replace", "warn"),
    "destroy": Sign("-", "destroy", "bad"),
}
"""What a plan does to a thing, by the values of `domain.plan.Action`, whose module loads pydantic."""

WARNING = "!"
"""Beside the time left of an environment whose owner was warned."""

DRIFTED = Sign("≠", "drifted", "warn", "ready, but no longer what its steps made; repair it")
"""A flag: the environment is no longer what its steps made."""

AWAITING = Sign(
    "↥",
    "awaiting promotion",
    "warn",
    "ready, with a new version beside it that a person has to promote",
    short="awaiting",
)
"""A flag: a new version of the environment awaits promotion by a person."""

DEGRADED = Sign("▲", "degraded", "bad", "ready, but a job or a check of it fails; its detail says which")
"""A flag: the environment is ready, but doesn't work as a whole."""


HOST_NETWORK = Sign("⇆", "host network", "warn", "its jobs may use the network of their node")
"""A mark in listings: the jobs of the environment may reach whatever listens on their node."""


SHARED = Sign("⇢", "shared", "plain", "before an owner's name: the environment is somebody else's")
"""A mark in listings: the environment isn't one's own."""


def flags(view: "EnvironmentView") -> Iterator[Sign]:
    """The flags of an environment, the most important first."""
    if view.degraded:
        yield DEGRADED
    if view.drifted:
        yield DRIFTED
    if view.awaiting_promotion:
        yield AWAITING


def address_of(view: "EnvironmentView") -> str | None:
    """The address where people find an environment: its first entry point, else the first output that is an address.

    None while it is stopped: another one may have the address by then.
    """
    if view.state is State.STOPPED:
        return None
    for entry in view.entry_points:
        return entry.url
    for output in view.outputs.values():
        if not output.secret and isinstance(output.value, str) and "://" in output.value:
            return output.value
    return None


def clean(text: str) -> str:
    """Text from elsewhere without control characters, which a terminal would obey; a tab becomes a space."""
    return replace_unshown(text, "�")


def one_line(text: str) -> str:
    """Likewise, and without line feeds, which would look like lines of ours."""
    return clean(text).replace("\n", " ")


def shown(value: Any) -> str:
    """A value as one line for people; an empty text as quotes, since it would be invisible."""
    if isinstance(value, str):
        return clean(value).replace("\n", " ") or '""'
    return clean(json.dumps(value, ensure_ascii=False))
