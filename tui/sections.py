"""The parts of the detail screen as styled text, without widgets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from textual.content import Content

from environments.domain.access import EnvironmentRole
from environments.domain.lifecycle import ENDED, ENDED_DEPLOYMENTS, DeploymentState, State, StepState
from environments.domain.references import MASK
from environments.moments import coarse, countdown, taken
from environments.wire.deployments import DeploymentView, StepView
from environments.wire.environments import EntryPointView, EnvironmentView, OutputView, ResourceView
from environments.words import AWAITING, DEGRADED, DEPLOYMENTS, RESOURCES, STATES, STEPS, WARNING, Mood, clean, shown
from tui.clock import Clock
from tui.rows import fit, keep_end
from tui.summary import sign_of

STYLES: dict[Mood, str] = {
    "good": "$success",
    "busy": "$secondary",
    "bad": "$error",
    "warn": "$warning",
    "gone": "$faint",
    "plain": "$foreground",
}
Line = Sequence[tuple[str, str]]


_REASONS = 5
"""Maximum of reasons shown for a degraded environment."""


def _lines(lines: Iterable[Line]) -> Content:
    return Content("\n").join([Content.assemble(*line) for line in lines])


_LONGEST_FAILURE = 240
"""Maximum of characters of a failure in the header, which doesn't scroll; the step and the log have all of it."""


def header(view: EnvironmentView, clock: Clock, *, stale: bool, newer: str | None = None) -> Content:
    """State, owner and template, the deadline with its zone, and the failure with its hint.

    `newer` is the newest version of its template, if that is another one than it has.
    """
    sign = sign_of(view)
    now = clock.now()
    lines: list[Line] = [
        [
            (view.name, "bold"),
            ("   ", ""),
            (str(sign), f"bold {STYLES['gone' if stale else sign.mood]}"),
            (f" for {coarse(now - view.state_since)}", "$faint"),
            ("  (as last heard)" if stale else "", "$warning"),
        ],
        [
            ("owner ", "$faint"),
            (clean(view.owner), ""),
            *(
                [("   your role ", "$faint"), (view.role.value, "")]
                if view.role not in (None, EnvironmentRole.OWNER)
                else []
            ),
            ("   template ", "$faint"),
            (f"{clean(view.template)} {clean(view.template_version)}", ""),
            *(
                [(f" (newest: {clean(newer)}, ", "$warning"), ("u", "bold $accent"), (" updates)", "$warning")]
                if newer is not None
                else []
            ),
            ("   age ", "$faint"),
            (coarse(now - view.created_at), ""),
            *([("   cost ", "$faint"), (f"{view.cost:.2f}", "")] if view.cost is not None else []),
        ],
        deadline(view, clock),
        *switch(view, clock),
        *pin(view, clock),
    ]
    if view.managed_by is not None:
        lines.append(
            [("managed from outside: ", "$faint"), (clean(view.managed_by), ""), (", read-only here", "$faint")]
        )
    if view.failure is not None and view.state is not State.DESTROYED:
        where = f"{view.failure.step}: " if view.failure.step else ""
        lines.append([(f"✗ {shorten(where + clean(view.failure.message))}", "$error")])
        if view.failure.hint:
            lines.append([(f"  {shorten(clean(view.failure.hint))}", "")])
    for reason in view.degraded[:_REASONS]:
        what = shorten(clean(f"{reason.step}: {reason.reason}" if reason.step else reason.reason))
        lines.append([(f"{DEGRADED.glyph} {what}", "$error"), (f" for {coarse(now - reason.since)}", "$faint")])
    if len(view.degraded) > _REASONS:
        lines.append([(f"{DEGRADED.glyph} and {len(view.degraded) - _REASONS} more", "$error")])
    if view.awaiting_promotion:
        steps = ", ".join(clean(step) for step in view.awaiting_promotion)
        lines.append([(f"{AWAITING.glyph} {shorten(steps)}: a new version awaits promotion", "$warning")])
    newest = view.deployment
    if newest is not None and newest.cancel_requested_at is not None and newest.state not in ENDED_DEPLOYMENTS:
        by = clean(newest.cancel_requested_by or "somebody")
        lines.append(
            [
                (f"{DEPLOYMENTS[DeploymentState.CANCELLED].glyph} cancellation requested by {by}; ", "$warning"),
                ("X", "bold $accent"),
                (" forces it", "$faint"),
            ]
        )
    ways = _ways_on(view)
    if ways:
        lines.append([("  ", "")])
        for number, (key, does) in enumerate(ways):
            lines[-1] = [*lines[-1], (", " if number else "", "$faint"), (key, "bold $accent"), (f" {does}", "$faint")]
    return _lines(lines)


