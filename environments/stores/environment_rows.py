"""Rows of environments: what columns take, what queries select, and records again."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel
from sqlalchemy import JSON, Column, ColumnElement, Connection, Row, Text, cast, func, select, type_coerce
from sqlalchemy.types import NullType

from environments.domain.environment import Environment, Failure
from environments.domain.errors import StorageError
from environments.domain.lifecycle import ENDED, State
from environments.stores.column_types import Outputs
from environments.stores.locks import POSTGRESQL, SQLITE
from environments.stores.schema import environments as table

RECORD = [column for column in table.c if column.name not in ("sealed", "retime_because", "retime_kept", "attention")]
"""The columns of a record."""

LEFT = [state for state in State if state not in ENDED and state not in (State.DESTROYING, State.DESTROY_FAILED)]
"""States in which the clock may destroy an environment."""

LEFT_TO_THE_CLOCK = table.c.managed_by.is_(None) & table.c.state.in_([state.value for state in LEFT])
"""Environments that the clock may destroy: ours, and neither ended nor being destroyed."""

PLAIN_STATE = func.coalesce(table.c.state, "")
"""The state, by which no index is searched.

SQLite would read all that are in a state rather than the few whose moment has come.
"""

LEFT_BY_MOMENT = table.c.managed_by.is_(None) & PLAIN_STATE.in_([state.value for state in LEFT])
"""As `LEFT_TO_THE_CLOCK`, for queries by another moment than the deadline."""

COMPUTED = table.c.retime_because.is_(None) | table.c.retime_kept
"""Its deadline was computed of all that decides it, as far as this version of the service can compute it.

Otherwise it may not be due any more.
"""

NOT_HELD = table.c.hold_id.is_(None) | table.c.hold_released.is_(True)
"""As far as holds decide, the clock may destroy it."""

_PLAIN = [column for column in RECORD if not isinstance(column.type, JSON | Outputs)]


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as columns take them: models as JSON, enumerations as text."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _unread(column: Column[Any], dialect: str) -> ColumnElement[Any]:
    # The driver of PostgreSQL would parse JSON by itself.
    if dialect == POSTGRESQL and isinstance(column.type, JSON | Outputs):
        return cast(column, Text).label(column.name)
    return type_coerce(column, NullType()).label(column.name)


UNREAD = {
    dialect: select(*(_unread(column, dialect) for column in RECORD)).order_by(
        table.c.created_at.desc(), table.c.id.desc()
    )
    for dialect in (SQLITE, POSTGRESQL)
}
"""The columns of a record, the id first, as the driver returns them, unparsed. By dialect."""

Otherwise = Callable[[Connection, str], Environment | None]
"""What to use for an environment of this id, whose row can't be read."""


def nothing(_connection: Connection, _environment_id: str) -> None:
    """Skips an environment that can't be read, where it would be changed."""
    return


def stand_in(connection: Connection, environment_id: str) -> Environment | None:
    """For lists: the columns that can be read, with a failure that says so. None if those aren't enough."""
    row = connection.execute(select(*_PLAIN).where(table.c.id == environment_id)).one_or_none()
    failure = Failure(code=StorageError.code, message="What is stored of it can't be read.")
    try:
        return None if row is None else Environment.model_validate({**row._mapping, "failure": failure})
    except ValueError:
        return None


def environment_of(row: Row[Any]) -> Environment:
    """The record. Raises `ValueError` if the row can't be read."""
    return Environment.model_validate(row._mapping)
