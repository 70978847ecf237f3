"""What every step kind is made of.

A step kind is an `Executor`. It names the resources that it will make before it makes them (`resources`), so that the
engine can record them in the inventory first. Then it makes them (`apply`), which must be idempotent: after a crash
the same step is applied again. Resources are removed by `ResourceHandler`s, one for each kind of resource, which need
only the address and the owner: a destroy works even if the step's options can't be read.
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
    """The environment that a resource belongs to. `id` is the ownership mark on everything that Calvinverse makes.

    Rights are given by `name`, which one environment has at a time. `held` are the resources (kind, address) that are
    the environment's according to the database: they are its own even if their mark is lost or unreadable, since no
    other environment can have them. For all others only the mark counts.
    """

    id: str
    name: str
    held: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False, repr=False)

    def holds(self, kind: str, address: str) -> bool:
        """Whether the resource is among `held`."""
        return (kind, address) in self.held

    def unheld(self, *resources: ResourceRef) -> list[ResourceRef]:
        """Those that aren't among `held`."""
        return [ref for ref in resources if not self.holds(ref.kind, ref.address)]


@dataclass(frozen=True)
class Intended:
    """A resource that a step is about to make. Shared ones belong to the whole environment, and are removed last.

    Shared resources are destroyed in reverse order of `rank`.
    """

    ref: ResourceRef
    shared: bool = False
    rank: int = 0


class Presence(StrEnum):
    """The result of an independent observation of a resource."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Observation:
    """An observation of a resource; `detail` says in a few words what was found (`2 allocations still running`)."""

    presence: Presence
    detail: str = ""


@dataclass(frozen=True)
class Holder:
    """The lease under which a deployment is carried out. Fenced writes outside of the database name it too."""

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
        """The lease of the deployment; None while a plan is made: then nothing may be changed."""
        ...

    @property
    def sure_for(self) -> float:
        """Seconds from now for which no other worker can take the deployment; zero or less: not sure.

        For anything that runs by itself, such as a started process: it must end before that time is over.
        """
        ...

    def intend(self, resources: Sequence[Intended]) -> None:
        """Records resources that the step is about to make, and that `resources` couldn't know. Raises `LeaseLost`."""
        ...

    def hold(self, resources: Sequence[ResourceRef]) -> None:
        """Records that some of the step's `resources` are proven to be the environment's. Raises `LeaseLost`."""
        ...

    def gone(self, resources: Sequence[ResourceRef]) -> None:
        """Records that the step has removed some of its own resources. Raises `LeaseLost`."""
        ...

    def finished(self, resource: ResourceRef, marks: Sequence[str]) -> None:
        """Records that a resource of the step ran to its end; each of `marks` identifies all of its inputs.

        Without marks: it is about to run, which makes the record of its last run invalid. Raises `LeaseLost`.
        """
        ...

    def before_effect(self) -> None:
        """Call it before each change in a backend, and in every waiting loop.

        Raises `Interrupted` when the lease is lost, a request to destroy has come or the service stops, and
        `StepTimeout` when the time is over.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Sleeps at most that long, less when the step has to stop; then does what `before_effect` does."""
        ...

    def log(self, line: str) -> None:
        """Stores and streams a log line for people. It must not have secrets."""
        ...


@dataclass(frozen=True)
class StepContext:
    """Everything that a step may use. `options` are rendered and validated by the executor's model.

    `secrets` are the environment's secret parameters; only kinds that take secrets get them. `host_volumes` are those
    that the template declares: jobs get no others. `host_network`: jobs may use their node's network.
    `promotes`: somebody asked for what waits to be promoted. `inputs` is a hash of the rendered options.
    `starts`: the environment is started after a stop. `stopped`: it is stopped, which is how a plan has to find it.

    `finished` are the environment's resources (kind, address) with the marks that were recorded when they last ran to
    their end (`StepRun.finished`); None: made by a version that recorded none. For those `before` is the template of
    the deployment that last did the step, if that had equal options. `run_again` isn't empty if a person has requested
    that the step's work runs again; it stays the same until that is done.
    """

    owner: Owner
    step: str
    options: Any
    bundle: Bundle
    parameters: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    host_volumes: frozenset[str] = frozenset()
    host_network: bool = False
    promotes: bool = False
    starts: bool = False
    stopped: bool = False
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
    - `stops`: a stop of the environment ends what a step runs, by the method `stop` of its resource's handler. `apply`
      with a context that `starts` runs it again as it ran before. A start leaves steps of other kinds alone, unless
      their inputs have changed.
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
        """Faults of a template that can be found before anything is rendered or run; usually none.

        `options` are the raw ones, with expressions. See `environments.service.inspecting.StepKind`.
        """
        ...

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """Everything that `apply` may make, as far as known beforehand, in the order of creation. No effects."""
        ...

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Makes or repairs the resources and returns the outputs (JSON values; secrets only as `SecretReference`s).

        Idempotent. Raises `CalvinverseError`; `ForeignResource` if a resource of that name isn't the environment's.
        """
        ...

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """The changes that `apply` would make now; none if it would change nothing.

        Reads only. Includes what it would remove of the step's own (keys that it no longer writes). Raises
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
    """Observes and removes resources of one kind.

    A handler with the attribute `inner = True` is for resources inside another resource of their step, which executors
    record while they run: `Executor.resources` doesn't name them, which doesn't make them obsolete.

    A handler with a method `time_needed(address) -> timedelta` gets at least that long to remove a resource.

    A handler with a method `stop(address, owner, run)` is for resources that run: it ends what runs, waits until that
    has ended, and keeps everything that a start needs. Idempotent; does nothing if the resource is absent or foreign.

    A handler with a method `runs(address) -> bool` is for hosts of other resources. What is inside a host that doesn't
    run can't be reached: a destroy of both leaves it to the removal of the host.

    A handler with `place = True` is for places to which the rights of an environment's jobs apply. As long as anything
    is there, even with another environment's mark, an environment that held the place isn't destroyed.
    """

    kind: ClassVar[str]

    def observe(self, address: str, owner: Owner) -> Observation:
        """An independent observation, without effects. Raises `BackendUnavailable`."""
        ...

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes it and waits until it is gone; does nothing if it is absent or foreign.

        Idempotent. Raises `CalvinverseError` if it can't be removed.
        """
        ...


@dataclass(frozen=True)
class Issued:
    """An issued token: the accessor, by which it is found and revoked, and the token itself."""

    accessor: str
    secret: str = field(repr=False)


class DriftDetector(Protocol):
    """Finds resources in an environment's namespace or prefixes that none of its steps made."""

    part: ClassVar[str]
    """The backend that it asks, for people: `Nomad`, `Consul`, `OpenBao`."""

    def unexpected(self, owner: Owner, known: frozenset[ResourceRef], steps: frozenset[str]) -> Sequence[Unexpected]:
        """Resources that are neither in `known` (the inventory) nor made by `steps` (names); reads only.

        Raises `BackendUnavailable`.
        """
        ...


class IncidentSource(Protocol):
    """Lists what others did to an environment, including what is over."""

    part: ClassVar[str]
    """The backend that it asks, for people."""

    def incidents(self, known: frozenset[ResourceRef]) -> Sequence[Incident]:
        """Incidents of resources of the inventory; reads only. Raises `BackendUnavailable`."""
        ...


Clock = Callable[[], datetime]
"""Returns the present moment in UTC."""
