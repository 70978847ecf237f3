"""In place of the pages of a version of a template that was deleted: who deleted it, and the way to the newest one."""

from collections.abc import Callable
from functools import wraps

from starlette.responses import Response

from environments.domain.errors import UnknownTemplate
from environments.ui.listing import Button, Code, Facts, Link, told
from environments.ui.visit import Visit
from environments.wire.templates import TemplateVersionView
from environments.words import one_line

_MOST = 200
"""Deleted versions, the last ones, among which one is looked for."""


def told_if_deleted(make: Callable[[Visit], Response]) -> Callable[[Visit], Response]:
    """A page that says so where the version that its address names was deleted."""

    @wraps(make)
    def made(visit: Visit) -> Response:
        try:
            return make(visit)
        except UnknownTemplate:
            gone = _deleted(visit)
            if gone is None:
                raise
            return _page(visit, gone)

    return made


def _deleted(visit: Visit) -> TemplateVersionView | None:
    """Raises `UnknownTemplate` where the template has no version any more."""
    digests = {visit.asked("digest"), visit.asked("from")} - {""}
    if not digests:
        return None
    found, _ = visit.client.template_versions(visit.params["name"], deleted=True, limit=_MOST)
    return next((one for one in found if one.digest in digests), None)


def _page(visit: Visit, gone: TemplateVersionView) -> Response:
    name = visit.params["name"]
    path = visit.link(f"/templates/{name}")
    lines = [("Content", Code(gone.digest)), ("Deleted", gone.deleted_at), ("By", gone.deleted_by)]
    return told(
        visit,
        f"{name} {one_line(gone.version or gone.digest[:19])} was deleted",
        [Facts(lines)],
        intro="This version isn't in the catalogue any more. New environments are made from the newest one.",
        up=Link(name, path),
        buttons=[Button("Show the newest version", path)],
        status=404,
    )
