"""A real service that knows a step kind more, which needs no cluster: for programs that run `calvinverse serve`."""

from dataclasses import replace
from functools import partial
from typing import Any

from environments.bootstrap import parts, service
from environments.checking.pool import CheckPool
from environments.steps.base import Executor, ResourceHandler


def add_kind(executor: Executor, handler: ResourceHandler, checked_as: str) -> None:
    """Lets the service know the kind; its own registry stays as it is otherwise.

    `checked_as`: where the processes that check templates find all step kinds, as `module:attribute`.
    """
    real = parts.make_registry

    def make_registry(*arguments: Any, **named: Any) -> Any:
        tools, vault = real(*arguments, **named)
        executors = {**tools.executors, executor.kind: executor}
        return replace(tools, executors=executors, handlers={**tools.handlers, handler.kind: handler}), vault

    parts.make_registry = make_registry
    service.CheckPool = partial(CheckPool, checked_as)  # type: ignore[attr-defined, assignment]
