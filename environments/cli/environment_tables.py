"""Environments as tables and lists of lines."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo

from environments.cli.offering import offer
from environments.cli.tables import pairs, section, table
from environments.cli.warning_tables import warning_lines
from environments.domain.environment import DegradedReason, Event, EventType, Failure
from environments.domain.lifecycle import BUSY, ENDED, ENDED_DEPLOYMENTS, State
from environments.moments import coarse, moment, taken, time_of_day
from environments.timing_words import WHAT, reason
from environments.wire.deployments import DeploymentView
from environments.wire.environments import EntryPointView, EnvironmentView, OutputView, ResourceView
from environments.words import (
    AWAITING,
    DEGRADED,
    DEPLOYMENTS,
    DRIFTED,
    HOST_NETWORK,
    RESOURCES,
    STATES,
    STEPS,
    Sign,
    address_of,
    clean,
    flags,
    one_line,
    shown,
)


def listing(views: Iterable[EnvironmentView], now: datetime) -> Iterator[str]:
    """One line per environment."""
    return table(
        ("NAME", "STATE", "TEMPLATE", "OWNER", "ROLE", "AGE", "LEFT"),
        (
            (
                view.name,
                ", ".join(map(str, (STATES[view.state], *_marks(view)))),
                view.template,
                view.owner,
                view.role.value if view.role is not None else "",
                coarse((view.destroyed_at or now) - view.created_at),
                time_left(view, now),
            )
            for view in views
        ),
    )


def _marks(view: EnvironmentView) -> Iterator[Sign]:
    yield from flags(view)
    if view.network == "host" and view.state not in ENDED:
        yield HOST_NETWORK


def time_left(view: EnvironmentView, now: datetime) -> str:
    """How long until it is destroyed: `2h05m`, `due`, `held`, `-` without a deadline; `!` when its owner was warned."""
    if view.state in ENDED:
        return ""
    if view.deadline is None:
        return "-"
    if view.held_by is not None:
        return "held"
    left = until(view.deadline, now) if view.deadline > now else "due"
    return f"{left} !" if view.warned else left


def until(moment: datetime, now: datetime) -> str:
    """The time until a moment, rounded up to a second: right after a request for 8h it says 8h."""
    return coarse(moment - now + timedelta(seconds=1))


def access_line(view: EnvironmentView) -> str:
    """What the reader is for it, and with how many it is shared. Every role may leave: only a token can forbid it."""
    if view.role is None:
        return ""
    shared = f"shared with {view.shared}" if view.shared else "not shared"
    token = "" if "leave" in view.may else f", by a token that is limited to {', '.join(view.may) or 'nothing'}"
    reveals = ", and may reveal" if "reveal" in view.may and view.role.value != "owner" and not token else ""
    return f"you are {view.role.value}{reveals}{token}; {shared}: `calvinverse env access {view.name}`"


def deadline_line(view: EnvironmentView, zone: tzinfo, now: datetime) -> str:
    """When it will be destroyed, as a sentence in the reader's zone."""
    if view.deadline is None:
        return f"{view.name} has no deadline: it lives until somebody destroys it."
    key = getattr(zone, "key", "")
    named = f" ({key})" if key else ""
    why = f": {reason(view.deadline_because)}" if view.deadline_because is not None else ""
    return (
        f"{view.name} will be destroyed at {moment(view.deadline, zone)}{named}, in {until(view.deadline, now)}{why}."
    )


def timing_lines(view: EnvironmentView, zone: tzinfo, now: datetime) -> Iterator[str]:
    """When it will be destroyed, and what the calendar does to it before, as sentences in the reader's zone."""
    yield deadline_line(view, zone, now)
    if (coming := view.coming_switch()) is not None:
        action, at = coming
        yield f"Next it {WHAT[action]} {f'at {moment(at, zone)}, in {until(at, now)}' if at > now else 'now'}."


def details(view: EnvironmentView, zone: tzinfo, now: datetime, *, short: bool = False) -> Iterator[str]:
    """Everything about one environment; `short` leaves out steps and parameters."""
    facts = [("name", view.name), ("state", f"{STATES[view.state]}, for {coarse(now - view.state_since)}")]
    if view.degraded:
        since = min(reason.since for reason in view.degraded)
        facts.append(("degraded", f"{DEGRADED}, for {coarse(now - since)}"))
    if view.drifted:
        facts.append(("drift", f"{DRIFTED}: `calvinverse env drift {view.name}` says what differs"))
    if view.awaiting_promotion:
        steps = ", ".join(view.awaiting_promotion)
        facts.append(("promotion", f"{AWAITING} of {steps}: `calvinverse env promote {view.name}`"))
    if not short:
        facts += [
            ("id", view.id),
            ("owner", view.owner),
            ("access", access_line(view)),
            ("template", f"{view.template} {view.template_version}  {view.bundle}"),
            ("network", "the node's" if view.network == "host" else ""),
            ("created", moment(view.created_at, zone)),
            ("managed by", view.managed_by or ""),
            ("last good", view.last_good or ""),
            ("cost", "none: its template has no price" if view.cost is None else f"{view.cost:.2f}"),
        ]
    if view.destroyed_at is not None:
        facts.append((STATES[view.state].word, moment(view.destroyed_at, zone)))
    elif view.deadline is not None:
        facts.append(("expires", f"{moment(view.deadline, zone)}, in {until(view.deadline, now)}"))
        if view.held_by is not None:
            facts.append(("held by", f"{view.held_by}: not destroyed until an admin decides; `calvinverse hold list`"))
        if view.maximum_deadline is not None and not short:
            facts.append(("maximum", moment(view.maximum_deadline, zone)))
        if view.warn_at is not None and not short:
            facts.append(("next warning", moment(view.warn_at, zone)))
    if (coming := view.coming_switch()) is not None and view.destroyed_at is None:
        action, at = coming
        when = f"in {until(at, now)}" if at > now else "due now"
        facts.append((f"next {action.value}", f"{moment(at, zone)}, {when}"))
    if (again := view.destroy_again_at or view.switch_again_at) is not None:
        facts.append(("tried again at", moment(again, zone)))
    if view.deployment is not None and is_being_cancelled(view.deployment):
        facts.append(("cancel", f"requested by {view.deployment.cancel_requested_by or 'somebody'}"))
    yield from pairs(facts)
    if view.failure is not None:
        yield from section("Failure", failure_lines(view.failure))
    if view.degraded:
        yield from section("Degraded", _degraded_rows(view.degraded, zone))
    if not short:
        yield from section("Parameters", pairs((name, shown(value)) for name, value in view.parameters.items()))
        if view.deployment is not None:
            yield from section(_deployment_title(view.deployment), _steps(view.deployment))
    if view.state not in ENDED:
        if not short:
            yield from section("Warnings", warning_lines(view.warnings, zone))
        yield from section("Entry points", entry_point_lines(view.entry_points))
        yield from section("Outputs", output_lines(view.outputs))


