"""The catalogue of templates: pushed as bundles, checked by the executors that will run them, stored by digest."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pydantic_core import to_json

from environments.domain.errors import TemplateInUse, UnknownTemplate
from environments.domain.faults import Fault
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.domain.template import Bundle, invalid_template
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.calendar_faults import unknown_calendars
from environments.service.checking import Checks, Judge, unjudged
from environments.service.images import references
from environments.service.inspecting import in_order
from environments.service.pages import Page, ended_in_time
from environments.service.records import CataloguedTemplate, TemplateDeletion, TemplateSource, TemplateVersion
from environments.service.storage.templates import CreateTimes, DeletedTemplate, PushedTemplate
from environments.service.storage.transaction import Storage, Transaction

FEWEST_TOLD = 5
"""Creates of a template of which a time is told."""

_LINE = 500
"""Bytes of a version in a list, about."""

_MOST_NAMED = 10
"""Environments that a refusal names; the others are counted."""


class Catalogue:
    """Checks, stores and lists templates."""

    def __init__(
        self, storage: Storage, checks: Checks, clock: Callable[[], datetime], judge: Judge = unjudged
    ) -> None:
        """`judge` validates what passes `checks`."""
        self._storage = storage
        self._checks = checks
        self._clock = clock
        self._judge = judge

    def validate(self, principal: Principal, bundle: Bundle) -> list[Fault]:
        """Every fault that can be found without running anything. A template with only warnings is valid.

        Nomad checks jobs too if it is connected. Raises `Forbidden` unless the principal may push: checks are costly.
        """
        check_service(principal, Action.TEMPLATE_VALIDATE)
        with self._storage.read() as tx:
            images = references(tx)
            unknown = unknown_calendars(tx, bundle)
        found = [*self._checks.template(principal.owner, bundle, images.keys()), *unknown]
        judged = self._judge(bundle, found, images)
        return in_order([*found, *judged]) if judged else found

    def push(self, principal: Principal, bundle: Bundle, source: TemplateSource | None = None) -> CataloguedTemplate:
        """Stores a template and makes it the newest of its name. Raises `Forbidden`, `InvalidTemplate`.

        `source` is stored with it. Pushing the same content from the same commit changes nothing.
        """
        check_service(principal, Action.TEMPLATE_PUSH)
        return self._push(principal, bundle, source, self._judge)

    def _push(
        self, principal: Principal, bundle: Bundle, source: TemplateSource | None, judge: Judge
    ) -> CataloguedTemplate:
        found = self._checks.template(principal.owner, bundle)
        with self._storage.read() as tx:
            images = references(tx)
            found = [*found, *unknown_calendars(tx, bundle)]
        faults = [fault for fault in in_order([*found, *judge(bundle, found, images)]) if not fault.warning]
        if faults:
            raise invalid_template(faults)
        template = bundle.template()
        with self._storage.write() as tx:
            may(tx, principal, Action.TEMPLATE_PUSH)
            newest = tx.templates.find(template.name, None)
            kept = None if source is None else source._asdict()
            if newest is None or newest.digest != bundle.digest or (kept is not None and newest.source != kept):
                tx.templates.push(template.name, bundle, principal.owner, self._clock(), kept)
            tx.audit.changed(
                before=newest and {"digest": newest.digest},
                after={"digest": bundle.digest, "version": template.version, "source": kept},
                object_kind="template",
                object_name=template.name,
                template=template.name,
            )
        return self.template(template.name)

    def push_shipped(self, principal: Principal, bundle: Bundle) -> None:
        """Pushes a template that ships with the program, unless it is the newest, or somebody has deleted this version.

        Different content, such as that of a newer program, is another version. Raises what `push` raises.
        """
        name, digest = bundle.template().name, bundle.digest
        with self._storage.read() as tx:
            newest = tx.templates.find(name, None)
            unwanted = tx.templates.find(name, digest) is None and tx.templates.deleted(name, digest)
        if not unwanted and (newest is None or newest.digest != digest):
            # The service starts before the cluster, so Nomad is not asked here.
            self._push(principal, bundle, None, unjudged)

    def delete(self, principal: Principal, name: str, digest: str | None = None) -> TemplateDeletion:
        """Deletes a template from the catalogue: every version, or the one with that digest.

        The content stays stored as long as a deployment of an environment refers to it, so that the environment can be
        destroyed. Raises `Forbidden`, `UnknownTemplate` (also when it was deleted before), and `TemplateInUse` while an
        environment created from it (from that version) isn't destroyed.
        """
        with self._storage.write() as tx:
            may(tx, principal, Action.TEMPLATE_DELETE)
            tx.templates.hold(name)
            if tx.templates.find(name, digest) is None:
                raise unknown_template(tx, name, digest)
            _check_unused(name, *tx.environments.made_from(name, digest, sight=principal.sight), digest)
            now = self._clock()
            gone = tx.templates.delete(name, digest, principal.owner, now)
            tx.audit.changed(before={"digests": list(gone)}, object_kind="template", object_name=name, template=name)
        return TemplateDeletion(name, tuple(gone), now, principal.owner)

    def templates(self, *, after: str = "", limit: int | None = None) -> Page[CataloguedTemplate]:
        """The newest template of each name, sorted by name: at most `limit`, with names greater than `after`."""
        with self._storage.read() as tx:
            pushes = tx.templates.newest(after=after, limit=limit)
            found = (_catalogued(push, _content(tx.templates.bundle(push.digest), push.name)) for push in pushes)
            return Page(found) if limit is None else ended_in_time(found, _shown_size, more=pushes.more)

    def template(self, name: str, digest: str | None = None) -> CataloguedTemplate:
        """The newest of that name, or the one with that digest. Raises `UnknownTemplate`."""
        push, bundle = self._find(name, digest)
        return _catalogued(push, bundle)

    def versions(
        self, principal: Principal, name: str, *, deleted: bool = False, limit: int | None = None, skip: int = 0
    ) -> Page[TemplateVersion]:
        """Every push of that name, newest first; at most `limit`, without the first `skip`. Raises `UnknownTemplate`.

        `deleted`: the versions that were deleted and not pushed again, last deleted first, in place of those.
        """
        with self._storage.read() as tx:
            if tx.templates.find(name, None) is None:
                raise unknown_template(tx, name, None)
            read = _Versions(tx)
            if deleted:
                gone = [one for one in tx.templates.deleted(name, None) if tx.templates.find(name, one.digest) is None]
                found = (read.deleted(one) for one in gone[skip : None if limit is None else skip + limit])
                return read.page(found)
            pushes = tx.templates.pushes(name, limit=limit, skip=skip)
            made = tx.environments.at_versions(name, sight=principal.sight)
            return read.page((read.pushed(one, made.get(one.digest, 0)) for one in pushes), more=pushes.more)

    def times(self, names: Iterable[str]) -> dict[str, CreateTimes]:
        """How long making an environment of each template took lately; without those of which few were made.

        Of everybody's environments: few of them, or exact times, would tell of a single one of somebody else.
        """
        with self._storage.read() as tx:
            found = ((name, tx.templates.create_times(name)) for name in names)
            return {name: _told(times) for name, times in found if times is not None and times.made >= FEWEST_TOLD}

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        """The content of a template. Raises `UnknownTemplate`."""
        return self._find(name, digest)[1]

    def _find(self, name: str, digest: str | None) -> tuple[PushedTemplate, Bundle]:
        with self._storage.read() as tx:
            push = tx.templates.find(name, digest)
            if push is None:
                raise unknown_template(tx, name, digest)
            return push, _content(tx.templates.bundle(push.digest), name)


def _told(times: CreateTimes) -> CreateTimes:
    """Rounded to two digits."""
    return times._replace(median=float(f"{times.median:.2g}"), nine_tenths=float(f"{times.nine_tenths:.2g}"))


class _Versions:
    """Reads what each version calls itself, out of its content, each content once; a page ends when that is much."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[str, str] = {}
        self._read = 0

    def page(self, found: Iterable[TemplateVersion], *, more: bool = False) -> Page[TemplateVersion]:
        return ended_in_time(found, self._size, more=more)

    def pushed(self, push: PushedTemplate, environments: int) -> TemplateVersion:
        version = self._version(push.digest)
        return TemplateVersion(push.digest, version, environments, push.pushed_at, push.pushed_by, push.source)

    def deleted(self, gone: DeletedTemplate) -> TemplateVersion:
        version = self._version(gone.digest)
        return TemplateVersion(gone.digest, version, deleted_at=gone.deleted_at, deleted_by=gone.deleted_by)

    def _version(self, digest: str) -> str:
        if digest not in self._known:
            bundle = self._tx.templates.bundle(digest)
            self._known[digest] = "" if bundle is None else bundle.template().version
            self._read += 0 if bundle is None else sum(map(len, bundle.files.values()))
        return self._known[digest]

    def _size(self, _: TemplateVersion) -> int:
        """Bytes that were read for it, and about as many as its line has."""
        size, self._read = self._read + _LINE, 0
        return size


