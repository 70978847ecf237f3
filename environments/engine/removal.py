"""Removes resources one at a time and checks that they are gone: for destroys, and for what an update leaves behind."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter

import structlog

from environments.domain.dependencies import ancestors
from environments.domain.environment import Deployment, Resource, ResourceRef
from environments.domain.errors import CalvinverseError, Interrupted, InvalidTemplate, StepFailed
from environments.domain.lifecycle import ResourceStatus
from environments.domain.template_parts import Step
from environments.engine.progress import persist
from environments.engine.recorder import Recorder
from environments.service.storage.transaction import Transaction
from environments.steps.base import Observation, Owner, Presence, ResourceHandler, StepRun
from environments.steps.registry import StepRegistry

SHARED = "shared"
"""The journal's step for resources of the whole environment."""

TIME_LIMIT = timedelta(minutes=3)
"""For the removal of a step, unless a handler asks for more time."""

UNKNOWN = "unknown"
"""The kind of a step that is in no stored template."""

OVER = (ResourceStatus.GONE, ResourceStatus.ABANDONED)
"""Resources with one of these statuses need no removal."""


log = structlog.get_logger()


def stored_steps(tx: Transaction, deployment: Deployment) -> tuple[Step, ...]:
    """The steps of the pinned template, for their order; none if this version can't read it.

    Then only the inventory counts.
    """
    bundle = tx.templates.bundle(deployment.bundle)
    try:
        return () if bundle is None else bundle.template().steps
    except InvalidTemplate as error:
        log.warning("template.unreadable", deployment=deployment.id, reason=error.message)
        return ()


class Inspector:
    """Observes the resources of one environment; changes nothing. `made`: all resources in its inventory.

    `check` is called before each observation, and raises an error if that must not take place.
    """

    def __init__(
        self, registry: StepRegistry, owner: Owner, made: Iterable[Resource], check: Callable[[], None] = lambda: None
    ) -> None:
        self._check = check
        self._registry = registry
        self.owner = owner
        self._made = frozenset((found.kind, found.address) for found in made)

    def observe(self, resource: Resource, run: StepRun | None = None) -> Observation:
        """Observes a resource; with a `run`, retries while the backend is unavailable.

        Raises `BackendUnavailable`, `StepFailed`.
        """
        self._check()
        gone = self.gone_with_host(resource, run)
        return gone or self._observe(self.handler(resource), resource.address, run)

    def gone_with_host(self, resource: Resource, run: StepRun | None = None) -> Observation | None:
        """The observation *absent* if this environment made the resource's host and the host is gone; else None."""
        kind, address = self._registry.hosted_by.get(resource.kind, ("", ""))
        if (kind, address) not in self._made:
            return None
        found = self._observe(self._registry.handlers[kind], address, run)
        return Observation(Presence.ABSENT, f"gone with {address}") if found.presence is Presence.ABSENT else None

    def out_of_reach(self, resource: Resource) -> bool:
        """Whether this environment made the resource's host and the host doesn't run."""
        host = self._registry.hosted_by.get(resource.kind, ("", ""))
        runs: Callable[[str], bool] | None = getattr(self._registry.handlers.get(host[0]), "runs", None)
        return host in self._made and runs is not None and not runs(host[1])

    def handler(self, resource: Resource) -> ResourceHandler:
        """The handler of the resource's kind. Raises `StepFailed`."""
        handler = self._registry.handlers.get(resource.kind)
        if handler is None:
            raise StepFailed(f"This version doesn't know how to remove {resource.kind} {resource.address}.")
        return handler

    def time_limit(self, resources: Iterable[Resource]) -> float:
        """Seconds that the removal of these may take, according to their handlers."""
        limits = [limit for resource in resources for limit in self._limits(resource)]
        return max(limits, default=TIME_LIMIT).total_seconds()

    def _limits(self, resource: Resource) -> Iterator[timedelta]:
        handler = self._registry.handlers.get(resource.kind)
        yield getattr(handler, "time_limit", TIME_LIMIT)
        needed: Callable[[str], timedelta] | None = getattr(handler, "time_needed", None)
        if needed is not None and resource.status not in OVER:
            # While the backend is unavailable, the time is unknown, and the resource can't be stopped.
            with suppress(CalvinverseError):
                yield needed(resource.address)

    def is_left(self, resource: Resource, found: Observation) -> bool:
        """See the function `is_left`."""
        return is_left(self._registry.handlers.get(resource.kind), resource.ref, self.owner, found)

    def is_inner(self, resource: Resource) -> bool:
        """Whether resources of this kind are inside another resource of their step (the handler has `inner = True`).

        Executors record these while they run (`StepRun.intend`). `Executor.resources` doesn't name them, but that
        doesn't make them obsolete. They are removed together with their step.
        """
        return bool(getattr(self._registry.handlers.get(resource.kind), "inner", False))

    def _observe(self, handler: ResourceHandler, address: str, run: StepRun | None) -> Observation:
        if run is None:
            return handler.observe(address, self.owner)
        return persist(run, lambda: handler.observe(address, self.owner))


