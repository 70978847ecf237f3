"""Takes resources away, one at a time, and looks whether they are gone: for destroys and for what updates outlive."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter

from environments.domain.environment import Resource, ResourceRef
from environments.domain.errors import CalvinverseError, Interrupted, StepFailed
from environments.domain.lifecycle import ResourceStatus
from environments.domain.template import Step
from environments.engine.graph import ancestors
from environments.engine.progress import persist
from environments.engine.recorder import Recorder
from environments.steps.base import Observation, Owner, Presence, ResourceHandler, StepRun
from environments.steps.registry import StepRegistry

SHARED = "shared"
"""The journal's step for what serves the whole environment."""

TIME_LIMIT = timedelta(minutes=3)
"""For each step that is taken away, unless one of its resources is given longer by its handler."""

UNKNOWN = "unknown"
"""The kind of a step that is in no version of a template that we still have."""

OVER = (ResourceStatus.GONE, ResourceStatus.ABANDONED)
"""Of these nothing is to be taken away any more."""


class Looks:
    """Looks at the resources of one environment; changes nothing. `made` is all that it was ever about to make.

    `check` raises why to look at nothing more.
    """

    def __init__(
        self, registry: StepRegistry, owner: Owner, made: Iterable[Resource], check: Callable[[], None] = lambda: None
    ) -> None:
        self._check = check
        self._registry = registry
        self.owner = owner
        self._made = frozenset((found.kind, found.address) for found in made)

    def look(self, resource: Resource, run: StepRun | None = None) -> Observation:
        """What is there; with a `run` a part that is away is asked again. Raises `BackendUnavailable`, `StepFailed`."""
        self._check()
        gone = self.gone_with_its_house(resource, run)
        return gone or self._observe(self.handler(resource), resource.address, run)

    def gone_with_its_house(self, resource: Resource, run: StepRun | None = None) -> Observation | None:
        """That the resource went with the one it was in, if this environment made that one and it is no more."""
        kind, address = self._registry.hosted_by.get(resource.kind, ("", ""))
        if (kind, address) not in self._made:
            return None
        found = self._observe(self._registry.handlers[kind], address, run)
        return Observation(Presence.ABSENT, f"gone with {address}") if found.presence is Presence.ABSENT else None

    def handler(self, resource: Resource) -> ResourceHandler:
        """Who knows the resource. Raises `StepFailed`."""
        handler = self._registry.handlers.get(resource.kind)
        if handler is None:
            raise StepFailed(f"This version doesn't know how to remove {resource.kind} {resource.address}.")
        return handler

    def time_limit(self, resources: Iterable[Resource]) -> float:
        """Seconds that taking these away may take: slow are what OpenTofu's providers make, and tasks told to be so."""
        limits = [limit for resource in resources for limit in self._limits(resource)]
        return max(limits, default=TIME_LIMIT).total_seconds()

    def _limits(self, resource: Resource) -> Iterator[timedelta]:
        handler = self._registry.handlers.get(resource.kind)
        yield getattr(handler, "time_limit", TIME_LIMIT)
        needed: Callable[[str], timedelta] | None = getattr(handler, "time_needed", None)
        if needed is not None and resource.status not in OVER:
            # A part that is away says nothing of it: then it can't be stopped either.
            with suppress(CalvinverseError):
                yield needed(resource.address)

    def is_left(self, resource: Resource, found: Observation) -> bool:
        """See the function of that name."""
        return is_left(self._registry.handlers.get(resource.kind), resource.ref, self.owner, found)

    def is_inner(self, resource: Resource) -> bool:
        """Whether such things live inside of another resource of their step, whose handler has `inner = True`.

        Executors write them down while they run (`StepRun.intend`), and `Executor.resources` never names them: that it
        doesn't is no sign that they are outdated. They go when their step goes.
        """
        return bool(getattr(self._registry.handlers.get(resource.kind), "inner", False))

    def _observe(self, handler: ResourceHandler, address: str, run: StepRun | None) -> Observation:
        if run is None:
            return handler.observe(address, self.owner)
        return persist(run, lambda: handler.observe(address, self.owner))


