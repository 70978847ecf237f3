"""Previews: see `environments.service.storage.previews`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, or_, select, true

from environments.domain.access import EVERYTHING, Sight
from environments.domain.lifecycle import ENDED, State
from environments.domain.preview import Preview, Seen, Written
from environments.service.pages import Page
from environments.service.storage.previews import PreviewDetails
from environments.stores.environment_rows import plain
from environments.stores.events_schema import previews as table
from environments.stores.events_schema import triggers
from environments.stores.locks import Locks
from environments.stores.once import insert_once
from environments.stores.paging import read_page
from environments.stores.schema import environments
from environments.stores.sight import visible

_AT_ONCE = 500
"""How many ids one query has."""

_LONGEST_TEXT = 1000


class SqlPreviews:
    """See `environments.service.storage.previews.Previews`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, preview: Preview) -> bool:
        return insert_once(self._connection, table, [_row(dict(preview))]) > 0

    def get(self, preview_id: str) -> Preview | None:
        return self._one(select(table).where(table.c.id == preview_id))

    def of(self, trigger_id: str, number: int) -> Preview | None:
        return self._one(select(table).where(table.c.trigger_id == trigger_id, table.c.number == number))

    def change(self, preview_id: str, **values: Any) -> None:
        self._connection.execute(table.update().where(table.c.id == preview_id).values(**_row(values)))

    def due(self, now: datetime, limit: int) -> dict[str, str]:
        query = select(table.c.id, table.c.webhook).where(table.c.look_at <= now, table.c.closed_at.is_(None))
        rows = self._connection.execute(query.order_by(table.c.look_at, table.c.id).limit(limit))
        return {row.id: row.webhook for row in rows}

    def look(
        self, now: datetime, *, webhook: str, repository: str, number: int | None = None, branch: str | None = None
    ) -> int:
        query = select(table).where(
            table.c.webhook == webhook,
            func.lower(table.c.repository) == repository.lower(),
            table.c.closed_at.is_(None),
        )
        if number is not None:
            query = query.where(table.c.number == number)
        chosen = [
            preview.id
            for preview in map(_preview, self._connection.execute(query))
            if branch is None or (preview.seen.pull is not None and preview.seen.pull.head_branch == branch)
        ]
        if chosen:
            later = or_(table.c.look_at.is_(None), table.c.look_at > now)
            self._connection.execute(table.update().where(table.c.id.in_(chosen), later).values(look_at=now))
        return len(chosen)

    def look_again(self, preview_ids: Sequence[str], now: datetime) -> None:
        for start in range(0, len(preview_ids), _AT_ONCE):
            some = table.c.id.in_(preview_ids[start : start + _AT_ONCE])
            self._connection.execute(table.update().where(some).values(look_at=now))

    def open_of(self, trigger_id: str) -> list[Preview]:
        query = select(table).where(table.c.trigger_id == trigger_id, table.c.closed_at.is_(None))
        return [_preview(row) for row in self._connection.execute(query.order_by(table.c.number))]

    def change_open(self, webhook: str, **values: Any) -> None:
        those = table.update().where(table.c.webhook == webhook, table.c.closed_at.is_(None))
        self._connection.execute(those.values(**_row(values)))

    def living(self, webhook: str) -> int:
        ended = [state.value for state in ENDED]
        query = (
            select(func.count())
            .select_from(table)
            .join(environments, environments.c.id == table.c.environment_id)
            .where(table.c.webhook == webhook, table.c.closed_at.is_(None), environments.c.state.not_in(ended))
        )
        return int(self._connection.execute(query).scalar_one())

    def triggers(self) -> frozenset[str]:
        query = select(table.c.trigger_id).where(table.c.closed_at.is_(None)).distinct()
        return frozenset(self._connection.execute(query).scalars())

    def repositories(self) -> frozenset[tuple[str, str]]:
        query = select(table.c.webhook, table.c.repository).where(table.c.closed_at.is_(None)).distinct()
        return frozenset((row.webhook, row.repository.lower()) for row in self._connection.execute(query))

    def behind(self, limit: int) -> list[str]:
        later = environments.c.state_since > table.c.looked_at
        waits = table.c.closed_at.is_(None) & (
            table.c.look_at.is_(None) | (table.c.look_at > environments.c.state_since)
        )
        query = select(table.c.id).join(environments, environments.c.id == table.c.environment_id)
        return list(self._connection.execute(query.where(waits, later).limit(limit)).scalars())

    def shown(
        self,
        sight: Sight = EVERYTHING,
        owners: Collection[str] | None = None,
        *,
        ended: bool = False,
        limit: int | None = None,
        skip: int = 0,
    ) -> Page[PreviewDetails]:
        told = or_(table.c.environment_id.is_not(None), table.c.fault != "")
        seen = table.c.environment_id.in_(select(environments.c.id).where(*visible(sight)))
        mine = true() if owners is None else triggers.c.owner.in_(sorted(owners))
        query = (
            select(*table.c, triggers.c.name.label("trigger"), environments.c.state)
            .outerjoin(triggers, triggers.c.id == table.c.trigger_id)
            .outerjoin(environments, environments.c.id == table.c.environment_id)
            .where(told, or_(seen, mine))
            .order_by(table.c.repository, table.c.number, table.c.id)
            .offset(skip)
        )
        if not ended:
            query = query.where(table.c.closed_at.is_(None))
        return read_page(self._connection, query, limit).each(_details)

    def forget(self, before: datetime, limit: int) -> int:
        ended = select(table.c.id).where(table.c.closed_at < before).order_by(table.c.closed_at).limit(limit)
        return self._connection.execute(table.delete().where(table.c.id.in_(ended))).rowcount

    def _one(self, query: Select[Any]) -> Preview | None:
        if self._locks.needed:
            query = query.with_for_update()
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _preview(row)


def _row(values: dict[str, Any]) -> dict[str, Any]:
    row = plain(values)
    for name in ("because", "fault"):
        if name in row:
            row[name] = row[name][:_LONGEST_TEXT]
    if "seen" in row:
        row["pull"] = row.pop("seen")
    return row


def _details(row: Row[Any]) -> PreviewDetails:
    state = next((state for state in State if state.value == row.state), None)
    return PreviewDetails(_preview(row), row.trigger or "", state)


def _preview(row: Row[Any]) -> Preview:
    values = {name: value for name, value in row._mapping.items() if name in table.c}
    return Preview(
        **{**values, "seen": Seen.model_validate(values.pop("pull")), "written": Written.model_validate(row.written)}
    )