class Removal:
    """Removes resources under the lease of a deployment, and records each resource's status.

    `hint` says what a person can do about resources that are left. `with_hosts`: hosts are removed too, afterwards, so
    what is inside a host that doesn't run is left to that.
    """

    def __init__(self, recorder: Recorder, inspector: Inspector, hint: str = "", *, with_hosts: bool = False) -> None:
        self._recorder = recorder
        self._inspector = inspector
        self._hint = hint
        self._with_hosts = with_hosts

    def remove(self, resource: Resource, run: StepRun) -> None:
        """Removes one resource; if it is left, records it as stuck, with the reason. Raises `CalvinverseError`."""
        gone = self._inspector.gone_with_host(resource, run)
        if gone is not None:
            self.record(resource, ResourceStatus.GONE, gone.detail)
            return
        if self._with_hosts and self._inspector.out_of_reach(resource):
            self.record(resource, ResourceStatus.GONE, "left to its host, which didn't run")
            return
        handler, owner = self._inspector.handler(resource), self._inspector.owner
        try:
            persist(run, lambda: handler.destroy(resource.address, owner, run))
            found = persist(run, lambda: handler.observe(resource.address, owner))
        except Interrupted:
            raise
        except CalvinverseError as error:
            self.record(resource, ResourceStatus.STUCK, error.message)
            raise
        if self._inspector.is_left(resource, found):
            self.record(resource, ResourceStatus.STUCK, found.detail)
            raise left([(resource, found)], self._hint)
        self.record(resource, ResourceStatus.GONE, found.detail if found.presence is Presence.FOREIGN else "")

    def record(self, resource: Resource, status: ResourceStatus, detail: str) -> None:
        """Records the resource's status."""
        with self._recorder.lease.write() as tx:
            self._recorder.resource(tx, resource.ref, status, detail)


def with_reach(registry: StepRegistry, owner: Owner) -> Owner:
    """The owner that also holds all places that its jobs could read, whether or not those are in the inventory."""
    reached = {(item.ref.kind, item.ref.address) for item in registry.reach(owner)}
    return replace(owner, held=owner.held | reached)


def is_left(handler: ResourceHandler | None, ref: ResourceRef, owner: Owner, found: Observation) -> bool:
    """Whether what was found at `ref` keeps the environment from being destroyed.

    Its own resources do. So does anything in a place that it holds, with any mark, because the environment's jobs can
    read it.
    """
    if found.presence is not Presence.FOREIGN:
        return found.presence is Presence.OURS
    return bool(getattr(handler, "place", False)) and owner.holds(ref.kind, ref.address)


def left(found: Sequence[tuple[Resource, Observation]], hint: str = "") -> StepFailed:
    """The error about what could not be removed."""
    parts = [
        f"{resource.kind} {resource.address}{f' ({seen.detail})' if seen.detail else ''}" for resource, seen in found
    ]
    if any(seen.presence is Presence.FOREIGN for _, seen in found):
        hint = (
            "Somebody has marked it as another environment's: correct the mark by hand, or remove what is there. "
            "The destroy will be retried automatically; `calvinverse env retry` retries at once."
        )
    return StepFailed(
        f"Still there: {'; '.join(parts)}.",
        hint=hint or "The destroy will be retried automatically; `calvinverse env retry` retries at once.",
        details={"left": parts},
    )


def reversed_order(needs: Mapping[str, Iterable[str]], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each of `names`, those among them to remove before it: all that need it, directly or through other steps.

    The order is that of removal: the last made first.
    """
    chosen = set(names)
    known = {name: tuple(need for need in parents if need in needs) for name, parents in needs.items()}
    try:
        order = list(TopologicalSorter(known).static_order())
    except CycleError:
        # The needs come from several versions of a template. Each is valid, but together they may contain a cycle.
        known, order = dict.fromkeys(known, ()), list(known)
    order += sorted(chosen - set(order))
    above = {name: ancestors(known, name) for name in order if name in known}
    return {
        name: tuple(other for other in order if other in chosen and name in above.get(other, ()))
        for name in reversed(order)
        if name in chosen
    }


def rows_to_destroy(inventory: Sequence[Resource], steps: Sequence[Step]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and predecessors of each step that a destroy removes, in the reverse order of the template.

    Steps that made resources but are in no stored template come first: no step is known to need them.
    """
    made_by = {str(resource.step) for resource in inventory if resource.step is not None}
    uses = {step.name: step.uses for step in steps}
    order = reversed_order({step.name: step.needs for step in steps}, made_by)
    return [(name, uses.get(name, UNKNOWN), before) for name, before in order.items()]
