"""Keeps looking for what people gave up: when it is gone after all, or still there, that is written down."""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from environments.domain.deadline import look_again_after
from environments.domain.environment import Environment, EventType, Resource
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import ResourceStatus, State
from environments.executors.base import Observation, Owner, Presence, Toolbox
from environments.service.storage import Storage, Transaction

log = structlog.get_logger()


class AfterLook:
    """Looks at abandoned environments, ever more rarely, as long as something of them may be left."""

    def __init__(self, storage: Storage, toolbox: Toolbox, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._toolbox = toolbox
        self._clock = clock

    def look_due(self) -> list[str]:
        """Looks at one whose moment has come; its name, or nothing."""
        now = self._clock()
        with self._storage.read() as tx:
            if not tx.environments.to_observe(now, State.ABANDONED, 1):
                return []
        with self._storage.write() as tx:
            due = tx.environments.to_observe(now, State.ABANDONED, 1)
            for environment in due:
                # Before looking: nobody else looks too, and a part that can't be asked isn't asked again at once.
                again = now + look_again_after(now - environment.state_since)
                tx.environments.change(environment.id, observe_at=again)
            left = {environment.id: _given_up(tx, environment) for environment in due}
        for environment in due:
            self._look(environment, left[environment.id])
        return [environment.name for environment in due]

    def _look(self, environment: Environment, left: Sequence[Resource]) -> None:
        owner = Owner(environment.id, environment.name)
        gone = [resource for resource in left if self._is_gone(resource, owner)]
        now = self._clock()
        with self._storage.write() as tx:
            for resource in gone:
                tx.inventory.set(environment.id, resource.kind, resource.address, ResourceStatus.GONE, "", now)
                tx.events.add(
                    EventType.RESOURCE_STATUS,
                    environment.id,
                    now,
                    message=f"{resource.kind} {resource.address}: gone after all",
                    data={"kind": resource.kind, "address": resource.address, "status": ResourceStatus.GONE.value},
                )
            if len(gone) == len(left):
                tx.environments.change(environment.id, observe_at=None)
                tx.events.add(
                    EventType.ENVIRONMENT_STATE,
                    environment.id,
                    now,
                    message=f"nothing is left of {environment.name}, which was given up",
                    data={"state": State.ABANDONED.value, "left": []},
                )

    def _is_gone(self, resource: Resource, owner: Owner) -> bool:
        handler = self._toolbox.handlers.get(resource.kind)
        if handler is None:
            return False
        try:
            found: Observation = handler.observe(resource.address, owner)
        except CalvinverseError as error:
            log.warning("abandoned.not_seen", resource=f"{resource.kind} {resource.address}", reason=error.message)
            return False
        return found.presence is not Presence.OURS


def _given_up(tx: Transaction, environment: Environment) -> list[Resource]:
    return [found for found in tx.inventory.of(environment.id) if found.status is ResourceStatus.ABANDONED]
