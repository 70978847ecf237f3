"""Prepares the context of each step of an environment: renders its options and validates them with its executor."""

import hashlib
import json
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from environments.domain.dependencies import ancestors
from environments.domain.environment import Environment
from environments.domain.errors import ImageNotPublished, InvalidTemplate
from environments.domain.template import Bundle
from environments.domain.template_parts import Step, Template
from environments.engine.history import NO_HISTORY, History
from environments.service.rendering import refuse_references, render, scope
from environments.service.secret_outputs import checked_output
from environments.steps.base import AWAITING_PROMOTION, Executor, Owner, StepContext
from environments.steps.registry import StepRegistry

_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)

Outputs = Mapping[str, Mapping[str, Any]]


class Prepared(NamedTuple):
    """A step that can be planned or applied. `inputs` is a hash of the rendered options."""

    executor: Executor
    context: StepContext
    inputs: str


class Contexts:
    """Contexts for the steps of one environment, from its record, its template and the published images."""

    def __init__(
        self,
        registry: StepRegistry,
        environment: Environment,
        bundle: Bundle,
        images: Mapping[str, str],
        secrets: Mapping[str, Any],
        history: History = NO_HISTORY,
        run_again: Mapping[str, str] | None = None,
        *,
        promotes: bool = False,
        starts: bool = False,
        stopped: bool = False,
    ) -> None:
        """`run_again`: steps that a person has requested to run again; see `StepContext`, also for the other ones.

        `promotes`: the steps are to promote what awaits promotion.
        """
        self.template: Template = bundle.template()
        self.owner = Owner(environment.id, environment.name, history.held)
        self._guard = threading.Lock()
        self._registry = registry
        self._environment = environment
        self._bundle = bundle
        self._images = images
        self._secrets = secrets
        self._promotes = promotes
        self._starts = starts
        self._stopped = stopped
        self._history = history
        self._run_again = run_again or {}
        self._needs = self.template.dependencies()

    def hold(self, refs: Iterable[tuple[str, str]]) -> None:
        """Adds resources (kind, address) to those that the environment holds, for later contexts."""
        with self._guard:
            self.owner = replace(self.owner, held=self.owner.held.union(refs))

    def needed(self, step: str) -> set[str]:
        """The steps that a step needs, directly or not: only their outputs are certain to exist."""
        return ancestors(self._needs, step)

    def runs_again(self, step: str) -> bool:
        """Whether a person has requested that the step's work runs again."""
        return step in self._run_again

    def executor(self, uses: str) -> Executor:
        """The executor of a kind. Raises `InvalidTemplate`."""
        executor = self._registry.executors.get(uses)
        if executor is None:
            raise InvalidTemplate(f"This version of Calvinverse has no step kind {uses!r}.")
        return executor

    def prepare(self, step: Step, outputs: Outputs) -> Prepared:
        """The step with its rendered options. Raises `InvalidTemplate`, `ImageNotPublished`."""
        executor = self.executor(step.uses)
        where, names = f"step {step.name!r}", self._names(outputs, self.needed(step.name))
        options = refuse_references(render(step.options, names, where, self._registry.expressions), where)
        try:
            read = executor.options.model_validate(options)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            )
            raise InvalidTemplate(f"The options of step {step.name!r} don't fit: {faults}.") from error
        text = json.dumps([step.uses, options], sort_keys=True, default=str)
        inputs = hashlib.sha256(text.encode()).hexdigest()
        inputs_before, before = self._history.before.get(step.name, ("", None))
        context = StepContext(
            owner=self.owner,
            step=step.name,
            options=read,
            bundle=self._bundle,
            parameters=self._environment.parameters,
            secrets=self._secrets if self.brings_secrets(step) else {},
            host_volumes=frozenset(self.template.host_volumes),
            host_network=self._environment.network_by(self._bundle.digest, self.template.network) == "host",
            promotes=self._promotes,
            starts=self._starts,
            stopped=self._stopped,
            inputs=inputs,
            finished=self._history.finished,
            before=before if inputs_before == inputs else None,
            run_again=self._run_again.get(step.name, ""),
        )
        return Prepared(executor, context, inputs)

    def brings_secrets(self, step: Step) -> bool:
        """Whether the step gets secret parameters that came with the request."""
        return self._registry.takes_secrets(step.uses) and bool(self._secrets)

    def awaiting_promotion(self, outputs: Outputs) -> tuple[str, ...]:
        """Steps whose new version awaits promotion, in the order of the template."""
        return tuple(
            step.name
            for step in self.template.steps
            if self._registry.promotes(step.uses) and outputs.get(step.name, {}).get(AWAITING_PROMOTION)
        )

    def outputs(self, outputs: Outputs, *, whole: bool) -> dict[str, Any]:
        """The environment's outputs as they are stored. Raises `InvalidTemplate`, `ImageNotPublished`.

        Unless all steps are done (`whole`), outputs that depend on missing steps are left out. A text with a null in
        it, such as the address of a service without instances, is null as a whole.
        """
        names = self._names(outputs, set(outputs))
        found = {}
        for name, output in self.template.outputs.items():
            try:
                value = render(output.value, names, f"output {name!r}", self._registry.expressions)
            except InvalidTemplate:
                if whole:
                    raise
                continue
            if isinstance(value, str) and "None" in value and self._has_null(output.value, names):
                value = None
            value = checked_output(value, output, self._environment, f"output {name!r}")
            found[name] = {"value": value, "description": output.description, "secret": output.secret}
        return found

    def _has_null(self, text: Any, names: Mapping[str, Any]) -> bool:
        """Whether one of the expressions in a text gives null, which would be written as `None`."""
        for expression in _EXPRESSION.findall(text) if isinstance(text, str) else ():
            with suppress(InvalidTemplate, ImageNotPublished):
                if render(expression, names, "output", self._registry.expressions) is None:
                    return True
        return False

    def _names(self, outputs: Outputs, steps: set[str]) -> dict[str, Any]:
        known = {name: outputs[name] for name in steps if name in outputs}
        return scope(self._environment, self._environment.parameters, known, self._images)
