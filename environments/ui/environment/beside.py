"""Pages beside what an environment is: its drift, the triggers that stand on it, and its audit log."""

from starlette.responses import Response

from environments.actions.registry import action
from environments.domain.environment import Drift
from environments.domain.errors import CalvinverseError, Forbidden, Unauthenticated
from environments.domain.plan import summary
from environments.pages.requests import whole_number
from environments.ui.answers import go
from environments.ui.environment.common import buttons, found, meant, path_of, told, why_not
from environments.ui.environment.planned import plan_sections
from environments.ui.faults import status_of
from environments.ui.listing import Button, Cell, Code, Facts, Section, Table, table
from environments.ui.triggers import TRIGGERS
from environments.ui.visit import Visit
from environments.wire.audit import AuditEntryView
from environments.wire.environments import DriftView, EnvironmentView
from environments.words import shown

AUDITED = 100
"""Entries of a page."""


def drift(visit: Visit) -> Response:
    """What the last observation found."""
    view = found(visit)
    return _drift(visit, view, visit.client.drift(view.id))


def observe(visit: Visit) -> Response:
    """Observes it now."""
    view = meant(visit)
    try:
        visit.client.observe(view.id)
    except Unauthenticated:
        raise
    except CalvinverseError as error:
        return _drift(visit, view, visit.client.drift(view.id), error)
    return go(f"{path_of(visit, view, 'drift')}?done=environment.drift")


def _drift(visit: Visit, view: EnvironmentView, known: DriftView, error: CalvinverseError | None = None) -> Response:
    one = known.drift
    if one is None:
        said = "It wasn't observed since its last deployment."
    elif one.found:
        said = "It differs from what its steps made."
    else:
        said = "It is as its steps made it."
    lines: list[tuple[str, Cell]] = [
        ("Observed", one.observed_at if one is not None else "not since its last deployment"),
        ("Observed next", known.observe_at),
        ("A repair would have", summary(one.steps) if one is not None else None),
    ]
    return told(
        visit,
        view,
        "drift",
        "Drift",
        [Facts(lines), *(_differences(one) if one is not None else [])],
        intro=said,
        posts=[Button("Observe now", path_of(visit, view, "observe"), why_not(action("environment.drift"), view))],
        buttons=buttons(visit, view, "environment.repair"),
        status=200 if error is None else status_of(error),
        error=error,
    )


def _differences(one: Drift) -> list[Section]:
    sections: list[Section] = []
    changed = [step for step in one.steps if step.changes]
    if changed:
        sections += plan_sections(changed)
    if one.unexpected:
        more = f", and {one.more_unexpected} more" if one.more_unexpected else ""
        rows: list[list[Cell]] = [[Code(thing.address), thing.kind, thing.detail] for thing in one.unexpected]
        sections.append(Table(["Address", "Kind", "What"], rows, "", f"Unexpected: no step made it{more}"))
    if one.incidents:
        rows = [[Code(event.address), event.kind, event.at, event.detail] for event in one.incidents]
        sections.append(Table(["Address", "Kind", "When", "What"], rows, "", "Done from outside"))
    if one.troubles:
        rows = [[step, why] for step, why in sorted(one.troubles.items())]
        sections.append(Table(["Step", "Why"], rows, "", "Not seen"))
    return sections


def triggers(visit: Visit) -> Response:
    """The triggers that stand on it, those of its template first, and its preview."""
    view = found(visit)
    standing = visit.client.environment_triggers(view.id)
    previews: list[list[Cell]] = [
        [f"{one.repository}#{one.number}", one.because, one.fault, one.end_at]
        for one in visit.client.previews(ended=True)
        if one.environment == view.name
    ]
    sections: list[Section] = [table(TRIGGERS, standing, f"No trigger stands on {view.name}.", "Triggers")]
    if previews:
        titles = ["Pull request", "Why it is as it is", "Fault", "Until"]
        sections.append(Table(titles, previews, "", "It is a preview"))
    add = Button("Add a trigger", visit.link("/triggers/new", environment=view.name), _may_not(view))
    events = Button("Received events about it", visit.link("/events", environment=view.name))
    return told(
        visit,
        view,
        "triggers",
        "Triggers",
        sections,
        intro="A trigger does something to it when something happens elsewhere.",
        buttons=[add, events],
    )


def _may_not(view: EnvironmentView) -> str:
    return why_not(action("trigger.add"), view)


def audit(visit: Visit) -> Response:
    """What was done to it, and by whom; for its owners, auditors and admins."""
    view = found(visit)
    older = whole_number(visit.asked("before")) or None
    try:
        entries = visit.client.audit({"environment": view.id, "before": older}, AUDITED + 1)
    except Forbidden as error:
        return told(visit, view, "audit", "Audit", [], status=403, error=error)
    rows = [_entry(one) for one in entries[:AUDITED]]
    more = visit.link(before=entries[AUDITED - 1].id) if len(entries) > AUDITED else ""
    titles = ["When", "Who", "What", "Outcome", "From", "Changed"]
    return told(visit, view, "audit", "Audit", [Table(titles, rows, "Nothing is recorded.", "Audit log")], more=more)


def _entry(one: AuditEntryView) -> list[Cell]:
    who = f"{one.actor} for {one.behalf}" if one.behalf else one.actor
    keys = dict.fromkeys((*(one.before or {}), *(one.after or {})))
    changed = "; ".join(
        f"{key}: {shown((one.before or {}).get(key))} → {shown((one.after or {}).get(key))}" for key in keys
    )
    outcome = f"{one.outcome} ({one.code})" if one.code else one.outcome
    said = f"{one.reason} {changed}".strip()
    return [one.at, who, one.action, outcome, one.address, said[:500]]


PAGES = (
    ("GET", "/environments/{name}/drift", drift),
    ("POST", "/environments/{name}/observe", observe),
    ("GET", "/environments/{name}/triggers", triggers),
    ("GET", "/environments/{name}/audit", audit),
)
