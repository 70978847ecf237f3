"""The catalogue of templates: pushed as bundles, checked with the executors that will run them, kept by digest."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from environments.domain.errors import InvalidTemplate, UnknownTemplate
from environments.domain.names import META
from environments.domain.template import Bundle, Template
from environments.domain.views import TemplateSource, TemplateStepView, TemplateView
from environments.service.authorization import Action, Principal, may
from environments.service.calendar import fault as calendar_fault
from environments.service.parameters import schema_faults
from environments.service.rendering import fault
from environments.service.secret_outputs import option_faults, output_faults
from environments.service.storage import PushedTemplate, Storage

_ONLY_META = frozenset({"agent.local", "cluster.trust"})
"""Step kinds that act on the service's own machine and on the cluster as a whole."""


class StepKind(Protocol):
    """What the catalogue needs of an executor."""

    def check(self, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        """Faults in a step's options that can be seen before it runs."""
        ...


class Catalogue:
    """Takes, checks and gives templates."""

    def __init__(self, storage: Storage, kinds: Mapping[str, StepKind], clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._kinds = kinds
        self._clock = clock

    def validate(self, bundle: Bundle) -> list[str]:
        """Every fault that can be found without running anything, in words; none: it is valid."""
        try:
            template = bundle.template()
        except InvalidTemplate as error:
            problems = error.details.get("problems")
            return list(problems) if problems else [error.message]
        calendar = calendar_fault(template.drift)
        return [
            *schema_faults(template),
            *([calendar] if calendar else []),
            *self._step_faults(template, bundle),
            *_output_faults(template),
            *output_faults(template),
        ]

    def push(self, principal: Principal, bundle: Bundle, source: TemplateSource | None = None) -> TemplateView:
        """Keeps a template and makes it the newest of its name. Raises `Forbidden`, `InvalidTemplate`.

        `source` is kept with it; the same content from the same commit changes nothing.
        """
        may(principal, Action.TEMPLATE_PUSH)
        problems = self.validate(bundle)
        if problems:
            raise InvalidTemplate(f"The template is not valid: {'; '.join(problems)}.", details={"problems": problems})
        template = bundle.template()
        with self._storage.write() as tx:
            newest = tx.templates.find(template.name, None)
            kept = None if source is None else source.model_dump()
            if newest is None or newest.digest != bundle.digest or (kept is not None and newest.source != kept):
                tx.templates.push(template.name, bundle, principal.owner, self._clock(), kept)
        return self.template(template.name)

    def templates(self, *, after: str = "", limit: int | None = None) -> list[TemplateView]:
        """The newest of each name, by name; at most `limit`, those whose names come behind `after`."""
        with self._storage.read() as tx:
            pushes = tx.templates.newest(after=after, limit=limit)
            return [_view(push, _content(tx.templates.bundle(push.digest), push.name)) for push in pushes]

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        """The newest of that name, or the one with that digest. Raises `UnknownTemplate`."""
        push, bundle = self._find(name, digest)
        return _view(push, bundle)

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        """The content of a template. Raises `UnknownTemplate`."""
        return self._find(name, digest)[1]

    def _find(self, name: str, digest: str | None) -> tuple[PushedTemplate, Bundle]:
        with self._storage.read() as tx:
            push = tx.templates.find(name, digest)
            if push is None:
                version = f" with digest {digest}" if digest else ""
                raise UnknownTemplate(f"There is no template {name!r}{version}.")
            return push, _content(tx.templates.bundle(push.digest), name)

    def _step_faults(self, template: Template, bundle: Bundle) -> Iterator[str]:
        for step in template.steps:
            kind = self._kinds.get(step.uses)
            if kind is None:
                yield f"step {step.name!r} uses {step.uses!r}, which is no step kind ({', '.join(sorted(self._kinds))})"
                continue
            if step.uses in _ONLY_META and template.name != META:
                yield f"step {step.name!r} uses {step.uses!r}, which only the template {META!r} may"
            yield from (f"step {step.name!r}: {problem}" for problem in kind.check(step.options, bundle))
            yield from (f"step {step.name!r}: {problem}" for problem in _expression_faults(step.options))
            yield from (f"step {step.name!r}: {problem}" for problem in option_faults(template, step.options))


def _expression_faults(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        found = fault(value)
        if found:
            yield f"in {value!r}: {found}"
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _expression_faults(part)
    elif isinstance(value, list):
        for part in value:
            yield from _expression_faults(part)


def _output_faults(template: Template) -> Iterator[str]:
    for name, output in template.outputs.items():
        found = fault(output.value)
        if found:
            yield f"output {name!r}: {found}"


def _content(bundle: Bundle | None, name: str) -> Bundle:
    if bundle is None:
        raise UnknownTemplate(f"The content of template {name!r} is gone.", hint="Push the template again.")
    return bundle


def _view(push: PushedTemplate, bundle: Bundle) -> TemplateView:
    template = bundle.template()
    default, maximum = template.lifetime.default, template.lifetime.maximum
    return TemplateView(
        name=template.name,
        version=template.version,
        description=template.description,
        digest=push.digest,
        pushed_at=push.pushed_at,
        pushed_by=push.pushed_by,
        default_lifetime=default.total_seconds() if default else None,
        maximum_lifetime=maximum.total_seconds() if maximum else None,
        parameters_schema=template.parameters_schema(),
        steps=tuple(TemplateStepView(name=step.name, uses=step.uses, needs=step.needs) for step in template.steps),
        outputs={name: output.description for name, output in template.outputs.items()},
        host_volumes=template.host_volumes,
        source=None if push.source is None else TemplateSource.model_validate(push.source),
    )
