"""Where something is killed: in which deployment, at which step, when."""

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from environments.domain.lifecycle import DeploymentKind
from environments.wire.deployments import DeploymentView

VARIABLE = "CALVINVERSE_KILL"


class Moment(StrEnum):
    """When, seen from the step: its start isn't written yet; a while after that; all is made but its end isn't written;
    its end is written and nothing else was done.
    """

    BEFORE = "before"
    INSIDE = "inside"
    ENDING = "ending"
    ENDED = "ended"


class Point(BaseModel):
    """One cell of the matrix. `seconds` after the step's start, for `INSIDE`. `victim`: what is killed."""

    model_config = ConfigDict(frozen=True)

    kind: DeploymentKind
    step: str
    moment: Moment
    seconds: float = 0.0
    victim: str = "worker"

    def __str__(self) -> str:
        when = f"{self.seconds:.2f} s into" if self.moment is Moment.INSIDE else f"{self.moment.value}"
        return f"{self.victim} killed {when} step {self.step} of {self.kind.value}"


Durations = Mapping[DeploymentKind, Mapping[str, float]]
"""Deployment → step → seconds that it takes undisturbed."""

POSTGRESQL = "postgresql"

OTHERS = ("consul", "openbao", "nomad", "tofu", POSTGRESQL)
"""Killed from outside while a step runs, beside the worker."""


def durations(deployments: Sequence[DeploymentView]) -> Durations:
    """How long each step took."""
    return {
        deployment.kind: {
            step.name: (step.ended_at - step.started_at).total_seconds()
            for step in deployment.steps
            if step.started_at and step.ended_at
        }
        for deployment in deployments
    }


def matrix(undisturbed: Durations, dice: random.Random, *, inside: int) -> list[Point]:
    """Every boundary of every step, `inside` random moments within each, and the death of each part in mid-step."""
    cells = []
    for kind, steps in undisturbed.items():
        for step, seconds in steps.items():
            cells += [
                Point(kind=kind, step=step, moment=moment) for moment in (Moment.BEFORE, Moment.ENDING, Moment.ENDED)
            ]
            cells += [
                Point(kind=kind, step=step, moment=Moment.INSIDE, seconds=dice.uniform(0, seconds))
                for _ in range(inside)
            ]
    return cells + others(undisturbed, dice)


def others(undisturbed: Durations, dice: random.Random) -> list[Point]:
    """Each part killed in the middle of each step that talks to it longest, in every kind of deployment."""
    busy = {
        "consul": ("settings", "app"),
        "openbao": ("password", "certificate"),
        "nomad": ("app",),
        "tofu": ("things",),
        POSTGRESQL: ("things", "app"),
    }
    cells = []
    for kind, steps in undisturbed.items():
        for victim in OTHERS:
            for step in busy[victim]:
                # What changes nothing in a deployment is over before anybody could be killed in it.
                if (seconds := steps.get(step, 0.0)) > 0.05:
                    offset = dice.uniform(0, seconds)
                    cells.append(Point(kind=kind, step=step, moment=Moment.INSIDE, seconds=offset, victim=victim))
    return cells