def unknown_template(tx: Transaction, name: str, digest: str | None) -> UnknownTemplate:
    """The error for a template or a version that doesn't exist, with similar names."""
    if digest is not None and tx.templates.find(name, None) is not None:
        return UnknownTemplate(
            f"There is no template {name!r} with digest {digest}.",
            hint=f"`calvinverse template show {name}` has the digest of the newest version.",
        )
    known = [push.name for push in tx.templates.newest(limit=MOST_SUGGESTED_FROM)]
    version = f" with digest {digest}" if digest else ""
    return UnknownTemplate(told(f"There is no template {name!r}{version}.", name, known))


def _check_unused(name: str, seen: Sequence[str], count: int, digest: str | None) -> None:
    """`seen`: the users that may be named; `count`: how many there are."""
    if not count:
        return
    named = [repr(environment) for environment in seen[:_MOST_NAMED]]
    rest = count - len(named)
    others = f"{rest} {'other ' if named else ''}environment{'' if rest == 1 else 's'}" if rest else ""
    who = " and ".join(filter(None, (", ".join(named), others)))
    which = "This version of the template" if digest else "The template"
    raise TemplateInUse(f"{which} {name!r} is in use by {who}.", details={"environments": seen, "count": count})


def _content(bundle: Bundle | None, name: str) -> Bundle:
    if bundle is None:
        raise UnknownTemplate(f"The content of template {name!r} is no longer stored.", hint="Push the template again.")
    return bundle


def _catalogued(push: PushedTemplate, bundle: Bundle) -> CataloguedTemplate:
    return CataloguedTemplate(push, bundle.template())


def _shown_size(found: CataloguedTemplate) -> int:
    """The approximate size in bytes of a template in the API: schema, steps without options, outputs."""
    template = found.template
    shown = (
        template.description,
        template.parameters_schema(),
        [(step.name, step.uses, step.needs) for step in template.steps],
        [(name, output.description) for name, output in template.outputs.items()],
        template.host_volumes,
        template.network,
    )
    return len(to_json(shown))
