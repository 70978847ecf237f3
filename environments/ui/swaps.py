"""Parts of pages that a script swaps in, and what the element of a stream says of itself."""

from html import escape
from urllib.parse import quote, urlsplit

from environments.domain.errors import CalvinverseError, Unauthenticated
from environments.pages.requests import own_path
from environments.ui.visit import Visit

_AWAY = "The service doesn't answer. This page shows changes again as soon as it does."


def part(id: str, html: str, swap: str = "outerMorph") -> str:
    """A part of a page: what replaces the element with that id. `html` is safe: made by a template.

    `outerMorph` keeps the focus; `innerHTML` replaces what is in the element.
    """
    return f'<hx-partial hx-target="#{escape(id)}" hx-swap="{swap}">{html}</hx-partial>'


def told(text: str) -> str:
    """Tells readers of the screen, politely; others don't see it."""
    return part("told", escape(text), "innerHTML")


def away() -> str:
    """Says beside the stream that the service doesn't answer."""
    return note(_AWAY)


def note(text: str) -> str:
    """Says something beside the stream; an empty text takes back what was said."""
    return part("live-told", escape(text) or "<span></span>", "innerHTML")


def stopped(visit: Visit, error: CalvinverseError) -> str:
    """In place of the stream's element, which ends the stream: why the page doesn't show changes any more."""
    if isinstance(error, Unauthenticated):
        text = "You aren't signed in any more. What you typed is still here, but this page doesn't show changes."
        path = escape(f"/sign-in?ended=1&next={quote(_shown(visit), safe='/')}")
        more = f'<a href="{path}" target="_blank" rel="noopener">Sign in in another tab</a>'
    else:
        text = f"This page doesn't show changes any more: {error.message}"
        more = f'<a href="{escape(_shown(visit))}">Reload it</a>'
    return part("live", f'<div id="live"><p class="notice">{escape(text)} {more}</p></div>', "outerHTML") + told(text)


def _shown(visit: Visit) -> str:
    """The path of the page that the person sees, as its script says."""
    try:
        here = urlsplit(visit.headers.get("hx-current-url", ""))
    except ValueError:
        return own_path("")
    return own_path(here.path + (f"?{here.query}" if here.query else ""))
