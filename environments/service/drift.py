"""Drift: what differs from what an environment's steps made, and things that no step made."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from environments.domain.environment import Drift, Environment, EventType
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import State
from environments.service.authorization import Action, Principal, environment_to_read, may
from environments.service.cron import next_run
from environments.service.storage.transaction import Storage, Transaction

_OBSERVED = (State.READY, State.STOPPED)


class Observer(Protocol):
    """Observes environments in the backends."""

    def observe(self, environment: Environment) -> Drift:
        """How the backends differ from what the steps of a ready or stopped environment made; changes nothing."""
        ...


class Drifting:
    """Observes on request and on schedule, and stores what was found."""

    def __init__(self, storage: Storage, observer: Observer, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._observer = observer
        self._clock = clock

    def show(self, principal: Principal, name: str) -> Environment:
        """The environment with the drift that the last observation found."""
        with self._storage.read() as tx:
            return environment_to_read(tx, principal, name)

    def observe(self, principal: Principal, name: str) -> Environment:
        """Observes now. Raises `NotAllowedNow` unless the environment is ready or stopped, before and after."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            may(tx, principal, Action.ENVIRONMENT_OBSERVE, environment)
            newest = _newest(tx, environment)
        if environment.state not in _OBSERVED:
            raise NotAllowedNow(
                f"Environment {environment.name!r} is {environment.state.value}: only one that is ready or stopped "
                "has drift.",
                hint="`calvinverse env show` says what it is doing.",
            )
        if environment.managed_by is not None:
            raise NotAllowedNow(
                f"Environment {environment.name!r} is managed by {environment.managed_by}: "
                "its steps aren't known here.",
                hint="`doit deploy`, on the machine that deployed it, repairs it.",
            )
        found = self._note(environment, newest, self._observer.observe(environment))
        if found is None:
            raise NotAllowedNow(f"Environment {environment.name!r} was changed during the observation.")
        return found

    def observe_due(self) -> list[str]:
        """Observes one ready environment that is due; returns its name, or nothing.

        Sets the time of the next one first.
        """
        now = self._clock()
        with self._storage.read() as tx:
            if not tx.environments.to_observe(now, State.READY, 1):
                return []
        with self._storage.write() as tx:
            due = tx.environments.to_observe(now, State.READY, 1)
            newest = {environment.id: _newest(tx, environment) for environment in due}
            for environment in due:
                bundle = tx.templates.bundle(environment.bundle)
                rule = None if bundle is None else bundle.template().drift
                tx.environments.change(environment.id, observe_at=rule and next_run(rule, now))
        for environment in due:
            self._note(environment, newest[environment.id], self._observer.observe(environment))
        return [environment.name for environment in due]

    def _note(self, environment: Environment, newest: str | None, drift: Drift) -> Environment | None:
        """Stores what was found; None if the environment has changed since."""
        with self._storage.write() as tx:
            now = tx.environments.get(environment.id)
            if now is None or now.state is not environment.state or _newest(tx, now) != newest:
                return None
            waits = _still_waiting(now, drift)
            tx.environments.change(now.id, drift=drift, awaiting_promotion=waits)
            if lost := [step for step in now.awaiting_promotion if step not in waits]:
                message = (
                    f"{now.name} no longer awaits promotion of {', '.join(lost)}: the new version no longer exists"
                )
                kind, steps = EventType.ENVIRONMENT_AWAITING_PROMOTION, {"steps": list(waits)}
                tx.events.add(kind, now.id, drift.observed_at, message=message, data=steps)
            if drift.found != (now.drift is not None and now.drift.found):
                what = f"has drifted: {_sentence(drift)}" if drift.found else "no longer has drift"
                message = f"{now.name} {what}"
                data = {"found": drift.found}
                tx.events.add(EventType.ENVIRONMENT_DRIFT, now.id, drift.observed_at, message=message, data=data)
            known = now.drift.incidents if now.drift is not None else ()
            for incident in drift.incidents:
                if incident not in known:
                    message = f"{now.name}, {incident.address}: {incident.detail}"
                    at = {"at": incident.at.isoformat()}
                    tx.events.add(EventType.ENVIRONMENT_INCIDENT, now.id, drift.observed_at, message=message, data=at)
            return now.model_copy(update={"drift": drift, "awaiting_promotion": waits})


def _newest(tx: Transaction, environment: Environment) -> str | None:
    deployments = tx.deployments.of(environment.id, limit=1)
    return deployments[0].id if deployments else None


def _still_waiting(environment: Environment, drift: Drift) -> tuple[str, ...]:
    """The steps whose new version still awaits promotion.

    In the other steps it has failed, or somebody has changed it.
    """
    changed = {step.step for step in drift.steps if any(change.kind == step.uses for change in step.changes)}
    return tuple(step for step in environment.awaiting_promotion if step not in changed)


def _sentence(drift: Drift) -> str:
    changes = sum(len(step.changes) for step in drift.steps)
    parts = [
        *([f"{changes} thing{'s' * (changes > 1)} to put right"] if changes else []),
        *([f"{len(drift.unexpected) + drift.more_unexpected} unexpected"] if drift.unexpected else []),
    ]
    return ", ".join(parts)
