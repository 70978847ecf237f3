"""New databases for tests, as copies of one that the migrations have made: that takes longer than many a short test."""

import tempfile
from functools import cache
from pathlib import Path

from environments.stores.database import Database, open_database
from environments.stores.sqlite import FILE


@cache
def _migrated() -> bytes:
    """The file of an SQLite database with every table, and nothing in them."""
    with tempfile.TemporaryDirectory() as folder:
        open_database(Path(folder)).close()
        return (Path(folder) / FILE).read_bytes()


def open_migrated(folder: Path, url: str | None = None, password_file: Path | None = None) -> Database:
    """The database at `url`, else the one in a folder; if the folder has none, it gets a copy. See `open_database`."""
    file = folder / FILE
    if url is None and not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_bytes(_migrated())
    return open_database(folder, url, password_file)