def shorten(text: str) -> str:
    """The text as one line that isn't too long for the header."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_FAILURE else f"{line[: _LONGEST_FAILURE - 1]}…"


def _ways_on(view: EnvironmentView) -> list[tuple[str, str]]:
    """Keys that help to recover an environment, with what they do."""
    if view.state is State.DESTROY_FAILED:
        return [("r", "retries"), ("D", "destroys"), ("A", "abandons")]
    if view.state is State.FAILED:
        back = [("b", "rolls back")] if view.last_good is not None else []
        return [("r", "retries"), ("R", "repairs"), *back, ("D", "destroys")]
    if view.state is State.STOPPED:
        return [("t", "starts it"), ("D", "destroys")]
    if view.state is State.READY and view.awaiting_promotion:
        return [("p", "promotes"), ("b", "rolls back")]
    if view.state is State.READY and view.drifted:
        return [("R", "repairs"), ("i", "observes again")]
    if view.state is State.READY and view.degraded:
        return [("R", "repairs"), ("i", "checks for drift")]
    return []


def deadline(view: EnvironmentView, clock: Clock) -> Line:
    """When it will be destroyed, as one line."""
    now = clock.now()
    if view.destroyed_at is not None:
        return [(f"{STATES[view.state].word} ", "$faint"), (clock.moment(view.destroyed_at), "")]
    if view.state in ENDED:
        return [("no longer managed", "$faint")]
    if view.destroy_again_at is not None:
        return [("will be tried again ", "$faint"), (f"{clock.moment(view.destroy_again_at)}", "")]
    if view.state is State.DESTROYING:
        return [("being destroyed now", "$faint")]
    if view.deadline is None:
        return [("never expires: ", "$faint"), ("it stays until somebody destroys it", "")]
    if view.held_by is not None:
        held = f"held by {view.held_by} until an admin decides; h lists the holds"
        return [("expired ", "$faint"), (clock.moment(view.deadline), "bold"), (f", {held}", "bold $warning")]
    left = view.deadline - now
    mark = (f"{WARNING} soon  ", "bold $warning") if view.warned else ("", "")
    when = f", in {countdown(left)}" if left.total_seconds() > 0 else ", due now"
    failing = dict.fromkeys(one.channel for one in view.warnings if one.fault and one.next_try is not None)
    untold = (f"  warning by {' and '.join(failing)} not delivered" if failing else "", "$warning")
    return [("expires ", "$faint"), mark, (clock.moment(view.deadline), "bold"), (when, ""), untold]


def switch(view: EnvironmentView, clock: Clock) -> Iterator[Line]:
    """When the calendar stops or starts it next, and when one that failed is tried again; none without a rule."""
    if view.switch_again_at is not None and view.state is State.FAILED:
        yield [("will be tried again ", "$faint"), (clock.moment(view.switch_again_at), "")]
    coming = view.coming_switch()
    if coming is None or view.state in ENDED or view.state is State.DESTROYING:
        return
    action, at = coming
    left = at - clock.now()
    when = f", in {countdown(left)}" if left.total_seconds() > 0 else ", due now"
    yield [(f"next {action.value} ", "$faint"), (clock.moment(at), ""), (when, "")]


def pin(view: EnvironmentView, clock: Clock) -> Iterator[Line]:
    """Until when it is pinned, by whom and why, as one line; none without a pin that has an effect."""
    found = view.pin
    if found is None or found.end <= clock.now() or view.state in ENDED or view.state is State.DESTROYING:
        return
    why = shorten(clean(found.reason))
    yield [("pinned until ", "$faint"), (clock.moment(found.end), ""), (f" by {clean(found.by)}: {why}", "")]


def outputs(
    found: Mapping[str, OutputView],
    revealed: Mapping[str, OutputView],
    entry_points: Sequence[EntryPointView] = (),
) -> Content:
    """The addresses of entry points, then the outputs; secrets are masked unless revealed."""
    longest = max((len(name) for name in (*found, *(entry.service for entry in entry_points))), default=0)
    lines: list[Line] = [
        [(f"{entry.service:<{longest}}  ", "$faint"), (entry.url, "bold"), ("  its entry point", "$faint")]
        for entry in entry_points
    ]
    for name, output in found.items():
        shown_output = revealed.get(name, output)
        value = MASK if output.secret and name not in revealed else shown(shown_output.value)
        lines.append(
            [
                (f"{name:<{longest}}  ", "$faint"),
                (value, "bold"),
                ("  secret, v reveals it" if output.secret and name not in revealed else "", "$faint"),
                (f"  {clean(output.description)}" if output.description else "", "$faint"),
            ]
        )
    return _lines(lines) if lines else Content.assemble(("None yet.", "$faint"))


def parameters(found: Mapping[str, Any]) -> Content:
    """The parameters; secrets are masked."""
    longest = max((len(name) for name in found), default=0)
    return _lines([(f"{name:<{longest}}  ", "$faint"), (shown(value), "")] for name, value in found.items())


def deployment_title(deployment: DeploymentView | None) -> str:
    """The newest deployment and its progress: `Steps — create ◐ running, 2 of 5`."""
    if deployment is None or not deployment.steps:
        return "Steps"
    sign = DEPLOYMENTS[deployment.state]
    done = sum(step.state in (StepState.DONE, StepState.SKIPPED) for step in deployment.steps)
    return f"Steps — {deployment.kind.value} {sign}, {done} of {len(deployment.steps)}"


def steps(deployment: DeploymentView | None, now: datetime) -> Content:
    """The steps of the newest deployment."""
    if deployment is None or not deployment.steps:
        waits = deployment is not None and deployment.state is DeploymentState.QUEUED
        return Content.assemble(("Waits for a worker." if waits else "None known yet.", "$faint"))
    name = max(len(step.name) for step in deployment.steps)
    kind = max(len(step.uses) for step in deployment.steps)
    lines: list[Line] = []
    for step in deployment.steps:
        sign = STEPS[step.state]
        lines.append(
            [
                (f"{sign!s:<10}", STYLES[sign.mood]),
                (f"{clean(step.name):<{name}}  ", "bold" if step.state is StepState.RUNNING else ""),
                (f"{clean(step.uses):<{kind}}  ", "$faint"),
                (f"{_took(step, now):>6}", ""),
                (f"  attempt {step.attempts}" if step.attempts > 1 else "", "$warning"),
            ]
        )
        if step.failure is not None:
            lines.append([(f"  └ {clean(step.failure.message)}", "$error")])
    return _lines(lines)


def _took(step: StepView, now: datetime) -> str:
    return "" if step.started_at is None else taken((step.ended_at or now) - step.started_at)


def resources(found: Sequence[ResourceView], width: int) -> Content:
    """The inventory."""
    if not found:
        return Content.assemble(("None.", "$faint"))
    kind = min(max(len(resource.kind) for resource in found), 24)
    address = max(width - kind - 16, 12)
    lines: list[Line] = []
    for resource in found:
        sign = RESOURCES[resource.status]
        lines.append(
            [
                (f"{sign!s:<12}", STYLES[sign.mood]),
                (f"{fit(clean(resource.kind), kind)}  ", "$faint"),
                (keep_end(clean(resource.address), address), ""),
            ]
        )
        if resource.detail and sign.mood == "bad":
            lines.append([(f"  └ {clean(resource.detail)}", "$error")])
    return _lines(lines)
