"""Plans: what a change of an environment will do, step by step, before it does it."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from environments.domain.lifecycle import DeploymentKind


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Action(StrEnum):
    """What will become of a thing."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DESTROY = "destroy"


class Change(_Record):
    """One thing that a step will create, change, replace or destroy.

    `details` says in lines what will differ (`count: 1 → 2`); never a secret. `fingerprint` stands for everything that
    decides the change, also what isn't shown: two changes with the same one do the same to the same.
    """

    kind: str
    address: str
    action: Action
    details: tuple[str, ...] = ()
    fingerprint: str = ""


CHECKS = "check."
"""How the kinds of steps begin that make nothing and always run."""


class StepPlan(_Record):
    """What one step will do; no changes: everything is as it should be, or it is a check, which always runs.

    `deferred` says why that can't be told before the steps that it needs are done; then there are no changes here.
    `removed`: the step is no longer in the template, and what it made is destroyed.
    """

    step: str
    uses: str
    changes: tuple[Change, ...] = ()
    deferred: str = ""
    removed: bool = False

    @property
    def checks(self) -> bool:
        """Whether the step makes nothing, but checks what the others made."""
        return self.uses.startswith(CHECKS)

    @property
    def digest(self) -> str:
        """Equal for plans that do the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Plan(_Record):
    """A saved plan. It can be applied once, until `expires_at`, while nothing has moved since it was made.

    `based_on` is the newest deployment of the environment when it was planned; None when there was none (create).
    """

    id: str
    kind: DeploymentKind
    environment: str
    """Name."""
    environment_id: str
    """Of the environment; for a create, the id that it will get."""
    template: str
    template_version: str
    bundle: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Without secrets."""
    requested_by: str
    created_at: datetime
    expires_at: datetime
    based_on: str | None = None
    steps: tuple[StepPlan, ...] = ()
    request: dict[str, Any] = Field(default_factory=dict)
    """What was asked for, without secrets: as it will be asked for again when the plan is applied."""
    used_by: str | None = None
    """The deployment that applied it."""
    deadline: datetime | None = None
    """For a create: when the environment would be destroyed if it were made at `created_at`; None: by no clock."""
    lifetime: float | None = None
    """Seconds after its creation for a deadline that depends on that; None: it is a moment, or there is none."""

    def step(self, name: str) -> StepPlan | None:
        """The plan of that step, if there is one."""
        return next((step for step in self.steps if step.step == name), None)


def summary(steps: Iterable[StepPlan]) -> str:
    """What steps will do, in one line: `1 to create, 2 to change; 1 step decided later`, or `nothing to do`."""
    found = distinct(steps)
    counts = Counter(change.action for step in found for change in step.changes)
    parts = [f"{counts[action]} to {action.value}" for action in Action if counts[action]]
    later = sum(bool(step.deferred) and not step.checks for step in found)
    decided = f"{later} step{'' if later == 1 else 's'} decided later" if later else ""
    return "; ".join(filter(None, (", ".join(parts), decided))) or "nothing to do"


def distinct(steps: Iterable[StepPlan]) -> list[StepPlan]:
    """The steps, each thing that will be changed with the first step that changes it.

    Steps that share something, such as a namespace, each plan to make it: whichever comes first does.
    """
    seen: set[tuple[str, str, Action]] = set()
    found = []
    for step in steps:
        changes = tuple(change for change in step.changes if _key(change) not in seen)
        seen |= {_key(change) for change in changes}
        found.append(step.model_copy(update={"changes": changes}))
    return found


def unchanged(steps: Iterable[StepPlan]) -> list[str]:
    """The names of the steps that will do nothing."""
    return [step.step for step in steps if not step.changes and not step.deferred and not step.checks]


def checked(steps: Iterable[StepPlan]) -> list[str]:
    """The names of the steps that will check whether the others have worked."""
    return [step.step for step in steps if step.checks and not step.removed]


def _key(change: Change) -> tuple[str, str, Action]:
    return change.kind, change.address, change.action
