"""Pages of lists, which are read row by row until they are full, and their start."""

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, select, tuple_

from environments.domain.errors import NotFound
from environments.service.pages import Page, ended_in_time

_BUFFERED = 50
"""Rows that PostgreSQL's driver fetches at once; that of SQLite fetches each row on demand."""


def older_than(
    connection: Connection, table: Table, moment: str, id: str, what: str, *among: ColumnElement[bool]
) -> ColumnElement[bool]:
    """What is older than the row with that id, by its column `moment`; those of one moment in the order of ids.

    Only rows `among` those that the principal may see count, so that no error tells of others' rows.
    Raises `NotFound`; `what` says in the message what there is none of.
    """
    there = and_(table.c.id == id, *among)
    found: Any = connection.execute(select(table.c[moment]).where(there)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no {what} {id!r} to continue from.")
    return tuple_(table.c[moment], table.c.id) < (found, id)


def read_page(connection: Connection, query: Select[Any], limit: int | None) -> Page[Row[Any]]:
    """At most `limit` rows, and no more than a page holds by their bytes; without a limit all of them.

    Rows that a page doesn't hold are not read, however large they are.
    """
    if limit is None or limit <= 1:
        return Page(connection.execute(query.limit(limit)))
    few = {"stream_results": True, "max_row_buffer": _BUFFERED}
    with connection.execute(query.limit(limit), execution_options=few) as rows:
        return ended_in_time(rows, size_of)


def size_of(row: Row[Any] | tuple[Any, ...]) -> int:
    """The approximate size of a row in bytes."""
    size = 0
    for value in row:  # a long list spends much of its time here
        if value.__class__ is str:
            size += len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
        elif isinstance(value, bytes):
            size += len(value)
        elif isinstance(value, dict | list):
            size += len(json.dumps(value, default=str)) if value else 2
        else:
            size += 8
    return size
