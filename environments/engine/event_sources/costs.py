"""`cost`: an environment has cost more than a trigger's budget. It is told once for each trigger and budget."""

from environments.domain.received_event import NewReceivedEvent, Source
from environments.engine.event_sources.parts import Deaf, SourceParts
from environments.engine.event_sources.rounds import Rounds
from environments.engine.event_sources.standing import Standing, StandingTriggers
from environments.service.costs import Costs

_EVERY = 10.0
"""Seconds between two rounds."""


class CostEvents(Deaf):
    """Compares what environments cost with the budgets of triggers."""

    def __init__(self, parts: SourceParts) -> None:
        self._parts = parts
        self._standing = StandingTriggers(Source.COST)
        self._costs = Costs()
        self._rounds = Rounds("cost", self._round, parts.leads)

    def start(self) -> None:
        """Starts the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """Stops the thread."""
        self._rounds.stop()

    def _round(self) -> float:
        with self._parts.storage.read() as tx:
            standing = self._standing.of(tx)
            told = tx.cursors.all(Source.COST.value)
            now = self._parts.clock()
            living = {id for each in standing for id in each.environments}
            amounts = {one: self._costs.amount(tx, one, now) or 0.0 for one in living}
        pairs = {_key(one, id): (one, id) for one in standing for id in one.environments}
        over = {
            key: (one, id)
            for key, (one, id) in pairs.items()
            if one.trigger.over is not None and amounts[id] > one.trigger.over and told.get(key) != _budget(one)
        }
        gone = [key for key in told if key not in pairs]
        if over or gone:
            with self._parts.storage.write() as tx:
                new = [_event(one, id, amounts[id]) for one, id in over.values()]
                self._parts.receiving.receive_in(tx, new)
                for key, (one, _) in over.items():
                    tx.cursors.set(Source.COST.value, key, _budget(one))
                tx.cursors.remove(Source.COST.value, gone)
            self._parts.receiving.wake()
        return _EVERY


def _budget(one: Standing) -> str:
    return f"{one.trigger.over:g}"


def _key(one: Standing, environment_id: str) -> str:
    return f"{environment_id}/{one.id}"


def _event(one: Standing, environment_id: str, amount: float) -> NewReceivedEvent:
    return NewReceivedEvent(
        source=Source.COST,
        kind="over",
        origin="service",
        delivery=f"cost/{_key(one, environment_id)}/{_budget(one)}",
        subject=environment_id,
        fields={"amount": round(amount, 4), "budget": one.trigger.over, "trigger": one.id},
        environment_id=environment_id,
    )
