"""Pages of lists that are read newest first."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, select, tuple_

from environments.domain.errors import NotFound


def older_than(connection: Connection, table: Table, moment: str, id: str, what: str) -> ColumnElement[bool]:
    """What is older than the row with that id, by its column `moment`; those of one moment in the order of ids.

    Raises `NotFound`; `what` says in the message what there is none of.
    """
    found: Any = connection.execute(select(table.c[moment]).where(table.c.id == id)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no {what} {id!r} to go on from.")
    return tuple_(table.c[moment], table.c.id) < (found, id)
