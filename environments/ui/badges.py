"""A picture and a small JSON document of each environment, for pages of others; who may see it gets them."""

from html import escape

from starlette.responses import JSONResponse, Response

from environments.pages.answers import page_headers
from environments.ui.answers import POLICY
from environments.ui.listing import place
from environments.ui.visit import Visit
from environments.words import STATES, Mood, flags

_COLOURS: dict[Mood, str] = {
    "good": "#1c6b3a",
    "busy": "#1f5fbf",
    "bad": "#a8201a",
    "warn": "#7a4b00",
    "gone": "#515c6d",
    "plain": "#515c6d",
}
_LEFT = "#333c4a"
_PER_CHARACTER, _ROOM = 7, 16
"""Pixels: as wide as a character of the font mostly is, and beside a text."""


def is_one(path: str) -> bool:
    """Whether the path is that of one of these: machines may get them, with a token of their own."""
    return path.startswith("/environments/") and path.endswith(("/badge.svg", "/badge.json"))


def picture(visit: Visit) -> Response:
    """The badge: name and state."""
    view = visit.client.environment(visit.params["name"])
    sign = next(flags(view), STATES[view.state])
    left, right = view.name, f"{sign.glyph} {sign.word}"
    widths = [_PER_CHARACTER * len(text) + _ROOM for text in (left, right)]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="20" role="img" '
        f'aria-label="{escape(f"{view.name}: {sign.word}")}">'
        f'<rect width="{widths[0]}" height="20" fill="{_LEFT}"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" fill="{_COLOURS[sign.mood]}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{widths[0] / 2}" y="14">{escape(left)}</text>'
        f'<text x="{widths[0] + widths[1] / 2}" y="14">{escape(right)}</text></g></svg>\n'
    )
    return Response(svg, headers=page_headers(POLICY), media_type="image/svg+xml")


def document(visit: Visit) -> Response:
    """The same for machines."""
    view = visit.client.environment(visit.params["name"])
    return JSONResponse(
        {
            "name": view.name,
            "state": view.state.value,
            "flags": [flag.word for flag in flags(view)],
            "owner": view.owner,
            "template": view.template,
            "template_version": view.template_version,
            "deadline": None if view.deadline is None else view.deadline.isoformat(),
            "address": f"{visit.origin}{place('environments', view.name)}",
        },
        headers=page_headers(POLICY),
    )


PAGES = (
    ("GET", "/environments/{name}/badge.svg", picture),
    ("GET", "/environments/{name}/badge.json", document),
)
