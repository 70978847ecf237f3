"""Rows that are written once: an insert that does nothing where the row is there already, on either database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from environments.stores.locks import POSTGRESQL


def insert_once(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """Inserts the rows that no unique key has yet; returns how many.

    On PostgreSQL it waits for a transaction that is writing the same row.
    """
    if not rows:
        return 0
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    statement = insert(table).on_conflict_do_nothing()
    return sum(
        connection.execute(statement.values(**row), execution_options={"preserve_rowcount": True}).rowcount
        for row in rows
    )


def insert_once_returning(
    connection: Connection, table: Table, column: Column[str], rows: Sequence[dict[str, Any]]
) -> frozenset[str]:
    """Likewise, in few statements; returns what the column is in the rows that were inserted."""
    if not rows:
        return frozenset()
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    statement = insert(table).on_conflict_do_nothing().returning(column)
    return frozenset(connection.execute(statement, list(rows)).scalars())


def put(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Inserts the row, or replaces what is not its primary key."""
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in row.items() if name not in keys}
    connection.execute(insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=changed))
