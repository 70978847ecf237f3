"""The database of a service: SQLite in its data folder, or PostgreSQL, which several processes share."""

from pathlib import Path

from environments.stores.postgres import open_postgres
from environments.stores.sqlite import open_sqlite
from environments.stores.transaction import Database

__all__ = ["Database", "open_database"]


def open_database(folder: Path, url: str | None = None, password_file: Path | None = None) -> Database:
    """PostgreSQL at `url` if one is given, else SQLite in `folder`; made or migrated as needed.

    Raises `StorageError` and its kin.
    """
    return open_sqlite(folder) if url is None else open_postgres(url, password_file)
