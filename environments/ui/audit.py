"""The audit log, and why somebody may do something."""

import json

from starlette.responses import Response

from environments.pages.requests import whole_number
from environments.ui import rooms
from environments.ui.listing import (
    At,
    Choice,
    Code,
    Column,
    Facts,
    Link,
    Section,
    Table,
    Text,
    given,
    sign,
    table,
    told,
)
from environments.ui.visit import Visit
from environments.wire.audit import AuditEntryView
from environments.words import Sign

MOST = 100
"""Entries of a page."""

_OUTCOMES = ("allowed", "refused", "failed")
_FILTERS = (
    Choice("actor", "Who"),
    Choice("action", "Action"),
    Choice("environment", "Environment"),
    Choice("outcome", "Outcome", (("", "all"), *((one, one) for one in _OUTCOMES))),
)


def _outcome(one: AuditEntryView) -> Sign:
    if one.outcome == "allowed":
        return sign("allowed", "good", "✓")
    return sign(one.outcome, "bad", "✗")


_COLUMNS: tuple[Column[AuditEntryView], ...] = (
    Column("At", lambda one: At(one.at, f"/audit/{one.id}")),
    Column("Who", lambda one: one.actor),
    Column("Did", lambda one: one.action + (f" ({one.count} times)" if one.count > 1 else "")),
    Column("To", lambda one: one.object_name or one.object_id),
    Column("Outcome", _outcome),
    Column("Because", lambda one: one.reason or one.rule),
    Column("From", lambda one: one.address),
)


def show(visit: Visit) -> Response:
    """A page of the log, newest first."""
    asked = given(visit, _FILTERS)
    found = visit.client.audit({**asked, "before": whole_number(visit.asked("before")) or None}, MOST)
    more = visit.link(before=found[-1].id) if len(found) == MOST else ""
    return told(
        visit,
        "Audit log",
        [table(_COLUMNS, found, "There is nothing that you may see, or nothing passes the filters.")],
        beside=rooms.PEOPLE,
        filters=_FILTERS,
        more=more,
    )


def show_one(visit: Visit) -> Response:
    """One entry, whole."""
    one = visit.client.audit_entry(whole_number(visit.params["id"]) or 0)
    sections: list[Section] = [
        Facts(
            [
                ("At", one.at),
                ("Who", one.actor),
                ("As", one.actor_kind),
                ("Role", one.role),
                ("For", one.behalf),
                ("From", one.address),
                ("Action", one.action),
                ("Request", Code(one.request)),
                ("Kind", one.object_kind),
                ("Object", one.object_name or one.object_id),
                ("Template", one.template),
                ("Outcome", _outcome(one)),
                ("Code", one.code),
                ("Reason", one.reason),
                ("Rule", one.rule),
                ("How often", one.count),
                ("Position in the chain", one.position),
                ("Hash", Code(one.hash) if one.hash else None),
            ]
        )
    ]
    sections += [
        Text(json.dumps(values, indent=2, ensure_ascii=False), title)
        for title, values in (("Before", one.before), ("After", one.after))
        if values
    ]
    return told(visit, f"Entry {one.id}", sections, up=Link("Audit log", "/audit"))


def access(visit: Visit) -> Response:
    """What each role may, and why somebody may do something or not."""
    asked = {name: visit.asked(name).strip() for name in ("person", "action", "environment")}
    sections: list[Section] = []
    if asked["action"]:
        found = visit.client.why_access(asked["action"], asked["person"] or "me", asked["environment"] or None)
        answer = sign("may", "good", "✓") if found.allowed else sign("may not", "bad", "✗")
        sections.append(
            Facts(
                [
                    ("Who", found.person),
                    ("Action", found.action),
                    ("On", found.environment),
                    ("Answer", answer),
                    ("It takes", found.needs),
                    ("They have", "; ".join(found.has)),
                    ("They lack", "; ".join(found.missing)),
                    ("Who can give it", ", ".join(found.givers)),
                ],
                "Why",
            )
        )
    rows = [[row.action, row.on, row.role, "yes" if row.audited else ""] for row in visit.client.access_table()]
    sections.append(Table(["Action", "On", "Takes the role", "Audited"], rows, "None.", "What each action takes"))
    return told(
        visit,
        "Who may do what",
        sections,
        beside=rooms.PEOPLE,
        filters=(Choice("person", "Who"), Choice("action", "Action"), Choice("environment", "Environment")),
    )


PAGES = (("GET", "/audit", show), ("GET", "/audit/{id}", show_one), ("GET", "/access", access))
