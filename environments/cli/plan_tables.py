"""Plans, drift, queues and workers as tables and lists of lines."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo

from environments.cli.environment_tables import is_being_cancelled
from environments.cli.offering import allows, offer
from environments.cli.tables import pairs, section, table
from environments.domain.deadline import format_duration
from environments.domain.lifecycle import DeploymentKind
from environments.domain.plan import Change, StepPlan, checked, distinct, summary, unchanged
from environments.moments import coarse, moment, taken
from environments.wire.deployments import DeploymentView, PendingView, WorkerView
from environments.wire.environments import DriftView, EnvironmentView
from environments.wire.plans import PlanView
from environments.words import DEPLOYMENTS, PLAN_ACTIONS, clean


def plan_lines(plan: PlanView, zone: tzinfo) -> Iterator[str]:
    """A plan: its environment, what each step will do, and the sum."""
    yield from pairs(
        (
            ("plan", plan.id),
            ("does", f"{plan.kind.value} {plan.environment}"),
            ("template", f"{plan.template} {plan.template_version}  {plan.bundle}"),
            ("made", f"{moment(plan.created_at, zone)} by {plan.requested_by}"),
            ("expires", _expires(plan, zone)),
            ("applied by", plan.used_by or ""),
        )
    )
    yield ""
    yield from step_lines(plan.steps)
    yield summary(plan.steps).capitalize() + "."


def _expires(plan: PlanView, zone: tzinfo) -> str:
    """When an environment that the plan creates will be destroyed."""
    if plan.kind is not DeploymentKind.CREATE:
        return ""
    if plan.deadline is None:
        return "never"
    if plan.lifetime is None:
        return moment(plan.deadline, zone)
    after = format_duration(timedelta(seconds=plan.lifetime))
    return f"{after} after its creation (at {moment(plan.deadline, zone)} if the plan is applied at once)"


def step_lines(steps: Iterable[StepPlan]) -> Iterator[str]:
    """What each step will do, each thing once; those that do nothing in a line at the end, and those that check.

    An empty line follows.
    """
    found = distinct(steps)
    shown = [step for step in found if step.changes or (step.deferred and not step.checks)]
    name = max((len(step.step) for step in shown), default=0)
    for step in shown:
        gone = "  (no longer in the template)" if step.removed else ""
        kind = clean(step.uses) if step.uses != step.step else "what serves the whole environment"
        yield f"{clean(step.step).ljust(name)}  {kind}{gone}"
        if step.deferred:
            yield f"  ? {clean(step.deferred)}"
        for change in step.changes:
            yield from change_lines(change)
        yield ""
    ends = {"unchanged": unchanged(found), "will be checked": checked(found)}
    yield from (f"{what}: {', '.join(map(clean, names))}" for what, names in ends.items() if names)
    if any(ends.values()):
        yield ""


def change_lines(change: Change) -> Iterator[str]:
    """A thing with what will be done to it, and the details below."""
    sign = PLAN_ACTIONS[change.action]
    yield f"  {sign.glyph} {sign.word.ljust(7)}  {clean(change.kind)}  {clean(change.address)}"
    for detail in change.details:
        yield from (f"      {line}" for line in clean(detail).splitlines())


_NEEDS = {
    DeploymentKind.UPDATE: "update",
    DeploymentKind.REPAIR: "repair",
    DeploymentKind.PROMOTE: "promote",
    DeploymentKind.DESTROY: "destroy",
}
"""What who applies a plan may have to do."""


def _next(seen: EnvironmentView | None, action: str, step: str, does: str) -> str:
    return f"Next: {step}." if seen is None else offer(seen, action, step, does)


def plan_next(plan: PlanView, zone: tzinfo, seen: EnvironmentView | None = None) -> str:
    """How a plan is applied, as a sentence; `seen`: its environment, with what the reader may do."""
    if plan.used_by is not None:
        return f"It was applied by {plan.used_by}; it can't be applied again."
    needed = _NEEDS.get(plan.kind)
    if seen is not None and needed is not None and not allows(seen, needed):
        return (
            f"Nothing was changed, and you may not apply it: to {needed} isn't yours. {seen.owner}, who owns "
            f"{plan.environment}, can, until {moment(plan.expires_at, zone)}: `calvinverse plan apply {plan.id}`."
        )
    if not any(step.changes or (step.deferred and not step.checks) for step in plan.steps):
        if plan.kind is DeploymentKind.REPAIR:
            return f"{plan.environment} is as its steps made it: there is nothing to repair."
        return (
            f"Nothing of {plan.environment} would change; `calvinverse plan apply {plan.id}` only notes the version "
            "and the parameters."
        )
    return (
        f"Nothing was changed. To apply exactly this plan, until {moment(plan.expires_at, zone)}:\n"
        f"  calvinverse plan apply {plan.id}"
    )


def drift_lines(view: DriftView, zone: tzinfo, now: datetime) -> Iterator[str]:
    """What the last observation found, and when it was made."""
    drift = view.drift
    if drift is not None:
        facts = [("observed", f"{moment(drift.observed_at, zone)}, {coarse(now - drift.observed_at)} ago")]
    else:
        facts = [("observed", "never since its last deployment")]
    if view.observe_at is not None:
        facts.append(("again at", moment(view.observe_at, zone)))
    yield from pairs(facts)
    if drift is None:
        return
    changed = [step for step in drift.steps if step.changes]
    if changed:
        *lines, _ = step_lines(changed)  # the last line is empty
        yield from section("Differences, as a repair would put them right", lines)
    if drift.unexpected:
        rows = [(one.kind, one.address, one.detail) for one in drift.unexpected]
        if drift.more_unexpected:
            rows.append(("…", f"and {drift.more_unexpected} more", ""))
        yield from section("Unexpected: no step made these", table(("KIND", "ADDRESS", "DETAIL"), rows))
    if drift.incidents:
        lines = [f"{moment(one.at, zone)}  {one.address}, {one.detail}" for one in drift.incidents]
        yield from section("Done to it from outside since its last deployment", lines)
    if drift.troubles:
        yield from section("Could not be observed", pairs(sorted(drift.troubles.items())))


def drift_next(view: DriftView, seen: EnvironmentView | None = None) -> str:
    """A sentence that says what to do about the drift; `seen`: the environment, with what the reader may do."""
    name, drift = view.environment, view.drift
    observe = f"Next: `calvinverse env drift {name} --observe`"
    if seen is not None and not allows(seen, "observe"):
        observe = f"{seen.owner}, who owns it, can observe it"
    if drift is None:
        return f"{observe} observes it now." if observe.startswith("Next") else f"{observe}."
    if any(step.changes for step in drift.steps):
        repair = f"`calvinverse env repair {name} --plan`"
        return f"{name} has drifted: {summary(drift.steps)}. {_next(seen, 'plan', repair, 'repair it')}"
    if drift.unexpected:
        return (
            f"{name} is as its steps made it, but there is more. A repair leaves that alone: remove it with the tool "
            "that made it, or put it into the template."
        )
    if drift.troubles:
        return f"Nothing was found, but not everything could be observed. {observe}."
    return f"{name} is as its steps made it."


def pending_lines(pending: PendingView) -> Iterator[str]:
    """The place of a deployment in its queue, and why it waits."""
    place = f"{pending.position} of {pending.waiting}" if pending.position is not None else ""
    yield from pairs(
        (
            ("deployment", pending.deployment_id),
            ("state", str(DEPLOYMENTS[pending.state])),
            ("lane", pending.lane),
            ("place", place),
            ("why", "\n".join(pending.reasons)),
        )
    )


def history_lines(view: EnvironmentView, found: Iterable[DeploymentView], zone: tzinfo) -> Iterator[str]:
    """One line per deployment; the target of a rollback is marked."""
    return table(
        ("DEPLOYMENT", "KIND", "STATE", "REQUESTED", "TOOK", "BY", "PLAN", "REASON"),
        (
            (
                one.id,
                one.kind.value,
                deployment_state(one) + (", last good" if one.id == view.last_good else ""),
                moment(one.requested_at, zone),
                taken(one.ended_at - one.started_at) if one.started_at and one.ended_at else "",
                one.requested_by,
                one.plan_id or "-",
                one.reason,
            )
            for one in found
        ),
    )


def deployment_state(deployment: DeploymentView) -> str:
    """Sign and word of a deployment's state, and whether it is being cancelled."""
    return f"{DEPLOYMENTS[deployment.state]}{', being cancelled' if is_being_cancelled(deployment) else ''}"


def worker_lines(workers: Iterable[WorkerView], now: datetime) -> Iterator[str]:
    """One line per worker."""
    return table(
        ("WORKER", "STATE", "HOST", "PID", "VERSION", "UP", "HEARD", "SLOTS", "RUNNING"),
        (
            (
                worker.name,
                "● alive" if worker.alive else "✗ lost",
                worker.host,
                str(worker.pid),
                worker.version,
                coarse((now if worker.alive else worker.seen_at) - worker.started_at),
                f"{coarse(now - worker.seen_at)} ago",
                ", ".join(f"{lane} {count}" for lane, count in sorted(worker.slots.items())),
                ", ".join(worker.running) or "-",
            )
            for worker in workers
        ),
    )
