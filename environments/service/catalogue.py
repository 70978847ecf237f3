"""The catalogue of templates: pushed as bundles, checked with the executors that will run them, kept by digest."""

from collections.abc import Callable
from datetime import datetime

from environments.domain.errors import InvalidTemplate, UnknownTemplate
from environments.domain.template import Bundle
from environments.domain.views import TemplateSource, TemplateStepView, TemplateView
from environments.service.authorization import Action, Principal, may
from environments.service.checking import Checks
from environments.service.pages import Page, ended_in_time, shown_size
from environments.service.storage import PushedTemplate, Storage


class Catalogue:
    """Takes, checks and gives templates."""

    def __init__(self, storage: Storage, checks: Checks, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._checks = checks
        self._clock = clock

    def validate(self, principal: Principal, bundle: Bundle) -> list[str]:
        """Every fault that can be found without running anything, in words; none: it is valid.

        Raises `Forbidden`: who may not push has no use for it, and looking may be costly.
        """
        may(principal, Action.TEMPLATE_VALIDATE)
        return self._checks.template(principal.owner, bundle)

    def push(self, principal: Principal, bundle: Bundle, source: TemplateSource | None = None) -> TemplateView:
        """Keeps a template and makes it the newest of its name. Raises `Forbidden`, `InvalidTemplate`.

        `source` is kept with it; the same content from the same commit changes nothing.
        """
        may(principal, Action.TEMPLATE_PUSH)
        problems = self._checks.template(principal.owner, bundle)
        if problems:
            raise InvalidTemplate(f"The template is not valid: {'; '.join(problems)}.", details={"problems": problems})
        template = bundle.template()
        with self._storage.write() as tx:
            newest = tx.templates.find(template.name, None)
            kept = None if source is None else source.model_dump()
            if newest is None or newest.digest != bundle.digest or (kept is not None and newest.source != kept):
                tx.templates.push(template.name, bundle, principal.owner, self._clock(), kept)
        return self.template(template.name)

    def templates(self, *, after: str = "", limit: int | None = None) -> Page[TemplateView]:
        """The newest of each name, by name; at most `limit`, those whose names come behind `after`."""
        with self._storage.read() as tx:
            pushes = tx.templates.newest(after=after, limit=limit)
            views = (_view(push, _content(tx.templates.bundle(push.digest), push.name)) for push in pushes)
            return Page(views) if limit is None else ended_in_time(views, shown_size, more=pushes.more)

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
