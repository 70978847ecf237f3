"""What is said of an environment, its steps and its resources, in the words that all front ends have."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from environments.domain.access import EnvironmentRole
from environments.domain.lifecycle import BUSY, ENDED, ENDED_DEPLOYMENTS, State, StepState
from environments.moments import countdown, moment, taken
from environments.timing_words import held, reason
from environments.ui.visit import Visit
from environments.wire.deployments import DeploymentView, StepView
from environments.wire.environments import EnvironmentView, ExplanationView
from environments.words import DEPLOYMENTS, STEPS, Sign, one_line


@dataclass(frozen=True)
class StepRow:
    """A line of the table of steps. `took` is empty for one that hasn't begun."""

    step: StepView
    sign: Sign
    started: datetime | None
    took: str


def step_rows(deployment: DeploymentView | None, now: datetime) -> list[StepRow]:
    """The steps of a deployment with how long each took, or has run by now."""
    if deployment is None:
        return []
    return [
        StepRow(
            step,
            STEPS[step.state],
            step.started_at,
            "" if step.started_at is None else taken((step.ended_at or now) - step.started_at),
        )
        for step in deployment.steps
    ]


def progress(deployment: DeploymentView | None) -> str:
    """The newest deployment and how far it is: `create ◐ running, 2 of 5 steps`."""
    if deployment is None:
        return ""
    sign = DEPLOYMENTS[deployment.state]
    done = sum(step.state in (StepState.DONE, StepState.SKIPPED) for step in deployment.steps)
    counted = f", {done} of {len(deployment.steps)} steps" if deployment.steps else ""
    return f"{deployment.kind.value} {sign}{counted}"


def deadline_facts(visit: Visit, view: EnvironmentView, explained: ExplanationView | None) -> Iterator[tuple[str, str]]:
    """When it ends, why, and what the calendar does before; each with its label."""
    now, zone = visit.now, visit.zone
    if view.destroyed_at is not None:
        yield view.state.value, moment(view.destroyed_at, zone)
        return
    if view.state in ENDED:
        yield "Expires", "no longer managed"
        return
    if view.destroy_again_at is not None:
        yield "Tried again", moment(view.destroy_again_at, zone)
    if view.deadline is None:
        yield "Expires", "never: it stays until somebody destroys it"
    else:
        yield "Expires", f"{moment(view.deadline, zone)}{_soon(view.deadline, now)}"
        if view.deadline_because is not None:
            yield "Because", one_line(reason(view.deadline_because))
        if view.held_by is not None and explained is not None and explained.held is not None:
            yield "Held", one_line(held(explained.held.hold, explained.held.kind))
        elif view.held_by is not None:
            yield "Held", f"{one_line(view.held_by)} keeps it until an admin decides"
        if view.warned:
            yield "Warned", "! its owner was warned that it ends soon"
        elif view.warn_at is not None:
            yield "Next warning", moment(view.warn_at, zone)
        failing = dict.fromkeys(one.channel for one in view.warnings if one.fault and one.next_try is not None)
        if failing:
            yield "Warning", f"by {' and '.join(map(one_line, failing))} not delivered yet"
        if view.maximum_deadline is not None:
            yield "Maximum", moment(view.maximum_deadline, zone)
    yield from _calendar(visit, view)


def _calendar(visit: Visit, view: EnvironmentView) -> Iterator[tuple[str, str]]:
    if view.switch_again_at is not None and view.state is State.FAILED:
        yield "Tried again", moment(view.switch_again_at, visit.zone)
    if view.state is State.DESTROYING:
        return
    if (coming := view.coming_switch()) is not None:
        what, at = coming
        yield f"Next {what.value}", f"{moment(at, visit.zone)}{_soon(at, visit.now)}"
    pin = view.pin
    if pin is not None and pin.end > visit.now:
        yield "Pinned", f"until {moment(pin.end, visit.zone)} by {one_line(pin.by)}: {one_line(pin.reason)}"


def _soon(at: datetime, now: datetime) -> str:
    return f", in {countdown(at - now)}" if at > now else ", due now"


def role_line(view: EnvironmentView) -> str:
    """What the reader is for it."""
    if view.role is None:
        return ""
    reveals = ", and may reveal secrets" if view.role is not EnvironmentRole.OWNER and "reveal" in view.may else ""
    return f"{view.role.value}{reveals}"


def is_busy(view: EnvironmentView) -> bool:
    """Whether a deployment waits or runs."""
    newest = view.deployment
    return view.state in BUSY or (newest is not None and newest.state not in ENDED_DEPLOYMENTS)


def ways_on(view: EnvironmentView) -> Sequence[str]:
    """Ids of the actions that most likely come next, the best first; the page shows them first."""
    match view.state:
        case State.DESTROY_FAILED:
            return ("environment.retry", "environment.destroy", "environment.abandon")
        case State.FAILED:
            return ("environment.retry", "environment.repair", "environment.rollback", "environment.destroy")
        case State.STOPPED:
            return ("environment.start", "environment.destroy")
        case State.READY if view.awaiting_promotion:
            return ("environment.promote", "environment.rollback")
        case State.READY if view.drifted or view.degraded:
            return ("environment.repair",)
        case _:
            return ()
