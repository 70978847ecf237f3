"""Answers of pages: HTML from templates with the headers that all pages have, parts of pages, and redirects."""

from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import Response

from environments import moments, words
from environments.domain.lifecycle import State
from environments.pages.answers import page_headers
from environments.pages.requests import own_path
from environments.ui.paths import part
from environments.ui.visit import Visit

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'"
)
"""What pages may load: files of ours only, nothing inline."""

_HTML = "text/html; charset=utf-8"


def page(visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
    """The page of a template. Templates have `visit` and what is given."""
    return Response(html(visit, template, **values), status, page_headers(POLICY), _HTML)


def fragment(visit: Visit, template: str, **values: Any) -> Response:
    """A part of a page, for a script."""
    return Response(html(visit, template, **values), 200, page_headers(POLICY), _HTML)


def html(visit: Visit, template: str, **values: Any) -> str:
    """What a template makes: a page, or a part of one for a script."""
    return _templates.get_template(template).render(visit=visit, assets=visit.assets, **values)


def go(path: str) -> Response:
    """Sends the browser to another page of ours, with GET."""
    return Response(status_code=303, headers=page_headers(POLICY) | {"Location": own_path(path)})


# --- what templates can use ------------------------------------------------------------------------------------------


@pass_context
def _moment(context: Context, at: datetime | None) -> str:
    """A moment in the reader's zone."""
    return "" if at is None else moments.moment(at, context["visit"].zone)


@pass_context
def _age(context: Context, since: datetime) -> Markup:
    """How long ago; it goes on while the page stands open."""
    return _ticking("age", since, moments.coarse(context["visit"].now - since))


@pass_context
def _left(context: Context, until: datetime | None, *, titled: bool = False) -> Markup:
    """How long until then, likewise; `titled`: pointers are shown the moment."""
    if until is None:
        return Markup()
    title = Markup(' title="%s"') % moments.moment(until, context["visit"].zone) if titled else Markup()
    return _ticking("left", until, moments.countdown(until - context["visit"].now), title)


def _ticking(kind: str, at: datetime, text: str, more: str = "") -> Markup:
    return Markup('<time data-ticks="%s" datetime="%s"%s>%s</time>') % (kind, at.isoformat(), more, text)


def _sign(state: State) -> words.Sign:
    return words.STATES[state]


_templates = Environment(
    loader=PackageLoader("environments.ui"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,  # it would look at the file of a template whenever that is used
)
_templates.filters.update(
    moment=_moment, age=_age, left=_left, sign=_sign, clean=words.clean, one_line=words.one_line, shown=words.shown
)
_templates.globals.update(part=part, words=words, flags=words.flags, address_of=words.address_of)
