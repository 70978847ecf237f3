"""What every step kind is made of.

A step kind is an `Executor`. It names the resources that it will make before it makes them (`resources`), so that the
engine can write them into the inventory first; then it makes them (`apply`), which must be idempotent: after a crash
the same step is applied again. Resources are taken away by `ResourceHandler`s, one per kind of resource, which need
nothing but the address and the owner: destroying works even if the step's options can't be read any more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from environments.domain.environment import Incident, ResourceRef, Unexpected
from environments.domain.faults import Fault
from environments.domain.plan import Change
from environments.domain.template import Bundle

AWAITING_PROMOTION = "awaiting_promotion"
"""Output of a step of an executor with `promotes = True`: whether a new version waits for a person to promote it."""


class Options(BaseModel):
    """Base of the models of a step's `with` table: unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


@dataclass(frozen=True)
class Owner:
    """The environment that a thing belongs to: `id` is its mark on everything we make.

    Rights go by `name`, which one environment has at a time. `held` are the resources (kind, address) that our database
    knows to be the environment's: there a mark that is lost or unreadable changes nothing, since nobody else can have
    them. Elsewhere only a mark counts.
    """

    id: str
    name: str
    held: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False, repr=False)

    def holds(self, kind: str, address: str) -> bool:
        """Whether our database says so."""
        return (kind, address) in self.held

    def unheld(self, *resources: ResourceRef) -> list[ResourceRef]:
        """Those of which it doesn't."""
        return [ref for ref in resources if not self.holds(ref.kind, ref.address)]


@dataclass(frozen=True)
class Intended:
    """A resource that a step is about to make. Shared ones serve the whole environment and go after all steps.

    Shared resources are destroyed in reverse order of `rank`.
    """

    ref: ResourceRef
    shared: bool = False
    rank: int = 0


class Presence(StrEnum):
    """What an independent look at a resource found."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Observation:
    """What is there now; `detail` says in a few words what was found (`2 allocations still running`)."""

    presence: Presence
    detail: str = ""


@dataclass(frozen=True)
class Holder:
    """Who carries out a deployment now: what a fenced write outside of the database names as well."""

    deployment: str
    worker: str
    epoch: int


class StepRun(Protocol):
    """A step in progress: what the engine offers to an executor or a handler."""

    @property
    def time_left(self) -> float:
        """Seconds until the step's time limit; zero or less when it is over."""
        ...

    @property
    def holder(self) -> Holder | None:
        """Who carries the deployment out; None while a plan is made: then nothing may be changed."""
        ...

    @property
    def sure_for(self) -> float:
        """Seconds from now for which nobody else can hold the deployment, whatever happens; zero or less: not sure.

        For what goes on by itself, such as a process that was started: it must end before that time is over.
        """
        ...

    def intend(self, resources: Sequence[Intended]) -> None:
        """Writes down what the step is about to make beside its `resources`, before this returns; known only now.

        Raises `LeaseLost`.
        """
        ...

    def hold(self, resources: Sequence[ResourceRef]) -> None:
        """Writes down that some of the step's `resources` are proven to be the environment's. Raises `LeaseLost`."""
        ...

    def gone(self, resources: Sequence[ResourceRef]) -> None:
        """Writes down that the step has taken some of its own resources away. Raises `LeaseLost`."""
        ...

    def finished(self, resource: ResourceRef, marks: Sequence[str]) -> None:
        """Writes down that something of the step ran to its end; `marks` stand for its inputs, each one for all.

        Without any: it is about to run, and what it did before doesn't count any more. Raises `LeaseLost`.
        """
        ...

    def before_effect(self) -> None:
        """To be called before each change of the outside world, and in every waiting loop.

        Raises `Interrupted` when the lease is lost, a request to destroy came or the service stops, and `StepTimeout`
        when the time is over.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Sleeps at most that long, less when the step has to stop; then does what `before_effect` does."""
        ...

    def log(self, line: str) -> None:
        """A line for people: stored and streamed as it comes. Never a secret."""
        ...


@dataclass(frozen=True)
class StepContext:
    """All that a step may know. `options` are rendered and read by the executor's own model.

    `secrets` are the environment's secret parameters; only kinds that take secrets get them. `host_volumes` are those
    that the template declares: jobs get no others. `promotes`: somebody asked for what waits to be promoted.
    `inputs` stands for the rendered options: equal for equal ones.

    `finished` are the environment's resources (kind, address) with the marks that were written down when they last ran
    to their end (`StepRun.finished`); None: made by a version that wrote nothing down. For those `before` is the
    template of the deployment that did the step last, if that was with equal options. `run_again` isn't empty when a
    person wants the step's work done again; it stays the same until that is done.
    """

    owner: Owner
    step: str
    options: Any
    bundle: Bundle
    parameters: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    host_volumes: frozenset[str] = frozenset()
    promotes: bool = False
    inputs: str = ""
    finished: Mapping[tuple[str, str], tuple[str, ...] | None] = field(default_factory=dict, repr=False)
    before: Bundle | None = field(default=None, repr=False)
    run_again: str = ""


