"""`environment`: another environment is ready, has failed, or was destroyed.

The table of the environments' own events is read in order, from a cursor that moves in the transaction that receives.
"""

from environments.domain.lifecycle import State
from environments.domain.received_event import NewReceivedEvent, Source
from environments.engine.event_sources.parts import Deaf, SourceParts
from environments.engine.event_sources.rounds import Rounds
from environments.engine.event_sources.standing import StandingTriggers
from environments.service.storage.events import StateEvent
from environments.service.storage.transaction import Transaction

_KEY = "events"
_TOLD = frozenset({State.READY.value, State.FAILED.value, State.DESTROYED.value})

_AT_ONCE = 500
"""Events of one transaction."""

_LAG = 2000
"""Events that the stored cursor may be behind while there is nothing to receive."""

_EVERY = 5.0
"""Seconds until a round without a commit in this process: another process may have written."""


class EnvironmentEvents(Deaf):
    """Receives what becomes of environments while any trigger is for that: no trigger hears what was before it."""

    def __init__(self, parts: SourceParts) -> None:
        self._parts = parts
        self._standing = StandingTriggers(Source.ENVIRONMENT)
        self._seen: int | None = None
        self._rounds = Rounds("environment", self._round, parts.leads, self._forget, least=0.2)

    def start(self) -> None:
        """Starts the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """Stops the thread."""
        self._rounds.stop()

    def published(self, event_id: int) -> None:
        """Wakes the thread."""
        self._rounds.wake()

    def _forget(self) -> None:
        self._seen = None

    def _round(self) -> float:
        with self._parts.storage.read() as tx:
            cursor = tx.cursors.get(Source.ENVIRONMENT.value, _KEY)
            newest = tx.events.newest()
            seen = max(self._seen or 0, int(cursor or 0))
            found = tx.events.states_after(seen, limit=_AT_ONCE) if cursor is not None and newest > seen else []
            wanted = bool(found) and self._standing.any(tx)
        told = [event for event in found if event.state in _TOLD] if wanted else []
        reached = found[-1].id if len(found) == _AT_ONCE else newest
        if cursor is None or found or reached - int(cursor) > _LAG:
            with self._parts.storage.write() as tx:
                self._parts.receiving.receive_in(tx, [_received(tx, event) for event in told])
                tx.cursors.set(Source.ENVIRONMENT.value, _KEY, str(reached))
            if told:
                self._parts.receiving.wake()
        self._seen = reached
        return 0.0 if len(found) == _AT_ONCE else _EVERY


def _received(tx: Transaction, event: StateEvent) -> NewReceivedEvent:
    fields = {
        "name": event.name,
        "template": event.template,
        "owner": event.owner,
        "state": event.state,
        "environment": event.environment_id,
    }
    return NewReceivedEvent(
        source=Source.ENVIRONMENT,
        kind=event.state,
        origin="service",
        delivery=f"environment/{event.id}",
        subject=event.environment_id,
        fields=fields,
        at=event.at,
        environment_id=event.environment_id,
        hops=_hops(tx, event.deployment_id),
    )


def _hops(tx: Transaction, deployment_id: str | None) -> int:
    """How many triggers led to what a deployment did: none if no trigger asked for it."""
    deployment = tx.deployments.get(deployment_id) if deployment_id else None
    return 0 if deployment is None else deployment.hops