class Removal:
    """Takes away, under the lease of a deployment; each resource's end is written down.

    `hint` is what a person can do about what is left.
    """

    def __init__(self, recorder: Recorder, looks: Looks, hint: str = "") -> None:
        self._recorder = recorder
        self._looks = looks
        self._hint = hint

    def remove(self, resource: Resource, run: StepRun) -> None:
        """Takes one resource away; what is left is written down as stuck, with why. Raises `CalvinverseError`."""
        gone = self._looks.gone_with_its_house(resource, run)
        if gone is not None:
            self.record(resource, ResourceStatus.GONE, gone.detail)
            return
        handler, owner = self._looks.handler(resource), self._looks.owner
        try:
            persist(run, lambda: handler.destroy(resource.address, owner, run))
            found = persist(run, lambda: handler.observe(resource.address, owner))
        except Interrupted:
            raise
        except CalvinverseError as error:
            self.record(resource, ResourceStatus.STUCK, error.message)
            raise
        if self._looks.is_left(resource, found):
            self.record(resource, ResourceStatus.STUCK, found.detail)
            raise left([(resource, found)], self._hint)
        self.record(resource, ResourceStatus.GONE, found.detail if found.presence is Presence.FOREIGN else "")

    def record(self, resource: Resource, status: ResourceStatus, detail: str) -> None:
        """Writes down what is known of the resource now."""
        with self._recorder.lease.write() as tx:
            self._recorder.resource(tx, resource.ref, status, detail)


def with_reach(registry: StepRegistry, owner: Owner) -> Owner:
    """The owner, who holds all that jobs of it could read as well, whichever of that is in the inventory."""
    reached = {(item.ref.kind, item.ref.address) for item in registry.reach(owner)}
    return replace(owner, held=owner.held | reached)


def is_left(handler: ResourceHandler | None, ref: ResourceRef, owner: Owner, found: Observation) -> bool:
    """Whether what was found of `ref` keeps the environment from being destroyed.

    Its own things do, and what is in a place that it holds: jobs of it could read that, whatever mark it bears.
    """
    if found.presence is not Presence.FOREIGN:
        return found.presence is Presence.OURS
    return bool(getattr(handler, "place", False)) and owner.holds(ref.kind, ref.address)


def left(found: Sequence[tuple[Resource, Observation]], hint: str = "") -> StepFailed:
    """The error about what could not be taken away."""
    parts = [
        f"{resource.kind} {resource.address}{f' ({seen.detail})' if seen.detail else ''}" for resource, seen in found
    ]
    if any(seen.presence is Presence.FOREIGN for _, seen in found):
        hint = (
            "Somebody has marked it as another environment's: put the mark right by hand, or remove what is there. "
            "It will be tried again automatically; `calvinverse env retry` tries at once."
        )
    return StepFailed(
        f"Still there: {'; '.join(parts)}.",
        hint=hint or "It will be tried again automatically; `calvinverse env retry` tries at once.",
        details={"left": parts},
    )


def turned_round(needs: Mapping[str, Iterable[str]], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each of `names` those among them that go before it: what needs it, also through steps that aren't among them.

    The order is that of going: the last made first.
    """
    chosen = set(names)
    known = {name: tuple(need for need in parents if need in needs) for name, parents in needs.items()}
    try:
        order = list(TopologicalSorter(known).static_order())
    except CycleError:
        # Needs of several versions of a template, none of which is wrong: then there is no order to keep.
        known, order = dict.fromkeys(known, ()), list(known)
    order += sorted(chosen - set(order))
    above = {name: ancestors(known, name) for name in order if name in known}
    return {
        name: tuple(other for other in order if other in chosen and name in above.get(other, ()))
        for name in reversed(order)
        if name in chosen
    }


def rows_to_destroy(inventory: Sequence[Resource], steps: Sequence[Step]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and what goes before it of each step that a destroy takes away, in order: the template's turned round.

    Steps that made things but are in no version that we still have go first: nothing is known to need them.
    """
    made_by = {str(resource.step) for resource in inventory if resource.step is not None}
    uses = {step.name: step.uses for step in steps}
    order = turned_round({step.name: step.needs for step in steps}, made_by)
    return [(name, uses.get(name, UNKNOWN), before) for name, before in order.items()]
