"""States of OpenTofu modules, every version of them, with their locks and run records."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, Table, and_, func, literal, select

from environments.service.storage.module_states import StateLock, StateVersion
from environments.stores.schema import module_kits, module_locks
from environments.stores.schema import module_states as table

_VERSION: list[ColumnElement[Any]] = [table.c[name] for name in StateVersion._fields]
_WITHOUT_CONTENT: list[ColumnElement[Any]] = [
    literal(b"", LargeBinary).label("content") if name == "content" else table.c[name] for name in StateVersion._fields
]


class SqlModuleStates:
    """See `environments.service.storage.module_states.ModuleStates`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest(self, environment_id: str, step: str) -> StateVersion | None:
        query = select(*_VERSION).where(_of(table, environment_id, step), table.c.refused.is_(None))
        row = self._connection.execute(query.order_by(table.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else _version(row)

    def aside(self, environment_id: str, step: str) -> list[StateVersion]:
        query = select(*_VERSION).where(_living(environment_id, step), table.c.refused.is_not(None))
        return _versions(self._connection.execute(query.order_by(table.c.id)).all())

    def any(self, environment_id: str, step: str) -> bool:
        query = select(table.c.id).where(_living(environment_id, step)).limit(1)
        return self._connection.execute(query).one_or_none() is not None

    def versions(self, environment_id: str, step: str) -> list[StateVersion]:
        query = select(*_WITHOUT_CONTENT).where(_of(table, environment_id, step))
        return _versions(self._connection.execute(query.order_by(table.c.id)).all())

    def add(self, environment_id: str, step: str, version: StateVersion) -> int:
        values = {name: value for name, value in version._asdict().items() if name != "id"}
        added = self._connection.execute(table.insert().values(environment_id=environment_id, step=step, **values))
        key = added.inserted_primary_key
        assert key is not None
        return int(key[0])

    def remove(self, environment_id: str, step: str) -> None:
        for each in (table, module_locks, module_kits):
            self._connection.execute(each.delete().where(_of(each, environment_id, step)))

    def lock(self, environment_id: str, step: str) -> StateLock | None:
        columns = [module_locks.c[name] for name in StateLock._fields]
        row = self._connection.execute(select(*columns).where(_of(module_locks, environment_id, step))).one_or_none()
        return None if row is None else StateLock(**row._mapping)

    def set_lock(self, environment_id: str, step: str, lock: StateLock | None, now: datetime) -> None:
        self._connection.execute(module_locks.delete().where(_of(module_locks, environment_id, step)))
        if lock is not None:
            values = {"environment_id": environment_id, "step": step, "locked_at": now, **lock._asdict()}
            self._connection.execute(module_locks.insert().values(**values))

    def run_record(self, environment_id: str, step: str) -> bytes | None:
        query = select(module_kits.c.content).where(_of(module_kits, environment_id, step))
        content: bytes | None = self._connection.execute(query).scalar_one_or_none()
        return None if content is None else bytes(content)

    def set_run_record(self, environment_id: str, step: str, content: bytes | None, now: datetime) -> None:
        self._connection.execute(module_kits.delete().where(_of(module_kits, environment_id, step)))
        if content is not None:
            values = {"environment_id": environment_id, "step": step, "content": content, "written_at": now}
            self._connection.execute(module_kits.insert().values(**values))


def _of(table: Table, environment_id: str, step: str) -> ColumnElement[bool]:
    return and_(table.c.environment_id == environment_id, table.c.step == step)


def _living(environment_id: str, step: str) -> ColumnElement[bool]:
    """The versions since the state was last deleted."""
    end = table.alias("end")
    last = select(func.coalesce(func.max(end.c.id), 0)).where(
        end.c.environment_id == environment_id, end.c.step == step, func.length(end.c.content) == 0
    )
    return and_(_of(table, environment_id, step), table.c.id > last.scalar_subquery())


def _versions(rows: Sequence[Row[Any]]) -> list[StateVersion]:
    return [_version(row) for row in rows]


def _version(row: Row[Any]) -> StateVersion:
    return StateVersion(**{**row._mapping, "content": bytes(row.content)})
