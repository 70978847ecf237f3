"""A fake backend of things that steps make, for tests of the engine; it injects faults."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from environments.domain.environment import Incident, ResourceRef, Unexpected
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.steps.base import (
    AWAITING_PROMOTION,
    Intended,
    Observation,
    Options,
    Owner,
    Presence,
    StepContext,
    StepRun,
)
from environments.steps.registry import StepRegistry, step_registry

SERVER = "server"
"""The kind of things that run."""


@dataclass
class FakeThings:
    """What exists: address → id of the owner, what each says, and what became of them in which order.

    `made` has an address each time that the thing was made while it wasn't there, `changed` each time that it was there
    and then said something else. `strays` are addresses (`<environment>/<anything>`) of things that no step made.
    """

    things: dict[str, str] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    notes: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What steps have written into shared things: (address, step) → what the step says."""
    waiting: dict[str, Any] = field(default_factory=dict)
    """What things are to say once somebody promotes that, by address."""
    running: set[str] = field(default_factory=set)
    """Addresses of servers that run."""
    starts: dict[str, int] = field(default_factory=dict)
    """How often each server was started."""
    switched: list[tuple[str, str]] = field(default_factory=list)
    """What was started and stopped, in order: verb (run, halt), address."""
    strays: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda verb, address: None
    """Called before each effect with the verb (make, erase, remove) and the address; raises to inject a fault."""
    after: Callable[[str, str], None] = lambda verb, address: None
    """Called after each effect in the same way; raises where the process dies before anybody learns of the effect."""
    before_observing: Callable[[str], None] = lambda address: None
    """Called before each observation of a plan or a detector; raises to inject a fault."""
    struck: list[Incident] = field(default_factory=list)
    """What was done to things from outside."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    part: ClassVar[str] = "the world"

    def incidents(self, known: frozenset[ResourceRef]) -> Sequence[Incident]:
        """As a source tells it."""
        return [one for one in self.struck if ResourceRef(kind=one.kind, address=one.address) in known]

    def make(self, address: str, owner: Owner, says: Any = "", note: tuple[str, Any] | None = None) -> None:
        """Makes the thing unless it is there, and lets it say that. `note` goes into it: step, what the step says."""
        self.before("make", address)
        with self.lock:
            if address not in self.things:
                self.made.append(address)
            elif self.said.get(address, "") != says:
                self.changed.append(address)
            self.things[address] = owner.id
            self.said[address] = says
            if note is not None:
                self.notes[address, note[0]] = note[1]
        self.after("make", address)

    def run(self, address: str) -> None:
        """Starts a server."""
        self.before("run", address)
        with self.lock:
            self.running.add(address)
            self.starts[address] = self.starts.get(address, 0) + 1
            self.switched.append(("run", address))
        self.after("run", address)

    def halt(self, address: str) -> None:
        """Stops a server; the thing stays."""
        self.before("halt", address)
        with self.lock:
            self.running.discard(address)
            self.switched.append(("halt", address))
        self.after("halt", address)

    def remove(self, address: str) -> None:
        """Takes the thing away, with the notes in it."""
        self.before("remove", address)
        with self.lock:
            self._forget(address)
            self.removed.append(address)
        self.after("remove", address)

    def erase(self, address: str, step: str) -> None:
        """Takes a step's note out of a shared thing."""
        self.before("erase", address)
        with self.lock:
            self.notes.pop((address, step), None)
        self.after("erase", address)

    def tamper(self, address: str, says: Any = "tampered with") -> None:
        """Somebody changes a thing by hand."""
        with self.lock:
            assert address in self.things
            self.said[address] = says

    def lose(self, address: str) -> None:
        """Somebody takes a thing away by hand."""
        with self.lock:
            assert address in self.things
            self._forget(address)

    def _forget(self, address: str) -> None:
        self.things.pop(address, None)
        self.said.pop(address, None)
        self.running.discard(address)
        self.notes = {place: says for place, says in self.notes.items() if place[0] != address}


class ThingOptions(Options):
    """`waits` seconds before it is made; `says` becomes the output `said`. `shared`: with a note in a shared thing."""

    says: Any = ""
    waits: float = 0.0
    shared: bool = False


class ThingExecutor:
    """Makes one thing, named after environment and step."""

    kind: ClassVar[str] = "test.thing"
    options: ClassVar[type[Options]] = ThingOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=20)
    description: ClassVar[str] = "Makes a thing."

    def __init__(self, world: FakeThings) -> None:
        self._world = world

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        return [f"with.{name}: unknown" for name in options if name not in ThingOptions.model_fields]

    def resources(self, context: StepContext) -> Sequence[Intended]:
        found = [Intended(ResourceRef(kind="thing", address=f"{context.owner.name}/{context.step}"))]
        if context.options.shared:
            found.append(Intended(ResourceRef(kind="thing", address=_everybody(context.owner)), shared=True))
        return found

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        run.log(f"making {context.step}")
        if context.options.waits:
            run.wait(context.options.waits)
        for item in self.resources(context):
            run.before_effect()
            if item.shared:
                self._world.make(item.ref.address, context.owner, note=(context.step, context.options.says))
            else:
                self._world.make(item.ref.address, context.owner, context.options.says)
        return {"said": context.options.says, "parameters": sorted(context.parameters), "secrets": len(context.secrets)}

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        changes = []
        for item in self.resources(context):
            address, says = item.ref.address, "" if item.shared else context.options.says
            self._world.before_observing(address)
            if address not in self._world.things:
                changes.append(_change(address, Action.CREATE, None, says))
            elif (before := self._world.said.get(address, "")) != says:
                changes.append(_change(address, Action.CHANGE, before, says))
            elif item.shared:
                note = self._world.notes.get((address, context.step))
                if note != context.options.says:
                    changes.append(_change(address, Action.CHANGE, note, context.options.says))
        return changes

    def plan_removal(self, step: str, owner: Owner) -> Sequence[Change]:
        address = _everybody(owner)
        self._world.before_observing(address)
        if (address, step) not in self._world.notes:
            return ()
        return [_change(address, Action.CHANGE, self._world.notes[address, step], None)]

    def remove(self, step: str, owner: Owner, run: StepRun) -> None:
        address = _everybody(owner)
        if (address, step) in self._world.notes:
            run.before_effect()
            self._world.erase(address, step)


