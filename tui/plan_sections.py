"""Plans, drift and queues as styled text, without widgets."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from textual.content import Content

from environments.domain.environment import Drift
from environments.domain.lifecycle import DeploymentState
from environments.domain.plan import Change, StepPlan, checked, distinct, summary, unchanged
from environments.moments import coarse
from environments.wire.deployments import PendingView
from environments.words import DEPLOYMENTS, PLAN_ACTIONS, clean
from tui.rows import fit, keep_end
from tui.sections import STYLES

_LONGEST_KIND = 22
"""Maximum width in cells of the kind of a thing."""


def _lines(lines: Iterable[Content]) -> Content:
    return Content("\n").join(list(lines))


def plan(steps: Sequence[StepPlan], width: int | None = None) -> Content:
    """What each step will do, each thing once; those that do nothing in a line at the end, and those that check.

    With a `width` in cells, of addresses that don't fit the end is kept, which tells them apart.
    """
    lines: list[Content] = []
    steps = distinct(steps)
    kind = _widest(change.kind for step in steps for change in step.changes)
    for step in steps:
        if not step.changes and (not step.deferred or step.checks):
            continue
        gone = ("  no longer in the template", "$warning") if step.removed else ("", "")
        lines.append(Content.assemble((clean(step.step), "bold"), (f"  {_kind(step)}", "$faint"), gone))
        if step.deferred:
            lines.append(Content.assemble(("  ? ", "$secondary"), clean(step.deferred)))
        for change in step.changes:
            lines.extend(_change(change, kind, width))
    for what, names in {"unchanged": unchanged(steps), "will be checked": checked(steps)}.items():
        if names:
            lines.append(Content.assemble((f"{what}: ", "$faint"), (", ".join(map(clean, names)), "$faint")))
    return _lines(lines)


def _kind(step: StepPlan) -> str:
    return clean(step.uses) if step.uses != step.step else "what serves the whole environment"


def _widest(kinds: Iterable[str]) -> int:
    return min(max((len(kind) for kind in kinds), default=0), _LONGEST_KIND)


def _short(address: str, width: int | None, used: int) -> str:
    return clean(address) if width is None else keep_end(clean(address), max(width - used, 12))


def _change(change: Change, kind: int, width: int | None) -> Iterable[Content]:
    sign = PLAN_ACTIONS[change.action]
    yield Content.assemble(
        (f"  {sign!s:<9}  ", STYLES[sign.mood]),
        (f"{fit(clean(change.kind), kind)}  ", "$faint"),
        _short(change.address, width, kind + 15),
    )
    for detail in change.details:
        for line in clean(detail).splitlines():
            yield Content.assemble((f"      {line}", "$faint"))


def drift_title(drift: Drift | None, now: datetime) -> str:
    """Whether there is drift, and when it was checked: `Drift — 1 to change, 2 unexpected, 3m ago`."""
    if drift is None:
        return "Drift — not observed since its last deployment, i observes"
    found = []
    if any(step.changes for step in drift.steps):
        found.append(summary(drift.steps))
    if drift.unexpected:
        found.append(f"{len(drift.unexpected) + drift.more_unexpected} unexpected")
    if drift.incidents:
        found.append(f"{len(drift.incidents)} from outside")
    if drift.troubles:
        found.append(f"{len(drift.troubles)} not seen")
    return f"Drift — {', '.join(found) or 'none'}, observed {coarse(now - drift.observed_at)} ago"


def drift(found: Drift | None, width: int) -> Content | None:
    """The differences, the unexpected things, and what could not be observed; None when there are none."""
    if found is None:
        return None
    lines = []
    changed = [step for step in found.steps if step.changes]
    if changed:
        lines.append(plan(changed, width))
    kind = _widest(one.kind for one in found.unexpected)
    for one in found.unexpected:
        detail = f"  {clean(one.detail)}" if one.detail else ""
        lines.append(
            Content.assemble(
                ("? unexpected  ", "$warning"),
                (f"{fit(clean(one.kind), kind)}  ", "$faint"),
                _short(one.address, width, kind + 16 + len(detail)),
                (detail, "$faint"),
            )
        )
    if found.more_unexpected:
        lines.append(Content.assemble((f"? unexpected  … and {found.more_unexpected} more", "$warning")))
    for incident in found.incidents:
        lines.append(
            Content.assemble((f"! from outside  {clean(incident.address)}: ", "$warning"), clean(incident.detail))
        )
    for step, why in sorted(found.troubles.items()):
        lines.append(Content.assemble((f"✗ not seen  {clean(step)}: ", "$error"), clean(why)))
    return _lines(lines) if lines else None


def waiting(pending: PendingView) -> Content:
    """Why a deployment waits, and its place in the queue."""
    place = (
        f"Waits, {pending.position} of {pending.waiting} in the lane {clean(pending.lane)}." if pending.position else ""
    )
    reasons = " ".join(clean(reason) for reason in pending.reasons)
    sign = DEPLOYMENTS[DeploymentState.QUEUED]
    return Content.assemble((f"{sign.glyph} {place or 'Waits.'} ", STYLES[sign.mood]), reasons)
