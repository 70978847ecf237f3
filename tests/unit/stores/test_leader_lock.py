"""Asking who leads, of a database that takes connections and answers nothing."""

from typing import Any, cast

import psycopg
import pytest

from environments.domain.errors import DatabaseUnavailable
from environments.stores.leader_lock import LeaderLock
from environments.stores.postgres_calls import ConnectionMaker


class Broken:
    """Sessions that end with the first statement."""

    where = "db"

    def __init__(self) -> None:
        self.made = self.closed = 0

    def connect_alone(self) -> "Broken":
        self.made += 1
        return self

    def execute(self, *asked: Any) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    def close(self) -> None:
        self.closed += 1


def test_it_asks_once_more_and_then_says_that_it_can_not() -> None:
    broken = Broken()
    lock = LeaderLock(cast(ConnectionMaker, broken))
    with pytest.raises(DatabaseUnavailable):
        lock.is_leader()
    assert (broken.made, broken.closed) == (2, 2)
