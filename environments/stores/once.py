"""Rows that are written once: an insert that does nothing where the row is there already, on either database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from environments.stores.locks import POSTGRESQL


def insert_once(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Inserts the rows that no unique key has yet, in few statements; returns how many.

    On PostgreSQL it waits for a transaction that is writing the same row.
    """
    return len(insert_once_returning(connection, table, next(iter(table.primary_key)), rows))


def insert_once_returning(
    connection: Connection, table: Table, column: Column[Any], rows: Sequence[dict[str, Any]]
) -> list[Any]:
    """Likewise; returns what the column is in the rows that were inserted."""
    if not rows:
        return []
    statement = _insert(connection, table).on_conflict_do_nothing().returning(column)
    return list(connection.execute(statement, list(rows)).scalars())


def put(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Inserts the row, or replaces what is not its primary key."""
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in row.items() if name not in keys}
    insert = _insert(connection, table).values(**row)
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed))


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return (postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert)(table)
