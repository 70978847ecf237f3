"""Observes abandoned environments and records which of their resources are gone."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from environments.domain.deadline import observe_again_after
from environments.domain.environment import Environment, EventType, Resource, ResourceRef
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import ResourceStatus, State
from environments.engine.removal import is_left, with_reach
from environments.service.storage.transaction import Storage, Transaction
from environments.steps.base import Observation, Owner
from environments.steps.registry import StepRegistry

log = structlog.get_logger()


class _Left(NamedTuple):
    """What may be left of an environment: its abandoned resources, and whatever is in its places."""

    owner: Owner
    resources: Sequence[Resource]
    places: Sequence[ResourceRef]


class AbandonedObserver:
    """Observes abandoned environments, at growing intervals, until nothing of them is left.

    Until an observation finds nothing, the name stays reserved: a job that still runs could read what the next owner of
    the name stores there.
    """

    def __init__(self, storage: Storage, registry: StepRegistry, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._registry = registry
        self._clock = clock

    def observe_due(self) -> list[str]:
        """Observes one environment whose observation is due; its name, or nothing."""
        now = self._clock()
        with self._storage.read() as tx:
            if not tx.environments.to_observe(now, State.ABANDONED, 1):
                return []
        with self._storage.write() as tx:
            due = tx.environments.to_observe(now, State.ABANDONED, 1)
            for environment in due:
                # First, so that no other process observes it too, and an unavailable backend isn't asked again at once.
                again = now + observe_again_after(now - environment.state_since)
                tx.environments.change(environment.id, observe_at=again)
            left = {environment.id: self._may_be_left(tx, environment) for environment in due}
        for environment in due:
            self._observe(environment, left[environment.id])
        return [environment.name for environment in due]

    def _may_be_left(self, tx: Transaction, environment: Environment) -> _Left:
        held = tx.inventory.held(environment.id, gone=True)
        owner = with_reach(self._registry, Owner(environment.id, environment.name, held))
        made = tx.inventory.of(environment.id)
        resources = [found for found in made if found.status is ResourceStatus.ABANDONED]
        places = {found.ref for found in made} | {item.ref for item in self._registry.reach(owner)}
        known = {found.ref for found in resources}
        return _Left(owner, resources, [ref for ref in places - known if owner.holds(ref.kind, ref.address)])

    def _observe(self, environment: Environment, left: _Left) -> None:
        gone = [found for found in left.resources if self._is_gone(found.ref, left.owner)]
        empty = len(gone) == len(left.resources) and all(self._is_gone(ref, left.owner) for ref in left.places)
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
            if empty:
                tx.environments.change(environment.id, observe_at=None)
                tx.events.add(
                    EventType.ENVIRONMENT_STATE,
                    environment.id,
                    now,
                    message=f"nothing is left of {environment.name}, which was abandoned: its name is free",
                    data={"state": State.ABANDONED.value, "left": []},
                )

    def _is_gone(self, ref: ResourceRef, owner: Owner) -> bool:
        handler = self._registry.handlers.get(ref.kind)
        if handler is None:
            return False
        try:
            found: Observation = handler.observe(ref.address, owner)
        except CalvinverseError as error:
            log.warning("abandoned.not_seen", resource=f"{ref.kind} {ref.address}", reason=error.message)
            return False
        return not is_left(handler, ref, owner, found)
