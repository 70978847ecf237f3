"""Answers of pages: HTML with the headers that all pages have, and redirects."""

import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from environments.pages.answers import kept, page_headers
from environments.pages.requests import own_path

_STYLE = files("environments.web").joinpath("assets", "style.css").read_bytes()
STYLE_PATH = f"/assets/style-{hashlib.sha256(_STYLE).hexdigest()[:16]}.css"
"""Where the style sheet is: another one has another address, so browsers keep this one for ever."""

_templates = Environment(
    loader=PackageLoader("environments.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_templates.filters["moment"] = _moment
_templates.globals["style"] = STYLE_PATH


def page(template: str, status: int = 200, *, leads_to: str = "", **values: Any) -> Response:
    """The page of a template. `leads_to`: the origin that its forms lead to in the end, if it isn't ours."""
    html = _templates.get_template(template).render(**values)
    return Response(html, status, headers(leads_to), "text/html; charset=utf-8")


def headers(leads_to: str = "") -> dict[str, str]:
    """The headers of all pages. Chromium judges redirects after a form by `form-action`, too."""
    form_action = f"form-action 'self' {leads_to}".rstrip()
    return page_headers(f"default-src 'none'; style-src 'self'; {form_action}")


def go(path: str) -> Response:
    """Sends the browser to another page of ours, with GET."""
    return away(own_path(path))


def away(address: str) -> Response:
    """Sends the browser to an address, with GET; the caller has checked the address."""
    return Response(status_code=303, headers=headers() | {"Location": address})


def style() -> Response:
    """The style sheet."""
    return kept(_STYLE, "text/css")
