"""Triggers that stand alone or on an environment."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, String, cast, func, or_, select
from sqlalchemy.exc import IntegrityError

from environments.domain.errors import NameTaken
from environments.domain.trigger import PlacedTrigger, Trigger
from environments.service.pages import Page
from environments.stores.events_schema import source_cursors
from environments.stores.events_schema import triggers as table
from environments.stores.locks import Locks
from environments.stores.once import insert_once
from environments.stores.paging import older_than, read_page
from environments.stores.schema import environments

_AT_ONCE = 500
"""How many ids one query has."""

_VERSION = {"source": "triggers", "key": "version"}
_NOT_ENDED = environments.c.destroyed_at.is_(None) & environments.c.managed_by.is_(None)


class SqlTriggers:
    """See `environments.service.storage.triggers.Triggers`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, trigger: PlacedTrigger) -> None:
        row = trigger.model_dump(exclude={"definition"}) | {"definition": trigger.definition.written()}
        self._locks.text(f"trigger {trigger.environment_id or trigger.owner} {trigger.name}")
        taken = self.named(trigger.name, owner=trigger.owner, environment_id=trigger.environment_id)
        if taken is not None:
            raise _taken(trigger)
        try:
            self._connection.execute(table.insert().values(**row))
        except IntegrityError as error:
            raise _taken(trigger) from error
        self._changed()

    def get(self, trigger_id: str) -> PlacedTrigger | None:
        query = select(table).where(table.c.id == trigger_id)
        if self._locks.needed:
            query = query.with_for_update()
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _trigger(row)

    def named(self, name: str, *, owner: str | None = None, environment_id: str | None = None) -> PlacedTrigger | None:
        query = select(table).where(table.c.name == name)
        if environment_id is not None:
            query = query.where(table.c.environment_id == environment_id)
        else:
            query = query.where(table.c.environment_id.is_(None), table.c.owner == owner)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _trigger(row)

    def named_alike(self, name: str) -> list[PlacedTrigger]:
        query = select(table).where(table.c.name == name, table.c.environment_id.is_(None)).order_by(table.c.id)
        return [_trigger(row) for row in self._connection.execute(query)]

    def change(self, trigger_id: str, **values: Any) -> None:
        written = {name: value.written() if isinstance(value, Trigger) else value for name, value in values.items()}
        self._connection.execute(table.update().where(table.c.id == trigger_id).values(**written))
        self._changed()

    def remove(self, trigger_id: str) -> bool:
        gone = self._connection.execute(table.delete().where(table.c.id == trigger_id)).rowcount > 0
        self._changed()
        return gone

    def all(
        self,
        *,
        owners: Collection[str] | None = None,
        environment_id: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[PlacedTrigger]:
        conditions: list[ColumnElement[bool]] = []
        if owners is not None:
            conditions.append(table.c.owner.in_(sorted(owners)))
        if environment_id is not None:
            conditions.append(table.c.environment_id == environment_id)
        if before is not None:
            conditions.append(older_than(self._connection, table, "created_at", before, "trigger", *conditions))
        if environment_id is None:
            conditions.append(_stands())
        query = select(table).where(*conditions).order_by(table.c.created_at.desc(), table.c.id.desc())
        return read_page(self._connection, query, limit).each(_trigger)

    def count(self, owner: str) -> int:
        query = select(func.count()).select_from(table).where(table.c.owner == owner, _stands())
        return self._connection.execute(query).scalar_one()

    def active(self) -> list[PlacedTrigger]:
        query = select(table).where(table.c.paused.is_(False), _stands())
        return [_trigger(row) for row in self._connection.execute(query.order_by(table.c.created_at, table.c.id))]

    def version(self) -> int:
        rows = source_cursors
        query = select(rows.c.value).where(rows.c.source == _VERSION["source"], rows.c.key == _VERSION["key"])
        return int(self._connection.execute(query).scalar_one_or_none() or 0)

    def living_bundles(self) -> list[tuple[str, str]]:
        query = select(environments.c.template, environments.c.bundle).where(_NOT_ENDED).distinct()
        return [(row.template, row.bundle) for row in self._connection.execute(query)]

    def living_environments(
        self,
        *,
        bundle: str | None = None,
        owner: str | None = None,
        template: str | None = None,
        ids: Collection[str] = (),
    ) -> list[str]:
        query = select(environments.c.id).where(_NOT_ENDED).order_by(environments.c.id)
        for column, value in (
            (environments.c.bundle, bundle),
            (environments.c.owner, owner),
            (environments.c.template, template),
        ):
            if value is not None:
                query = query.where(column == value)
        if ids:
            query = query.where(environments.c.id.in_(sorted(ids)))
        return list(self._connection.execute(query).scalars())

    def _changed(self) -> None:
        note_change(self._connection)


def _stands() -> ColumnElement[bool]:
    """It stands alone, or on an environment that hasn't ended."""
    living = select(environments.c.id).where(_NOT_ENDED)
    return or_(table.c.environment_id.is_(None), table.c.environment_id.in_(living))


def note_change(connection: Connection) -> None:
    """Triggers have changed: what is known of them has to be read again."""
    rows = source_cursors
    insert_once(connection, rows, [{**_VERSION, "value": "0"}])
    mine = (rows.c.source == _VERSION["source"], rows.c.key == _VERSION["key"])
    following = cast(cast(rows.c.value, Integer) + 1, String)
    connection.execute(rows.update().where(*mine).values(value=following))


def _trigger(row: Row[Any]) -> PlacedTrigger:
    return PlacedTrigger.model_validate(row._mapping)


def _taken(trigger: PlacedTrigger) -> NameTaken:
    where = "on this environment" if trigger.environment_id is not None else f"of {trigger.owner}"
    return NameTaken(f"There is a trigger {trigger.name!r} {where} already.", hint="Choose another name, or remove it.")
