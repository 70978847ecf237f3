"""The audit log: entries of this transaction, and those that are written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, Select, bindparam, func, literal_column, or_, select

from environments.domain.environment import Deployment, Environment
from environments.domain.errors import StorageError
from environments.domain.timing import Because
from environments.service.audit_sealing import entry_seal
from environments.service.audit_values import differing, environment_values, shown, text
from environments.service.pages import Page
from environments.service.storage.audit import ENVIRONMENT, AuditEntry, AuditFilter, StoredEntry
from environments.stores.audit_chain import SqlAuditChain
from environments.stores.audit_schema import audit as table
from environments.stores.clock import NOW
from environments.stores.deployments import SqlDeployments
from environments.stores.environments import SqlEnvironments
from environments.stores.locks import POSTGRESQL, SQLITE, Locks
from environments.stores.paging import read_page
from environments.stores.schema import environments

LONGEST_TEXT = 1000
"""Characters of an entry's reason and rule."""

_TEXTS = tuple(
    (column.name, getattr(column.type, "length", None) or LONGEST_TEXT)
    for column in table.c
    if column.name in {field.name for field in fields(AuditEntry)} - {"before", "after", "count", "at"}
)
_INSERT = table.insert()
_NEXT = {
    SQLITE: select(
        NOW[SQLITE].label("now"),
        (func.coalesce(literal_column("(SELECT seq FROM sqlite_sequence WHERE name = 'audit')"), 0) + 1).label("id"),
    ),
    POSTGRESQL: select(
        NOW[POSTGRESQL].label("now"), func.nextval(func.pg_get_serial_sequence("audit", "id")).label("id")
    ).select_from(func.generate_series(1, bindparam("count", type_=Integer))),
}
"""The present moment, and the next id or ids. SQLite has one writer, which takes ids from the first one on."""


