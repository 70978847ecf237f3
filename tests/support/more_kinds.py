"""A real service that knows a step kind more, which needs no cluster: for programs that run `calvinverse serve`."""

from dataclasses import replace
from functools import partial

from environments.bootstrap import parts as bootstrap_parts
from environments.bootstrap import service
from environments.checking.pool import CheckPool
from environments.providers.parts import Parts
from environments.steps.base import Executor, ResourceHandler
from environments.steps.registry import StepRegistry


def add_kind(executor: Executor, handler: ResourceHandler, checked_as: str) -> None:
    """Lets the service know the kind; its own registry stays as it is otherwise.

    `checked_as`: where the processes that check templates find all step kinds, as `module:attribute`.
    """
    real = bootstrap_parts.make_registry

    def make_registry(parts: Parts) -> StepRegistry:
        registry = real(parts)
        executors = {**registry.executors, executor.kind: executor}
        return replace(registry, executors=executors, handlers={**registry.handlers, handler.kind: handler})

    bootstrap_parts.make_registry = make_registry
    service.CheckPool = partial(CheckPool, checked_as)  # type: ignore[attr-defined, assignment]
