"""Queries on the outbox of warnings."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from environments.domain.lifecycle import ENDED, State
from environments.service.storage.warnings import ChannelCount, QueuedWarning
from environments.stores.column_types import Moment
from environments.stores.schema import environments
from environments.stores.schema import warnings as table

_LIVING = [
    state.value for state in State if state not in ENDED and state not in (State.DESTROYING, State.DESTROY_FAILED)
]


class SqlWarnings:
    """See `environments.service.storage.warnings.Warnings`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, warnings: Sequence[QueuedWarning]) -> None:
        if warnings:
            self._connection.execute(table.insert(), [asdict(warning) for warning in warnings])

    def get(self, warning_id: str) -> QueuedWarning | None:
        row = self._connection.execute(select(table).where(table.c.id == warning_id)).one_or_none()
        return None if row is None else _warning(row)

    def of(self, environment_id: str, deadline: datetime) -> list[QueuedWarning]:
        query = select(table).where(table.c.environment_id == environment_id, table.c.deadline == deadline)
        return [_warning(row) for row in self._connection.execute(query.order_by(table.c.queued_at, table.c.id))]

    def change(self, warning_id: str, **values: Any) -> None:
        self._connection.execute(table.update().where(table.c.id == warning_id).values(**values))

    def replace(self, environment_id: str, fault: str) -> None:
        waiting = (table.c.environment_id == environment_id, table.c.next_try.is_not(None), table.c.notice == "")
        self._connection.execute(table.update().where(*waiting).values(next_try=None, fault=fault))

    def use_link(self, environment_id: str, deadline_moves: int, now: datetime) -> None:
        which = (table.c.environment_id == environment_id, table.c.deadline_moves == deadline_moves)
        self._connection.execute(table.update().where(*which).values(link_used_at=now))

    def tried(self, environment_id: str, *, before: int) -> dict[tuple[str, str], datetime]:
        last = func.max(func.coalesce(table.c.delivered_at, table.c.queued_at), type_=Moment)
        query = (
            select(table.c.channel, table.c.recipient, last)
            .where(
                table.c.environment_id == environment_id,
                table.c.deadline_moves < before,
                table.c.attempts > 0,
                table.c.notice == "",
            )
            .group_by(table.c.channel, table.c.recipient)
        )
        return {(channel, recipient): moment for channel, recipient, moment in self._connection.execute(query)}

    def to_send(self, now: datetime, limit: int, channel: str | None = None) -> list[QueuedWarning]:
        query = select(table).where(table.c.next_try <= now)
        if channel is not None:
            query = query.where(table.c.channel == channel)
        rows = self._connection.execute(query.order_by(table.c.next_try, table.c.id).limit(limit))
        return [_warning(row) for row in rows]

    def channels_due(self, now: datetime) -> list[str]:
        query = select(table.c.channel).where(table.c.next_try <= now).distinct().order_by(table.c.channel)
        return list(self._connection.execute(query).scalars())

    def awaited(self, now: datetime) -> list[QueuedWarning]:
        query = (
            select(table)
            .join(environments, environments.c.id == table.c.environment_id)
            .where(
                table.c.next_try.is_not(None),
                table.c.awaited_since.is_(None),
                environments.c.deadline <= now,
                environments.c.deadline == table.c.deadline,
                environments.c.deadline_moves == table.c.deadline_moves,
                environments.c.state.in_(_LIVING),
            )
            .order_by(table.c.environment_id, table.c.id)
        )
        return [_warning(row) for row in self._connection.execute(query)]

    def counts(self) -> dict[str, ChannelCount]:
        query = (
            select(table.c.channel, func.count(), func.count().filter(table.c.fault != ""))
            .where(table.c.next_try.is_not(None))
            .group_by(table.c.channel)
        )
        return {
            channel: ChannelCount(waiting, failing) for channel, waiting, failing in self._connection.execute(query)
        }

    def faults(self) -> dict[str, str]:
        query = (
            select(table.c.channel, table.c.fault)
            .where(table.c.next_try.is_not(None), table.c.fault != "")
            .order_by(table.c.next_try)
        )
        return {row.channel: row.fault for row in self._connection.execute(query)}  # the newest one comes last


def _warning(row: Row[Any]) -> QueuedWarning:
    return QueuedWarning(**row._mapping)
