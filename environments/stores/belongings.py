"""What belongs to a name, and how it gets another owner: see `environments.service.storage.people`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from math import inf
from typing import Any

from sqlalchemy import Connection, Table, func, or_, select

from environments.domain.access import EVERYONE, EnvironmentRole, PersonKind, ServiceRole, group_subject
from environments.service.storage.people import Owned, WayIn
from environments.stores.catalogue_schema import tokens
from environments.stores.events_schema import triggers, webhook_users
from environments.stores.people_schema import creators, memberships, people, service_roles, shares
from environments.stores.schema import environments, plans
from environments.stores.timing_schema import policies
from environments.stores.triggers import note_change


def owned(connection: Connection, names: Collection[str], now: datetime) -> Mapping[str, Owned]:
    """See `environments.service.storage.people.People.owned`."""
    living = environments.c.destroyed_at.is_(None)
    kept = _counts(connection, environments, environments.c.owner, names, living)
    good = tokens.c.revoked_at.is_(None) & or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
    session = tokens.c.kind == "session"
    sessions = _counts(connection, tokens, tokens.c.owner, names, good & session)
    others = _counts(connection, tokens, tokens.c.owner, names, good & ~session)
    return {name: Owned(kept.get(name, 0), others.get(name, 0), sessions.get(name, 0)) for name in names}


def _counts(connection: Connection, table: Table, column: Any, names: Collection[str], which: Any) -> dict[str, int]:
    query = select(column, func.count()).select_from(table).where(column.in_(sorted(names)), which).group_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def belongings(connection: Connection, name: str) -> dict[str, int]:
    """See `environments.service.storage.people.People.belongings`."""
    counts = {
        "environments": _count(connection, environments, environments.c.owner == name),
        "tokens": _count(connection, tokens, tokens.c.owner == name),
        "policies": _count(connection, policies, (policies.c.scope == "owner") & (policies.c.name == name)),
        "triggers": _count(connection, triggers, triggers.c.owner == name),
        "groups": _count(connection, memberships, memberships.c.person == name),
    }
    return counts | _given(connection, name)


def group_belongings(connection: Connection, name: str) -> dict[str, int]:
    """See `environments.service.storage.people.Groups.gives`."""
    subject = group_subject(name)
    counts = {
        "environments": _count(
            connection, environments, (environments.c.owner == subject) & environments.c.destroyed_at.is_(None)
        ),
        "members": _count(connection, memberships, memberships.c.group == name),
        "accounts": _count(connection, people, people.c.responsible == subject),
    }
    return counts | _given(connection, subject)


def _given(connection: Connection, subject: str) -> dict[str, int]:
    tables = {"shares": shares, "roles": service_roles, "creators": creators, "webhooks": webhook_users}
    return {noun: _count(connection, table, table.c.subject == subject) for noun, table in tables.items()}


def _count(connection: Connection, table: Table, which: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(which)).scalar_one())


def way_in(connection: Connection, besides: str, now: datetime) -> WayIn | None:
    """See `environments.service.storage.people.People.way_in`."""
    able = (people.c.name != besides) & people.c.disabled_at.is_(None)
    granted = select(service_roles.c.subject).where(
        service_roles.c.role == ServiceRole.ADMIN.value,
        or_(service_roles.c.until.is_(None), service_roles.c.until > now),
    )
    subjects = set(connection.execute(granted).scalars())
    grouped = select(memberships.c.person).where(
        memberships.c.group.in_(sorted(one.partition(":")[2] for one in subjects if one.startswith(group_subject(""))))
    )
    is_admin = or_(
        people.c.claim_role == ServiceRole.ADMIN.value,
        people.c.name.in_(sorted(subjects)),
        people.c.name.in_(grouped),
    )
    person = select(people.c.name).where(
        able, people.c.kind == PersonKind.PERSON.value, people.c.signed_in_at.is_not(None)
    )
    if EVERYONE not in subjects:
        person = person.where(is_admin)
    if connection.execute(person.limit(1)).first() is not None:
        return WayIn.PERSON
    disabled = select(people.c.name).where(people.c.disabled_at.is_not(None))
    token = select(tokens.c.id).where(
        tokens.c.kind == "local_admin",
        tokens.c.owner != besides,
        tokens.c.owner.not_in(disabled),
        tokens.c.revoked_at.is_(None),
        or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
    )
    return None if connection.execute(token.limit(1)).first() is None else WayIn.LOCAL_TOKEN


def hand_over(connection: Connection, old: str, new: str) -> dict[str, int]:
    """See `environments.service.storage.people.People.hand_over`."""
    counts = {
        "environments": _move(connection, environments, "owner", old, new),
        "tokens": _move(connection, tokens, "owner", old, new),
    }
    own = (policies.c.scope == "owner") & (policies.c.name == old)
    theirs = select(policies.c.name).where(policies.c.scope == "owner", policies.c.name == new)
    if connection.execute(theirs).one_or_none() is None:
        counts["policies"] = connection.execute(policies.update().where(own).values(name=new)).rowcount
    counts["triggers"] = _move_triggers(connection, old, new)
    counts["groups"] = _join_all(connection, old, new)
    counts["shares"] = _reshare(connection, shares, (shares.c.environment_id,), old, new)
    counts["creators"] = _reshare(connection, creators, (creators.c.template,), old, new)
    counts["webhooks"] = _reshare(connection, webhook_users, (webhook_users.c.webhook,), old, new)
    counts["roles"] = _reshare(connection, service_roles, (), old, new)
    _move(connection, tokens, "made_by", old, new)
    for column in ("successor", "responsible"):
        _move(connection, people, column, old, new)
    for row in connection.execute(select(plans.c.id, plans.c.content)).all():
        if row.content.get("requested_by") == old:
            content = {**row.content, "requested_by": new}
            connection.execute(plans.update().where(plans.c.id == row.id).values(content=content))
    return counts


def _move(connection: Connection, table: Table, column: str, old: str, new: str) -> int:
    return connection.execute(table.update().where(table.c[column] == old).values({column: new})).rowcount


def _move_triggers(connection: Connection, old: str, new: str) -> int:
    """Those that stand alone and have a name that the new owner uses already stay, and do nothing any more."""
    used = select(triggers.c.name).where(triggers.c.owner == new, triggers.c.environment_id.is_(None))
    free = triggers.c.environment_id.is_not(None) | triggers.c.name.not_in(used)
    moved = connection.execute(triggers.update().where(triggers.c.owner == old, free).values(owner=new)).rowcount
    if moved:
        note_change(connection)
    return moved


def _join_all(connection: Connection, old: str, new: str) -> int:
    known = select(memberships.c.group).where(memberships.c.person == new)
    mine = memberships.c.person == old
    moved = memberships.update().where(mine, memberships.c.group.not_in(known)).values(person=new)
    count = connection.execute(moved).rowcount
    connection.execute(memberships.delete().where(mine))
    return count


def _reshare(connection: Connection, table: Table, within: tuple[Any, ...], old: str, new: str) -> int:
    """Rows for the old name get the new one. If that has a row for the same thing, the one that gives more stays."""
    moved = 0
    for row in connection.execute(select(table).where(table.c.subject == old)).all():
        same = [column == row._mapping[column.name] for column in within]
        theirs = (table.c.subject == new, *same)
        known = connection.execute(select(table).where(*theirs)).first()
        if known is not None and _worth(dict(known._mapping)) >= _worth(dict(row._mapping)):
            connection.execute(table.delete().where(table.c.subject == old, *same))
            continue
        connection.execute(table.delete().where(*theirs))
        moved += connection.execute(table.update().where(table.c.subject == old, *same).values(subject=new)).rowcount
    return moved


_RANKS: dict[str, int] = {role.value: role.rank for role in (*EnvironmentRole, *ServiceRole)}


def _worth(row: Mapping[str, Any]) -> tuple[float, ...]:
    """The more a row of shares, service roles or creators gives, the larger."""
    until, most = row.get("until"), row.get("most")
    return (
        _RANKS.get(row.get("role", ""), 0),
        bool(row.get("reveal")),
        inf if until is None else until.timestamp(),
        inf if most is None else most,
    )