def _degraded_rows(reasons: Iterable[DegradedReason], zone: tzinfo) -> Iterator[str]:
    """The reasons of a degraded environment: since when, which step, what and why."""
    rows = [(moment(one.since, zone), one.step or "", one.address, one.reason) for one in reasons]
    return table(("SINCE", "STEP", "WHAT", "WHY"), rows)


def is_being_cancelled(deployment: DeploymentView) -> bool:
    """Whether its cancellation was requested, and it hasn't ended."""
    return deployment.cancel_requested_at is not None and deployment.state not in ENDED_DEPLOYMENTS


def failure_lines(failure: Failure) -> Iterator[str]:
    """Where something failed, why, and what to do."""
    return pairs(
        (("step", failure.step or ""), ("why", failure.message), ("hint", failure.hint), ("code", failure.code))
    )


def output_lines(outputs: Mapping[str, OutputView]) -> Iterator[str]:
    """One line per output."""
    return pairs((name, shown(output.value)) for name, output in outputs.items())


def entry_point_lines(found: Iterable[EntryPointView]) -> Iterator[str]:
    """One line per entry point: its service and both addresses."""
    return pairs((entry.service, f"{entry.url}  {entry.subdomain_url}") for entry in found)


def inventory(resources: Iterable[ResourceView]) -> Iterator[str]:
    """The inventory below its title."""
    rows = [(str(RESOURCES[line.status]), line.kind, line.address, line.step or "", line.detail) for line in resources]
    return section("Resources", table(("STATUS", "KIND", "ADDRESS", "STEP", "DETAIL"), rows) if rows else ())


def event_line(event: Event, zone: tzinfo) -> str:
    """An event as one line."""
    what = [time_of_day(event.at, zone), event.environment]
    if event.step:
        what.append(event.step)
    state = event.data.get("state") or event.data.get("status")
    if event.type is not EventType.LOG:
        what.append(f"{event.type.value.replace('.', ' ')}{f' {state}' if state else ''}")
    if event.message:
        what.append(clean(event.message).replace("\n", " "))
    return "  ".join(what)


def next_step(view: EnvironmentView) -> str:
    """What to do next, as a sentence."""
    if view.state is State.READY and view.degraded:
        repair = offer(view, "plan", f"`calvinverse env repair {view.name} --plan`", "repair it")
        return f"{view.name} is ready, but degraded: {clean(view.degraded[0].reason)} {repair}"
    if view.state is State.READY:
        address = address_of(view)
        if view.awaiting_promotion:
            waiting = f"{view.name} is ready, and its new version awaits promotion."
            return f"{waiting} {offer(view, 'promote', f'`calvinverse env promote {view.name}`', 'promote it')}"
        opened = f" It answers at {clean(address)}." if address else ""
        return f"{view.name} is ready.{opened} Next: `calvinverse env outputs {view.name}`."
    if view.state is State.STOPPED:
        start = offer(view, "start", f"`calvinverse env start {view.name}` starts it", "start it")
        return f"{view.name} is stopped, and its data is kept. {start}"
    if view.state is State.ABANDONED:
        return f"{view.name} was abandoned. Next: `calvinverse env show {view.id} --resources` lists what may be left."
    if view.state in ENDED:
        return f"{view.name} is {STATES[view.state].word}: nothing of it is left."
    if view.state in BUSY:
        return f"{view.name} is {STATES[view.state].word}. Next: `calvinverse env watch {view.name}`."
    return f"{view.name} is {STATES[view.state].word}. Next: `calvinverse env show {view.name}`."


def _deployment_title(deployment: DeploymentView) -> str:
    why = one_line(deployment.reason)
    return f"Deployment {deployment.id}: {deployment.kind.value}, {DEPLOYMENTS[deployment.state]} ({why})"


def _steps(deployment: DeploymentView) -> Iterator[str]:
    rows = [
        (
            str(STEPS[step.state]),
            step.name,
            step.uses,
            taken(step.ended_at - step.started_at) if step.started_at and step.ended_at else "",
            step.failure.message if step.failure else "",
        )
        for step in deployment.steps
    ]
    return table(("STATE", "STEP", "KIND", "TOOK", ""), rows) if rows else iter(())
