"""A small world of things that steps make: for tests of the engine, with faults to order."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from environments.domain.environment import ResourceRef
from environments.domain.template import Bundle
from environments.executors.base import (
    Intended,
    Observation,
    Options,
    Owner,
    Presence,
    StepContext,
    StepRun,
    Toolbox,
    toolbox,
)


@dataclass
class World:
    """What exists: address → id of the owner; and how often each thing was made while it was there already."""

    things: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda verb, address: None
    """Called before each effect with the verb and the address; raises to inject a fault."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, address: str, owner: Owner) -> None:
        """Makes the thing unless it is there."""
        self.before("make", address)
        with self.lock:
            if address not in self.things:
                self.made.append(address)
            self.things[address] = owner.id

    def remove(self, address: str) -> None:
        """Takes the thing away."""
        self.before("remove", address)
        with self.lock:
            self.things.pop(address, None)
            self.removed.append(address)


class ThingOptions(Options):
    """`waits` seconds before it is made; `says` becomes the output `said`."""

    says: Any = ""
    waits: float = 0.0
    shared: bool = False


class ThingExecutor:
    """Makes one thing, named after environment and step."""

    kind: ClassVar[str] = "test.thing"
    options: ClassVar[type[Options]] = ThingOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=20)
    description: ClassVar[str] = "Makes a thing."

    def __init__(self, world: World) -> None:
        self._world = world

    def check(self, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        return [f"with.{name}: unknown" for name in options if name not in ThingOptions.model_fields]

    def resources(self, context: StepContext) -> Sequence[Intended]:
        found = [Intended(ResourceRef(kind="thing", address=f"{context.owner.name}/{context.step}"))]
        if context.options.shared:
            found.append(Intended(ResourceRef(kind="thing", address=f"{context.owner.name}/everybody"), shared=True))
        return found

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        run.log(f"making {context.step}")
        if context.options.waits:
            run.wait(context.options.waits)
        for item in self.resources(context):
            run.before_effect()
            self._world.make(item.ref.address, context.owner)
        return {"said": context.options.says, "parameters": sorted(context.parameters), "secrets": len(context.secrets)}


class CheckExecutor(ThingExecutor):
    """Makes nothing, and passes."""

    kind: ClassVar[str] = "check.thing"

    def resources(self, context: StepContext) -> Sequence[Intended]:
        return ()


class ThingHandler:
    """Takes things away."""

    kind: ClassVar[str] = "thing"

    def __init__(self, world: World) -> None:
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


def thing_toolbox(world: World) -> Toolbox:
    """The executors and the handler of a world."""
    return toolbox([ThingExecutor(world), CheckExecutor(world)], [ThingHandler(world)])
