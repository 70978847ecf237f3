"""Signs and words that every front end shares: a state has a glyph and a word, so colour is never the only sign."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from environments.domain.cleaning import replace_unshown
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState

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


def clean(text: str) -> str:
    """Text from elsewhere without control characters, which a terminal would obey; a tab becomes a space."""
    return replace_unshown(text, "�")


def shown(value: Any) -> str:
    """A value as one line that a person reads."""
    if isinstance(value, str):
        return clean(value).replace("\n", " ")
    return clean(json.dumps(value, ensure_ascii=False))


def coarse(duration: timedelta) -> str:
    """A duration's largest unit, two when that is a day or an hour (`3d4h`, `2h05m`, `12m`, `40s`)."""
    seconds = max(int(duration.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours}h" if days < 100 else f"{days}d"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def taken(duration: timedelta) -> str:
    """How long something took: tenths below ten seconds (`0.4s`, `12s`, `2m05s`)."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f}s"
    return f"{int(seconds)}s" if seconds < 60 else f"{int(seconds) // 60}m{int(seconds) % 60:02}s"


def moment(at: datetime, zone: tzinfo) -> str:
    """A moment in a zone, with its abbreviation: `2026-12-01 18:00:00 CET`."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def local_zone(environ: Mapping[str, str] = os.environ, etc: Path = Path("/etc")) -> tzinfo:
    """This machine's zone with its rules: TZ, /etc/timezone, the link /etc/localtime, or the present offset.

    Rules matter: a deadline beyond the next change of the clock must be shown with the offset that holds then.
    """
    names = [environ.get("TZ", "").removeprefix(":")]
    try:
        names.append((etc / "timezone").read_text(encoding="utf-8").strip())
    except OSError:
        names.append("")
    names.append(os.path.realpath(etc / "localtime").partition("/zoneinfo/")[2])
    for name in filter(None, names):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return datetime.now(UTC).astimezone().tzinfo or UTC
