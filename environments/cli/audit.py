"""`calvinverse audit`: commands for the audit log."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.client.connection import Query
    from environments.wire.audit import AuditEntryView, FindingView


@command(
    "audit",
    "list",
    more="""
        Newest first. --since and --until take a moment, or how long ago: 2h, 7d. `(12 times)`: how many equal
        refusals an entry stands for.
    """,
    examples="""
        calvinverse audit list
        calvinverse audit list --actor ada --since 7d
        calvinverse audit list --env checkout --outcome refused
        calvinverse audit list --action environment:reveal -o json
    """,
)
def list_audit(
    session: Session,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="Such as environment:destroy.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="Only on this environment, by name or id.")
    ] = None,
    object: Annotated[
        str | None, typer.Option("--object", metavar="NAME", help="Only on what has this id or name.")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="OUTCOME", help="allowed, refused or failed.")
    ] = None,
    origin: Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="From this address.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help="Not older than this.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Older than this.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="NUMBER", min=1, help="At most so many.")] = 50,
) -> None:
    from environments.cli.tables import short, table
    from environments.moments import moment

    asked: Query = {
        "actor": actor,
        "action": action,
        "environment": environment,
        "object": object,
        "outcome": outcome,
        "address": origin,
        "since": _when(session, since),
        "until": _when(session, until),
    }
    found = session.client.audit(asked, limit)

    def lines() -> "list[str]":
        rows = [
            (
                str(one.id),
                moment(one.at, session.zone),
                short(_who(one)),
                one.action + (f" ({one.count} times)" if one.count > 1 else ""),
                short(_what(one)),
                one.outcome if not one.code else f"{one.outcome}: {one.code}",
                one.address,
            )
            for one in found
        ]
        return list(table(("ID", "WHEN", "WHO", "WHAT", "ON", "OUTCOME", "FROM"), rows))

    session.show(found, lines)
    if not found:
        session.say("No entry matches.")
    if len(found) == limit:
        session.say(f"The newest {limit} are shown; --limit, --since and the filters show others.")


@command("audit", "show", examples="calvinverse audit show 4711", more="ID is the one that `audit list` shows first.")
def show(session: Session, entry_id: Annotated[int, typer.Argument(metavar="ID", min=1)]) -> None:
    import json

    from environments.cli.tables import pairs, section
    from environments.moments import moment

    one = session.client.audit_entry(entry_id)

    def changes(values: "dict[str, object] | None") -> "list[str]":
        return [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in (values or {}).items()]

    def lines() -> "list[str]":
        return [
            *pairs(
                (
                    ("when", moment(one.at, session.zone)),
                    ("who", _who(one)),
                    ("role", one.role),
                    ("token", one.token_id),
                    ("from", one.address),
                    ("request", one.request),
                    ("what", one.action),
                    ("on", _what(one)),
                    ("object id", one.object_id),
                    ("template", one.template),
                    ("outcome", one.outcome),
                    ("error", one.code),
                    ("reason", one.reason),
                    ("rule", one.rule),
                    ("times", str(one.count) if one.count > 1 else ""),
                    ("position", str(one.position) if one.position is not None else "not chained yet"),
                    ("hash", one.hash or ""),
                )
            ),
            *section("Before", changes(one.before)),
            *section("After", changes(one.after)),
        ]

    session.show(one, lines)


@command(
    "audit",
    "export",
    more="""
        One JSON object a line. Keep the position of the last line, and give it as --after the next time: nothing is
        left out, and nothing comes twice.
    """,
    examples="""
        calvinverse audit export > audit.jsonl
        calvinverse audit export --after 4711 >> audit.jsonl
    """,
)
def export(
    session: Session,
    after: Annotated[int, typer.Option("--after", metavar="POSITION", min=0, help="Only after this position.")] = 0,
) -> None:
    for one in session.client.audit_after(after):
        session.print_json(one, one_line=True)


@command(
    "audit",
    "head",
    more="Give what it prints to `audit verify --head` later: then a removed end of the log is found, too.",
    examples="calvinverse audit head",
)
def head(session: Session) -> None:
    found = session.client.audit_head()
    session.show(found, lambda: [found.text])


@command(
    "audit",
    "verify",
    more="""
        Without --head a removed end of the log isn't found: nothing in the database tells of it. The service logs its
        head every minute, as `audit.head`.
    """,
    examples="""
        calvinverse audit verify
        calvinverse audit verify --head 4711:9f86d081…
    """,
)
def verify(
    session: Session,
    head: Annotated[
        str | None, typer.Option("--head", metavar="POSITION:HASH", help="A head from the log of the service.")
    ] = None,
) -> None:
    from environments.domain.errors import AuditBroken

    findings: list[FindingView] = []
    entries, more, after = 0, 0, None
    while True:
        part = session.client.verify_audit(after=after, head=head)
        findings += part.findings
        entries, more = entries + part.entries, more + part.more
        after = part.next
        if after is None:
            break
        session.say(f"Verified up to position {part.end}.")
    found = {
        "entries": entries,
        "unchained": part.unchained,
        "head": part.head,
        "findings": findings,
        "more": more,
    }

    def lines() -> "list[str]":
        if not findings:
            pruned = part.head.checkpoint
            before = f"; the {pruned.pruned} before them were pruned" if pruned is not None else ""
            return [f"{_entries(entries)} verified{before}. The head is {part.head.text}."]
        return [*(f"{one.kind}: {one.message}" for one in findings), *([f"and {more} more"] if more else [])]

    session.show(found, lines)
    if findings:
        count = len(findings) + more
        raise AuditBroken(f"The audit log isn't as it was written: {count} {'fault' if count == 1 else 'faults'}.")


def _when(session: Session, said: str | None) -> str | None:
    """A moment, or a duration before now, as the API reads it."""
    from environments.domain.deadline import parse_duration, parse_moment
    from environments.domain.errors import InvalidLifetime

    if said is None:
        return None
    try:
        ago: timedelta | None = parse_duration(said)
    except InvalidLifetime:
        ago = None
    found: datetime = session.now() - ago if ago is not None else parse_moment(said, session.zone)
    return found.isoformat()


def _who(one: "AuditEntryView") -> str:
    who = one.actor or "unknown"
    if one.actor_kind not in ("", "token", "session", "person", "unknown"):
        who = f"{who} ({one.actor_kind.replace('_', ' ')})"
    return f"{who} for {one.behalf}" if one.behalf else who


def _what(one: "AuditEntryView") -> str:
    name = one.object_name or one.object_id
    return f"{one.object_kind} {name}".strip() if one.object_kind != "environment" else name


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"
