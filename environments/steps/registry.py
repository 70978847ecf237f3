"""The registry of step kinds and everything that belongs to them, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from environments.domain.template import Bundle
from environments.domain.template_parts import Step
from environments.service.inspecting import StepKind
from environments.service.rendering import Evaluate, evaluate
from environments.steps.base import DriftDetector, Executor, IncidentSource, Intended, Owner, ResourceHandler, StepRun


@dataclass(frozen=True)
class StepRegistry:
    """Every executor and handler of a service, by kind, the drift detectors, and the sources of incidents.

    `hosted_by` has, for a kind of resource, the resource (kind, address) inside of which such resources are if the same
    environment made that: when the host is gone, so are they, and no backend is left to ask. `reach` returns what
    the jobs of an environment that holds those resources can read, write and leave behind, whatever its steps are.
    `expressions` evaluates expressions of templates that could cost more than their size.
    """

    executors: Mapping[str, Executor]
    handlers: Mapping[str, ResourceHandler]
    hosted_by: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    drift_detectors: Sequence[DriftDetector] = ()
    incident_sources: Sequence[IncidentSource] = ()
    reach: Callable[[Owner], Sequence[Intended]] = lambda owner: ()
    expressions: Evaluate = evaluate

    def only_checks(self, uses: str) -> bool:
        """Whether steps of this kind make nothing and always run."""
        return self._declares(uses, "only_checks")

    def takes_secrets(self, uses: str) -> bool:
        """Whether steps of this kind get the secret parameters that came with a request."""
        return self._declares(uses, "takes_secrets")

    def promotes(self, uses: str) -> bool:
        """Whether steps of this kind may leave a new version waiting for promotion."""
        return self._declares(uses, "promotes")

    def stops(self, uses: str) -> bool:
        """Whether a stop of an environment ends what steps of this kind run."""
        return self._declares(uses, "stops")

    def stop_of(self, kind: str) -> Callable[[str, Owner, StepRun], None] | None:
        """What stops resources of this kind, by address; None for resources that don't run."""
        return getattr(self.handlers.get(kind), "stop", None)

    def _declares(self, uses: str, name: str) -> bool:
        return bool(getattr(self.executors.get(uses), name, False))


class KnownStepKind(StepKind, Protocol):
    """The class of an executor: the kind's name, and the rules that can be checked without an executor."""

    @property
    def kind(self) -> str:
        """The name of the kind."""
        ...


@dataclass(frozen=True)
class Provided:
    """What one provider gives to the registry; see `StepRegistry`."""

    executors: Sequence[Executor] = ()
    handlers: Sequence[ResourceHandler] = ()
    drift_detectors: Sequence[DriftDetector] = ()
    incident_sources: Sequence[IncidentSource] = ()
    hosted_by: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reach: Callable[[Owner], Sequence[Intended]] = lambda owner: ()


def registry_of(provided: Sequence[Provided]) -> StepRegistry:
    """The registry of all that the providers give; two parts of the same kind are a programming error."""

    def reach(owner: Owner) -> list[Intended]:
        return [found for each in provided for found in each.reach(owner)]

    return step_registry(
        [executor for each in provided for executor in each.executors],
        [handler for each in provided for handler in each.handlers],
        {kind: host for each in provided for kind, host in each.hosted_by.items()},
        [detector for each in provided for detector in each.drift_detectors],
        [source for each in provided for source in each.incident_sources],
        reach,
    )


def step_registry(
    executors: Sequence[Executor],
    handlers: Sequence[ResourceHandler],
    hosted_by: Mapping[str, tuple[str, str]] | None = None,
    drift_detectors: Sequence[DriftDetector] = (),
    incident_sources: Sequence[IncidentSource] = (),
    reach: Callable[[Owner], Sequence[Intended]] = lambda owner: (),
) -> StepRegistry:
    """A registry; two parts of the same kind are a programming error."""
    by_kind = {executor.kind: executor for executor in executors}
    by_resource = {handler.kind: handler for handler in handlers}
    assert len(by_kind) == len(executors)
    assert len(by_resource) == len(handlers)
    return StepRegistry(by_kind, by_resource, hosted_by or {}, drift_detectors, incident_sources, reach)


def why_not_again(executors: Mapping[str, Executor], step: Step, bundle: Bundle) -> str:
    """Why a step can't be run again on request; empty if it can, or if only its deployment will tell."""
    ask: Callable[[Mapping[str, Any], Bundle], str] | None = getattr(executors.get(step.uses), "why_not_again", None)
    return f"{step.uses} only does what isn't as it should be" if ask is None else ask(step.options, bundle)