class Executor(Protocol):
    """The code behind one step kind.

    What the engine has to know about a kind is a property that its executor declares, never its name. All of these are
    optional class attributes, False unless they are there (`environments.steps.registry.StepRegistry` reads them):

    - `only_checks`: a step makes nothing and always runs; an environment is validating while only such steps are left.
    - `takes_secrets`: a step gets the secret parameters that came with the request (`StepContext.secrets`).
    - `plans_itself`: `apply` observes first and changes only what differs. Then the engine calls `plan` before it only
      if the deployment has a saved plan.
    - `promotes`: a step may leave a new version waiting until somebody promotes it. Its outputs say whether one waits
      (`AWAITING_PROMOTION`), and a later run whose context `promotes` replaces the version before.
    - `only_for_meta`: only the template `meta` may use the kind.

    An executor whose work can be run again on request has a method `why_not_again(options, bundle)`: why a step with
    these raw `options` can't be run again, in words; empty if it can, or if only the run will tell.
    """

    kind: ClassVar[str]
    options: ClassVar[type[Options]]
    time_limit: ClassVar[timedelta]
    """Default time limit of a step of this kind; a template may set `timeout`."""
    description: ClassVar[str]
    """One sentence for the reference."""

    def check(self, options: Mapping[str, Any], bundle: Bundle) -> Sequence[Fault | str]:
        """Faults of a template that can be seen before anything is rendered or run; usually none.

        `options` are the raw ones, still with expressions inside. See `environments.service.inspecting.StepKind`.
        """
        ...

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """Everything that `apply` may make, known beforehand, in the order of making. No effects."""
        ...

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Makes or mends the resources and gives the outputs (JSON values; secrets only as `SecretReference`s).

        Idempotent. Raises `CalvinverseError`; `ForeignResource` when something of that name isn't ours.
        """
        ...

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """What `apply` would do to the world as it is now; nothing when it would change nothing.

        Reads only. Also tells what of this step's own things would go (keys that it doesn't write any more). Raises
        `CalvinverseError`; `ForeignResource` where `apply` would.
        """
        ...

    def plan_removal(self, step: str, owner: Owner) -> Sequence[Change]:
        """Changes that remove what a step of this name, no longer in the template, wrote into shared resources.

        Reads only. The step's own resources in the inventory aren't among them: their handlers remove those.
        """
        ...

    def remove(self, step: str, owner: Owner, run: StepRun) -> None:
        """Makes the changes of `plan_removal`. Idempotent."""
        ...


class ResourceHandler(Protocol):
    """Knows one kind of resource: whether it is there, and how it goes away.

    A handler with the attribute `inner = True` is one of things inside of another resource of their step, which
    executors write down while they run: `Executor.resources` doesn't name them, and an update doesn't take them for
    outdated because of that.

    One with a `time_needed(address) -> timedelta` is given at least that long to take a resource away.

    One with `place = True` is of what the rights of an environment's jobs go by: as long as anything is there, be it
    marked as somebody else's, an environment that held it isn't destroyed.
    """

    kind: ClassVar[str]

    def observe(self, address: str, owner: Owner) -> Observation:
        """An independent look, without effects. Raises `BackendUnavailable` when nobody can tell."""
        ...

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Takes it away and waits until it is gone; nothing happens when it is absent or foreign.

        Idempotent. Raises `CalvinverseError` when it can't be removed.
        """
        ...


@dataclass(frozen=True)
class Issued:
    """A token that was made: what it is found and revoked by, and the token itself."""

    accessor: str
    secret: str = field(repr=False)


class DriftDetector(Protocol):
    """Looks for things in an environment's namespace or prefixes that none of its steps made."""

    part: ClassVar[str]
    """Where it looks, for people: `Nomad`, `Consul`, `OpenBao`."""

    def unexpected(self, owner: Owner, known: frozenset[ResourceRef], steps: frozenset[str]) -> Sequence[Unexpected]:
        """What is there beside `known` (the inventory) and what `steps` (names) made; reads only.

        Raises `BackendUnavailable` when nobody can tell.
        """
        ...


class IncidentSource(Protocol):
    """Remembers what was done to an environment from outside, also when it is over."""

    part: ClassVar[str]
    """Whom it asks, for people."""

    def incidents(self, known: frozenset[ResourceRef]) -> Sequence[Incident]:
        """What happened to things of the inventory; reads only. Raises `BackendUnavailable` when nobody can tell."""
        ...


Clock = Callable[[], datetime]
"""Gives the present moment in UTC."""