class SqlAudit(SqlAuditChain):
    """See `environments.service.storage.audit.Audit`."""

    def __init__(
        self,
        connection: Connection,
        locks: Locks,
        key: bytes | None,
        environments: SqlEnvironments,
        deployments: SqlDeployments,
        *,
        writes: bool,
    ) -> None:
        """Without a `key` entries aren't sealed, which `verify` finds."""
        super().__init__(connection, locks)
        self._key = key
        self._environments = environments
        self._deployments = deployments
        self._writes = writes
        self._added: list[tuple[AuditEntry, Environment | None]] = []
        self.written = 0
        """How many entries this transaction wrote."""

    def add(self, entry: AuditEntry, environment: Environment | None = None) -> None:
        if not self._writes:
            raise TypeError("only a transaction that writes has entries")
        self._added.append((entry, environment))

    def changed(
        self,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        if not self._added:
            raise TypeError("this transaction has added no entry")
        entry, environment = self._added[-1]
        old, new = differing(before, after)
        old = {**(entry.before or {}), **(old or {})} or None
        new = {**(entry.after or {}), **(new or {})} or None
        self._added[-1] = replace(entry, before=old, after=new, **fields), environment

    def flush(self) -> None:
        """Writes the entries; after all else that the transaction writes, except its events."""
        if not self._added:
            return
        now, ids = self._now_and_ids(len(self._added))
        known: dict[str, dict[str, Any]] = {}
        rows = [
            self._row(entry_id, entry, environment, known, now)
            for entry_id, (entry, environment) in zip(ids, self._added, strict=True)
        ]
        self._connection.execute(_INSERT, rows)
        self.written += len(rows)
        self._added = []

    def get(self, entry_id: int) -> StoredEntry | None:
        row = self._connection.execute(select(table).where(table.c.id == entry_id)).one_or_none()
        return None if row is None else stored(row)

    def list(self, which: AuditFilter, *, limit: int | None = None, before: int | None = None) -> Page[StoredEntry]:
        query = _filtered(which)
        if before is not None:
            query = query.where(table.c.id < before)
        return read_page(self._connection, query.order_by(table.c.id.desc()), limit).each(stored)

    def after(self, position: int, which: AuditFilter, *, limit: int) -> Page[StoredEntry]:
        query = _filtered(which).where(table.c.position > position).order_by(table.c.position)
        return read_page(self._connection, query, limit).each(stored)

    def _row(
        self,
        entry_id: int,
        entry: AuditEntry,
        was: Environment | None,
        known: dict[str, dict[str, Any]],
        now: datetime,
    ) -> dict[str, Any]:
        before, after = entry.before, entry.after
        rule, reason = entry.rule, entry.reason
        if entry.object_kind == ENVIRONMENT and entry.object_id and entry.outcome == "allowed":
            if entry.object_id not in known:
                known[entry.object_id] = self._is(entry.object_id)
            old, new = differing(environment_values(was), known[entry.object_id])
            queued = self._deployments.added.get(entry.object_id)
            if queued is not None:
                new = {**(new or {}), "deployment": queued.id, "kind": queued.kind.value}
                rule, reason = rule or _because(queued), reason or queued.reason
            before = {**(old or {}), **(before or {})} or None
            after = {**(new or {}), **(after or {})} or None
        row: dict[str, Any] = {name: text(getattr(entry, name), longest) for name, longest in _TEXTS}
        row["reason"], row["rule"] = text(reason, LONGEST_TEXT), text(rule, LONGEST_TEXT)
        row["before"], row["after"] = shown(before), shown(after)
        row["id"], row["count"], row["at"] = entry_id, entry.count, entry.at or now
        row["seal"] = entry_seal(self._key, row) if self._key is not None else ""
        return row

    def _is(self, environment_id: str) -> dict[str, Any]:
        try:
            return environment_values(self._environments.get(environment_id))
        except StorageError:
            return {"state": self._environments.name_and_state(environment_id)[1]}

    def _now_and_ids(self, count: int) -> tuple[datetime, Sequence[int]]:
        """The present moment, and ids for new entries, which their seals cover."""
        found = self._connection.execute(_NEXT[self._connection.dialect.name], {"count": count}).all()
        now = datetime.fromtimestamp(found[0].now, UTC)
        first = found[0].id
        ids = [row.id for row in found] if len(found) == count else list(range(first, first + count))
        return now, ids


def _filtered(which: AuditFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [
        table.c[name] == value
        for name, value in (
            ("actor", which.actor),
            ("action", which.action),
            ("outcome", which.outcome),
            ("address", which.address),
        )
        if value is not None
    ]
    if which.environment is not None:
        conditions += [table.c.object_id == which.environment, table.c.object_kind == ENVIRONMENT]
    if which.object is not None:
        conditions.append(or_(table.c.object_id == which.object, table.c.object_name == which.object))
    if which.since is not None:
        conditions.append(table.c.at >= which.since)
    if which.until is not None:
        conditions.append(table.c.at < which.until)
    if which.environments_of is not None:
        owned = select(environments.c.id).where(environments.c.owner == which.environments_of)
        conditions += [table.c.object_kind == ENVIRONMENT, table.c.object_id.in_(owned)]
    return select(table).where(*conditions)


def stored(row: Row[Any]) -> StoredEntry:
    """The entry of a row."""
    values = {field.name: getattr(row, field.name) for field in fields(AuditEntry)}
    values["before"], values["after"] = _object(row.before), _object(row.after)
    return StoredEntry(row.id, row.position, row.previous, row.hash, AuditEntry(**values))


def _object(written: str | None) -> dict[str, Any] | None:
    if written is None:
        return None
    try:
        found = json.loads(written)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": written[:LONGEST_TEXT]}


def _because(deployment: Deployment) -> str:
    because: Because | None = deployment.because
    if because is None:
        return ""
    parts = (because.source.value, because.rule, because.place, because.by and f"set by {because.by}")
    return ", ".join(part for part in parts if part)
