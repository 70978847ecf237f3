"""The names that the expressions of a template can use, from what its step kinds declare about their outputs."""

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from environments.domain.dependencies import ancestors
from environments.domain.template import Bundle
from environments.domain.template_parts import Step, Template
from environments.service.shapes import ANYTHING, TEXT, Gone, Shape, of_schema, table


class Scopes:
    """The names of a template. `kinds`: the step kinds, some of which declare their outputs. `images`: the published
    images; None if unknown."""

    def __init__(
        self, template: Template, bundle: Bundle, kinds: Mapping[str, Any], images: Collection[str] | None = None
    ) -> None:
        self._images = images
        self._template = template
        self._bundle = bundle
        self._kinds = kinds
        self._needs = template.dependencies()

    def of_step(self, step: Step) -> Shape:
        """The names for the options of a step; of other steps, it has those that the step needs, directly or not."""
        needed = ancestors({**self._needs, step.name: step.needs}, step.name)
        seen: dict[str, Shape] = {}
        for name, shape in self._given.items():
            if name == step.name:
                seen[name] = Gone(why="is an output of this step itself")
            elif name not in needed:
                why = f"is not there yet: step {step.name!r} does not need {name!r}"
                seen[name] = Gone(why=why, suggestion=f'add "{name}" to its needs')
            else:
                seen[name] = shape
        return self._whole(seen)

    def of_outputs(self) -> Shape:
        """The names for outputs, which can use all steps."""
        return self._whole(self._given)

    def _whole(self, steps: Mapping[str, Shape]) -> Shape:
        return table(
            {
                "parameters": table(self._parameters),
                "environment": table({"id": TEXT, "name": TEXT, "owner": TEXT}),
                "steps": table(steps),
                "images": Shape(names=dict.fromkeys(self._images or (), TEXT), open=self._images is None, passing=True),
            }
        )

    @cached_property
    def _parameters(self) -> dict[str, Shape]:
        secret = self._template.secret_parameters()
        hidden = Gone(
            why="is a secret parameter, which expressions can't use",
            suggestion="give it to a vault.secret step by from_parameters",
        )
        return {
            name: hidden if name in secret else of_schema(schema) for name, schema in self._template.parameters.items()
        }

    @cached_property
    def _given(self) -> dict[str, Shape]:
        return {step.name: self._gives(step) for step in self._template.steps}

    def _gives(self, step: Step) -> Shape:
        gives: Callable[[Mapping[str, Any], Bundle], Shape] | None
        gives = getattr(self._kinds.get(step.uses), "gives", None)
        return ANYTHING if gives is None else gives(step.options, self._bundle)
