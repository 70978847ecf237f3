"""Pages of lists that are read newest first."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, select, tuple_

from environments.domain.errors import NotFound


def older_than(
    connection: Connection, table: Table, moment: str, id: str, what: str, *among: ColumnElement[bool]
) -> ColumnElement[bool]:
    """What is older than the row with that id, by its column `moment`; those of one moment in the order of ids.

    The row is looked for only `among` what the asker may see: that others have one of that id is not to be told.
    Raises `NotFound`; `what` says in the message what there is none of.
    """
    there = and_(table.c.id == id, *among)
    found: Any = connection.execute(select(table.c[moment]).where(there)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no {what} {id!r} to go on from.")
    return tuple_(table.c[moment], table.c.id) < (found, id)
