"""Events and log lines, in the order in which they are committed.

A reader continues after the last id that it saw, so an id must never be committed below one that is visible already.
SQLite has one writer at a time. On PostgreSQL a transaction keeps its events until all else is written; then it takes
the lock on events, which gives it ids above all others', and commits.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, literal_column, or_, select, text

from environments.domain.access import EVERYTHING, SharedTo, Sight
from environments.domain.environment import Event, EventType
from environments.service.pages import Page
from environments.service.storage.events import SharedEvent, StateEvent
from environments.stores.listening import CHANNEL
from environments.stores.locks import Locks
from environments.stores.paging import read_page
from environments.stores.schema import environments
from environments.stores.schema import events as table
from environments.stores.sharing import SqlShares
from environments.stores.sight import visible

_FORGOTTEN_AT_ONCE = 5000
"""Events: nobody waits long for a transaction that forgets."""

_INSERT = table.insert()
_OWNED = select(table, environments.c.name.label("environment"), environments.c.owner, environments.c.template).join(
    environments, environments.c.id == table.c.environment_id
)
_NEWER = _OWNED.order_by(table.c.id)
_LATEST = _OWNED.order_by(table.c.id.desc())
_STATES = (
    select(table, environments.c.name, environments.c.owner, environments.c.template)
    .join(environments, environments.c.id == table.c.environment_id)
    .where(table.c.type == EventType.ENVIRONMENT_STATE.value, environments.c.managed_by.is_(None))
    .order_by(table.c.id)
)
_NOTIFY = text(f"SELECT max(id), pg_notify('{CHANNEL}', max(id)::text) FROM events")  # noqa: S608 - our own word


class SqlEvents:
    """See `environments.service.storage.events.Events`. `last`: the id of the newest event that was written here."""

    def __init__(self, connection: Connection, locks: Locks, shares: SqlShares) -> None:
        self._connection = connection
        self._locks = locks
        self._shares = shares
        self._kept: list[dict[str, Any]] = []
        self.last = 0

    def add(
        self,
        type: EventType,
        environment_id: str,
        now: datetime,
        *,
        deployment_id: str | None = None,
        step: str | None = None,
        message: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        row = _row(type, environment_id, deployment_id, step, now, message, dict(data or {}))
        if self._locks.needed:
            self._kept.append(row)
            return
        key = self._connection.execute(_INSERT, row).inserted_primary_key
        assert key is not None
        self.last = int(key[0])

    def add_logs(self, rows: Sequence[tuple[str, str, str | None, datetime, str]]) -> None:
        if not rows:
            return
        lines = [
            _row(EventType.LOG, environment, deployment, step, at, line, {})
            for environment, deployment, step, at, line in rows
        ]
        if self._locks.needed:
            self._kept += lines
            return
        self._connection.execute(_INSERT, lines)
        self.last = self.newest()

    def flush(self) -> None:
        """Writes the collected events; the last statement of a transaction before the commit."""
        if not self._kept:
            return
        self._locks.events()
        self._connection.execute(_INSERT, self._kept)
        self._kept = []
        self.last = int(self._connection.execute(_NOTIFY).one()[0])

    def after(
        self,
        event_id: int,
        *,
        environment_id: str | None,
        sight: Sight = EVERYTHING,
        limit: int,
    ) -> Page[Event]:
        query = _NEWER.where(table.c.id > event_id, *visible(sight))
        if environment_id is not None:
            query = query.where(table.c.environment_id == environment_id)
        return read_page(self._connection, query, limit).each(lambda row: Event.model_validate(row._mapping))

    def latest(self, before: int | None, *, environment_id: str, sight: Sight = EVERYTHING, limit: int) -> Page[Event]:
        query = _LATEST.where(table.c.environment_id == environment_id, *visible(sight))
        if before is not None:
            query = query.where(table.c.id < before)
        found = read_page(self._connection, query, limit).each(lambda row: Event.model_validate(row._mapping))
        found.reverse()
        return found

    def shared_after(self, event_id: int, *, limit: int) -> Page[SharedEvent]:
        rows = read_page(self._connection, _NEWER.where(table.c.id > event_id), limit)
        shares = self._shares.of_many({row.environment_id for row in rows})

        def shared(row: Row[Any]) -> SharedEvent:
            here = shares.get(row.environment_id, ())
            to = SharedTo(id=row.environment_id, template=row.template, owner=row.owner, shares=here)
            return SharedEvent(Event.model_validate(row._mapping), to)

        return rows.each(shared)

    def before(
        self, event_id: int | None, *, environment_id: str, types: Collection[EventType], limit: int
    ) -> Page[Event]:
        query = (
            select(table, environments.c.name.label("environment"))
            .join(environments, environments.c.id == table.c.environment_id)
            .where(
                table.c.environment_id == environment_id,
                table.c.type != literal_column(f"'{EventType.LOG.value}'"),  # the condition of the index
                table.c.type.in_([type.value for type in types]),
            )
            .order_by(table.c.id.desc())
        )
        if event_id is not None:
            query = query.where(table.c.id < event_id)
        return read_page(self._connection, query, limit).each(lambda row: Event.model_validate(row._mapping))

    def states_after(self, event_id: int, *, limit: int) -> list[StateEvent]:
        rows = self._connection.execute(_STATES.where(table.c.id > event_id).limit(limit))
        return [
            StateEvent(
                row.id,
                row.at,
                row.environment_id,
                row.deployment_id,
                row.data.get("state", ""),
                row.name,
                row.owner,
                row.template,
            )
            for row in rows
        ]

    def newest(self) -> int:
        return self._connection.execute(select(func.max(table.c.id))).scalar_one_or_none() or 0

    def forget(self, *, logs_before: datetime, events_before: datetime) -> int:
        old_log = (table.c.type == EventType.LOG.value) & (table.c.at < logs_before)
        old = select(table.c.id).where(or_(old_log, table.c.at < events_before)).limit(_FORGOTTEN_AT_ONCE)
        return self._connection.execute(delete(table).where(table.c.id.in_(old))).rowcount


def _row(
    type: EventType,
    environment_id: str,
    deployment_id: str | None,
    step: str | None,
    at: datetime,
    message: str,
    data: dict[str, Any],
) -> dict[str, Any]:
    return {
        "at": at,
        "type": type.value,
        "environment_id": environment_id,
        "deployment_id": deployment_id,
        "step": step,
        "message": message.replace("\0", "\N{REPLACEMENT CHARACTER}"),  # PostgreSQL's text can't hold it
        "data": data,
    }
