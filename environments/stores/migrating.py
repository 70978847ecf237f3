"""Migrates a database to the version of this program, with Alembic."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from environments.domain.errors import DatabaseFromFuture


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection."""
    config = _config()
    config.attributes["connection"] = connection
    return config


def _config() -> Config:
    config = Config()
    scripts = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", scripts.replace("%", "%%"))  # it is expanded
    return config


@cache
def _scripts() -> ScriptDirectory:
    """The migrations; reading them takes a while."""
    return ScriptDirectory.from_config(_config())


def missing(connection: Connection, where: str) -> tuple[str | None, str | None]:
    """The version that a database has, None if it is empty, and the one to bring it to, None if it has that.

    Raises `DatabaseFromFuture`.
    """
    scripts = _scripts()
    now = MigrationContext.configure(connection).get_current_revision()
    head = scripts.get_current_head()
    if now is not None:
        try:
            scripts.get_revision(now)
        except CommandError as error:
            raise DatabaseFromFuture(
                f"The database {where} has version {now}, which this version of Calvinverse doesn't know."
            ) from error
    return now, None if now == head else head


def upgrade(connection: Connection) -> None:
    """Migrates the database to the newest version and commits."""
    command.upgrade(alembic_config(connection), "head")
    connection.commit()
