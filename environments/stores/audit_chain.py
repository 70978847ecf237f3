"""The chain of the audit log: places of entries, and what pruning leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, select

from environments.service.audit_sealing import FIELDS
from environments.service.pages import Page
from environments.service.storage.audit import Checkpoint, Head, Link, SealedRow
from environments.stores.audit_schema import audit as table
from environments.stores.audit_schema import audit_checkpoints as checkpoints
from environments.stores.locks import Locks
from environments.stores.paging import read_page

_CHAINED = table.c.position.is_not(None)
_UNCHAINED = table.c.position.is_(None)
_SEALED = [table.c[name] for name in ("position", "previous", "hash", "seal", *FIELDS)]
_PLACE = (
    table.update()
    .where(table.c.id == bindparam("entry"), _UNCHAINED)
    .values(position=bindparam("place"), previous=bindparam("before_it"), hash=bindparam("link"))
)
_SOME = 5


class SqlAuditChain:
    """The part of `environments.service.storage.audit.Audit` that chains, prunes and walks."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def head(self) -> Head:
        query = select(table.c.position, table.c.hash).where(_CHAINED).order_by(table.c.position.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        if row is not None:
            return Head(row.position, row.hash or "")
        left = self.checkpoints()
        return Head(left[-1].position, left[-1].hash) if left else Head(0, "")

    def lock_chain(self) -> None:
        self._locks.audit()

    def to_chain(self, limit: int) -> Sequence[tuple[int, str]]:
        query = select(table.c.id, table.c.seal).where(_UNCHAINED).order_by(table.c.id).limit(limit)
        return [(row.id, row.seal) for row in self._connection.execute(query)]

    def chain(self, links: Sequence[Link]) -> None:
        self._connection.execute(
            _PLACE,
            [{"entry": one.id, "place": one.position, "before_it": one.previous, "link": one.hash} for one in links],
        )

    def link(self, position: int) -> Head | None:
        query = select(table.c.position, table.c.hash).where(table.c.position == position)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else Head(row.position, row.hash or "")

    def oldest(self, limit: int) -> Sequence[tuple[int, str, datetime]]:
        query = select(table.c.position, table.c.hash, table.c.at).where(_CHAINED)
        rows = self._connection.execute(query.order_by(table.c.position).limit(limit))
        return [(row.position, row.hash or "", row.at) for row in rows]

    def prune(self, checkpoint: Checkpoint) -> int:
        done = self._connection.execute(delete(table).where(table.c.position <= checkpoint.position))
        self._connection.execute(delete(checkpoints))
        self._connection.execute(checkpoints.insert().values(**checkpoint._asdict()))
        return done.rowcount

    def checkpoints(self) -> Sequence[Checkpoint]:
        rows = self._connection.execute(select(checkpoints).order_by(checkpoints.c.position))
        return [Checkpoint(row.position, row.hash, row.pruned, row.at, row.seal) for row in rows]

    def walk(self, position: int, limit: int) -> Page[SealedRow]:
        return self._sealed(table.c.position > position, table.c.position, limit)

    def before_chain(self, position: int) -> Sequence[int]:
        query = select(table.c.position).where(table.c.position <= position).order_by(table.c.position).limit(_SOME)
        return list(self._connection.execute(query).scalars())

    def walk_unchained(self, entry_id: int, limit: int) -> Page[SealedRow]:
        return self._sealed(_UNCHAINED & (table.c.id > entry_id), table.c.id, limit)

    def _sealed(self, which: ColumnElement[bool], order: ColumnElement[Any], limit: int) -> Page[SealedRow]:
        query = select(*_SEALED).where(which).order_by(order)
        try:
            return read_page(self._connection, query, limit).each(_sealed_row)
        except (ValueError, TypeError):  # somebody wrote what can't be read: find out which rows hold it
            return Page(self._one_by_one(query, limit))

    def _one_by_one(self, query: Select[Any], limit: int) -> list[SealedRow]:
        places = self._connection.execute(query.with_only_columns(table.c.id, table.c.position).limit(limit)).all()
        found = []
        for place in places:
            try:
                row = self._connection.execute(select(*_SEALED).where(table.c.id == place.id)).one()
                found.append(_sealed_row(row))
            except (ValueError, TypeError):
                found.append(SealedRow(place.id, place.position, None))
        return found


def _sealed_row(row: Any) -> SealedRow:
    values: Mapping[str, Any] = row._mapping
    return SealedRow(row.id, row.position, values)
