"""SQL that all databases in this process share: with each database of its own, a test would compile it anew."""

from functools import partial
from typing import Any

from sqlalchemy import create_engine

LARGEST = 5_000
"""Statements that are kept; beyond that the cache begins anew."""


class Statements(dict[Any, Any]):
    """SQLAlchemy's cache of compiled statements, for all engines of one kind of database.

    SQLAlchemy knows a statement by its dialect, of which each engine has one of its own, and by what it says. All
    engines for which this is used must (de)serialise alike.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        """What SQLAlchemy looks for."""
        return super().get(_shared(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self) >= LARGEST:
            self.clear()
        super().__setitem__(_shared(key), compiled)


def _shared(key: Any) -> Any:
    dialect, *rest = key
    return type(dialect), dialect.server_version_info, *rest


def sharing_statements() -> partial[Any]:
    """`create_engine` for engines that share their statements."""
    return partial(create_engine, execution_options={"compiled_cache": Statements()})