def _everybody(owner: Owner) -> str:
    """The address of what all steps of an environment share."""
    return f"{owner.name}/everybody"


def _change(address: str, action: Action, before: Any, after: Any) -> Change:
    both = json.dumps([before, after], sort_keys=True)
    details = (f"says: {before!r} → {after!r}",) if action is Action.CHANGE else ()
    fingerprint = hashlib.sha256(both.encode()).hexdigest()
    return Change(kind="thing", address=address, action=action, details=details, fingerprint=fingerprint)


class CheckExecutor(ThingExecutor):
    """Makes nothing, and passes."""

    kind: ClassVar[str] = "check.thing"
    only_checks: ClassVar[bool] = True

    def resources(self, context: StepContext) -> Sequence[Intended]:
        return ()

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        return ()


class CanaryExecutor(ThingExecutor):
    """Lets a thing that is there already say something else only when somebody promotes it."""

    kind: ClassVar[str] = "test.canary"
    promotes: ClassVar[bool] = True
    plans_itself: ClassVar[bool] = True

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        address, says = f"{context.owner.name}/{context.step}", context.options.says
        now = self._world.said.get(address, says)
        waits = now != says and not context.promotes
        if waits:
            self._world.waiting[address] = says
            return {"said": now, AWAITING_PROMOTION: True}
        self._world.waiting.pop(address, None)
        return {**super().apply(context, run), AWAITING_PROMOTION: False}

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        address = f"{context.owner.name}/{context.step}"
        if self._world.waiting.get(address) == context.options.says and not context.promotes:
            return ()
        return [change.model_copy(update={"kind": self.kind}) for change in super().plan(context, run)]


class ServerExecutor(ThingExecutor):
    """Makes a thing that runs until it is stopped."""

    kind: ClassVar[str] = "test.server"
    plans_itself: ClassVar[bool] = True
    stops: ClassVar[bool] = True

    def resources(self, context: StepContext) -> Sequence[Intended]:
        return [Intended(ResourceRef(kind=SERVER, address=f"{context.owner.name}/{context.step}"))]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        outputs = super().apply(context, run)
        address = f"{context.owner.name}/{context.step}"
        if address not in self._world.running:
            run.before_effect()
            self._world.run(address)
        return {**outputs, "runs": self._world.starts[address]}

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        address = f"{context.owner.name}/{context.step}"
        found = [change.model_copy(update={"kind": self.kind}) for change in super().plan(context, run)]
        if not found and (address in self._world.running) == context.stopped:
            found.append(_change(address, Action.CHANGE, "runs", "stops" if context.stopped else "runs again"))
        return found


class ThingHandler:
    """Takes things away."""

    kind: ClassVar[str] = "thing"

    def __init__(self, world: FakeThings) -> None:
        self._world = world

    def observe(self, address: str, owner: Owner) -> Observation:
        found = self._world.things.get(address)
        if found is None:
            return Observation(Presence.ABSENT)
        return Observation(Presence.OURS if found == owner.id else Presence.FOREIGN, "still there")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        run.before_effect()
        if self.observe(address, owner).presence is Presence.OURS:
            self._world.remove(address)


class ServerHandler(ThingHandler):
    """Stops what runs, and takes it away."""

    kind: ClassVar[str] = SERVER

    def stop(self, address: str, owner: Owner, run: StepRun) -> None:
        run.before_effect()
        if address in self._world.running and self.observe(address, owner).presence is Presence.OURS:
            run.log(f"stopping {address}")
            self._world.halt(address)


class StrayDetector:
    """Finds the world's strays, and things of the environment's name that aren't in the inventory."""

    part: ClassVar[str] = "World"

    def __init__(self, world: FakeThings) -> None:
        self._world = world

    def unexpected(self, owner: Owner, known: frozenset[ResourceRef], steps: frozenset[str]) -> Sequence[Unexpected]:
        self._world.before_observing(f"{owner.name}/")
        here = [address for address in (*self._world.strays, *self._world.things) if _is_of(address, owner)]
        return [
            Unexpected(kind="thing", address=address, detail="no step made it")
            for address in sorted(here)
            if not known & {ResourceRef(kind=kind, address=address) for kind in ("thing", SERVER)}
        ]


def _is_of(address: str, owner: Owner) -> bool:
    return address.startswith(f"{owner.name}/")


def thing_registry(world: FakeThings) -> StepRegistry:
    """The executors, the handler and the detector of a world."""
    return step_registry(
        [ThingExecutor(world), CanaryExecutor(world), CheckExecutor(world), ServerExecutor(world)],
        [ThingHandler(world), ServerHandler(world)],
        drift_detectors=[StrayDetector(world)],
        incident_sources=[world],
    )
