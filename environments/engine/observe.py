"""Observes an environment that is ready or stopped: what differs from that, and things that no step made."""

import time
from collections.abc import Callable
from datetime import datetime

import structlog

from environments.domain.environment import Drift, Environment, Incident, ResourceRef, Unexpected
from environments.domain.errors import CalvinverseError
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, State
from environments.engine.plan import LONGEST_PLAN
from environments.service.planner import Planner, Target
from environments.service.storage.transaction import Storage
from environments.steps.base import Owner
from environments.steps.registry import StepRegistry

INCIDENTS = 20
"""How many incidents of one observation are stored."""

UNEXPECTED = 200
"""How many unexpected resources of one observation are stored."""

_LONGEST = 500
"""Characters of an address or a detail that are stored."""

log = structlog.get_logger()


class BackendObserver:
    """Implements `environments.service.drift.Observer`."""

    def __init__(
        self, storage: Storage, registry: StepRegistry, planner: Planner, clock: Callable[[], datetime]
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._planner = planner
        self._clock = clock

    def observe(self, environment: Environment) -> Drift:
        """How the backends differ from what the steps made. What can't be observed is reported as a trouble."""
        observed_at, end = self._clock(), time.monotonic() + LONGEST_PLAN
        troubles: dict[str, str] = {}
        with self._storage.read() as tx:
            bundle = tx.templates.bundle(environment.bundle)
            inventory = tx.inventory.of(environment.id)
            deployments = tx.deployments.of(environment.id)
            owner = Owner(environment.id, environment.name, tx.inventory.held(environment.id))
        assert bundle is not None, "bundles in use are never deleted"
        try:
            # Secret parameters are in OpenBao already, so a repair brings none.
            kind = DeploymentKind.STOP if environment.state is State.STOPPED else DeploymentKind.REPAIR
            target = Target(kind, environment, bundle, {})
            steps = tuple(step for step in self._planner.plan(target, troubles) if step.changes)
            names = frozenset(step.name for step in bundle.template().steps)
        except CalvinverseError as error:
            # for example because this version can't read the template
            return Drift(observed_at=observed_at, troubles={"template": error.message})
        known = frozenset(found.ref for found in inventory if found.status is not ResourceStatus.GONE)
        # What a repair would change is reported only as a change, though no step wrote it as it is.
        planned = {(change.kind, change.address) for step in steps for change in step.changes}
        unexpected = tuple(
            found
            for found in self._unexpected(owner, known, names, troubles, end)
            if (found.kind, found.address) not in planned
        )
        since = deployments[0].ended_at if deployments else None
        return Drift(
            observed_at=observed_at,
            steps=steps,
            unexpected=tuple(_shortened(found) for found in unexpected[:UNEXPECTED]),
            more_unexpected=max(0, len(unexpected) - UNEXPECTED),
            troubles=troubles,
            incidents=tuple(self._incidents(known, since, troubles)),
        )

    def _incidents(
        self, known: frozenset[ResourceRef], since: datetime | None, troubles: dict[str, str]
    ) -> list[Incident]:
        """The newest incidents after the last deployment; those during a deployment are in its log."""
        found: list[Incident] = []
        for source in self._registry.incident_sources:
            try:
                found += [one for one in source.incidents(known) if since is None or one.at > since]
            except CalvinverseError as error:
                troubles[source.part] = error.message
        return sorted(found, key=lambda one: one.at)[-INCIDENTS:]

    def _unexpected(
        self,
        owner: Owner,
        known: frozenset[ResourceRef],
        steps: frozenset[str],
        troubles: dict[str, str],
        end: float,
    ) -> list[Unexpected]:
        found: list[Unexpected] = []
        for detector in self._registry.drift_detectors:
            if time.monotonic() > end:
                troubles[detector.part] = "there was no time left to detect unexpected things"
                continue
            try:
                found += detector.unexpected(owner, known, steps)
            except CalvinverseError as error:
                troubles[detector.part] = error.message
        return found


def _shortened(found: Unexpected) -> Unexpected:
    """The resource with shortened texts, because the author of a name chooses its length."""
    return found.model_copy(update={"address": _cut(found.address), "detail": _cut(found.detail)})


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
