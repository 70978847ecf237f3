"""The tables and the migrations that make them."""

import sqlite3
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from environments.service.storage import TokenRecord
from environments.stores.database import FILE, _alembic, open_database
from environments.stores.schema import metadata
from tests.fakes.client import NOW

TOKEN = TokenRecord("tok-1", "cv_abcd", "0" * 64, "ada", "admin", "", NOW, None, None, None)


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    try:
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    finally:
        engine.dispose()


def test_an_older_database_is_migrated_with_all_it_holds(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    with engine.connect() as connection:
        command.upgrade(_alembic(connection), "0001")
        connection.commit()
    engine.dispose()
    with sqlite3.connect(tmp_path / FILE) as raw:
        columns = ", ".join(TOKEN._fields)
        values = [f"{NOW:%Y-%m-%d %H:%M:%S.%f}" if value is NOW else value for value in TOKEN]
        raw.execute(f"INSERT INTO tokens ({columns}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608
    raw.close()
    database = open_database(tmp_path)
    try:
        with database.read() as tx:
            assert tx.tokens.all(None) == [TOKEN]
            assert tx.images.current() == []
    finally:
        database.close()
    assert [path.name for path in tmp_path.glob("*.before-*")] == [f"{FILE}.before-0003"]
