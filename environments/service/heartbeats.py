"""Heartbeats: an environment says that it is in use, with a token; triggers on `idle` count how long it hasn't."""

from collections.abc import Callable
from datetime import datetime, timedelta

from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import ENDED
from environments.service.authorization import Action, Principal, environment_to_change, may
from environments.service.storage.transaction import Storage

_LEAST = timedelta(seconds=5)
"""Heartbeats that follow the last one sooner aren't written."""


class Heartbeats:
    """Takes heartbeats, in any process."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def beat(self, principal: Principal, name: str) -> datetime:
        """Notes that an environment is in use now, and returns which heartbeat counts.

        Raises `UnknownEnvironment`, `ManagedOutside`, `Forbidden`, and `NotAllowedNow` for one that has ended.
        """
        now = self._clock()
        with self._storage.read() as tx:
            environment = environment_to_change(tx, principal, name)
            may(tx, principal, Action.ENVIRONMENT_HEARTBEAT, environment)
            last = tx.heartbeats.last(environment.id)
        if environment.state in ENDED:
            raise NotAllowedNow(f"Environment {environment.name!r} has ended, so nothing keeps it in use.")
        if last is not None and timedelta(0) <= now - last < _LEAST:
            return last
        with self._storage.write() as tx:
            tx.heartbeats.beat(environment.id, now)
        return now
