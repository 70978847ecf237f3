"""Documents of templates: Markdown as HTML that can do nothing but be read and lead to other pages.

HTML in it is text, pictures are their descriptions. Links lead to http, https or files of the same template; what leads
elsewhere is only text.
"""

import posixpath
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from environments.words import clean

LARGEST = 20_000
"""Characters of a document: a hostile one of this length takes about a second. Larger ones are shown as text."""

_LOWEST = 6
"""The lowest heading that HTML has."""


def is_document(path: str, text: str) -> bool:
    """Whether a file is shown as a document."""
    return path.lower().endswith(".md") and len(text) <= LARGEST


def rendered(text: str, path: str, address: Callable[[str], str | None], *, below: int) -> str:
    """A document as HTML. `path`: where it is in its template; `address`: that of the page of another file, if any.

    `below`: the level of the heading that stands above it on the page.
    """
    tokens = _reader.parse(clean(text))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + below, _LOWEST)}"
        token.attrs.pop("style", None)  # of cells of tables
        if token.children:
            _set_links(token.children, lambda target: _leads_to(target, path, address))
    return str(_reader.renderer.render(tokens, _reader.options, {}))


def _set_links(tokens: Sequence[Token], leads_to: Callable[[str], str | None]) -> None:
    """Gives each link its address; one without becomes text."""
    known = True
    for token in tokens:
        if token.type == "link_open":
            address = leads_to(str(token.attrGet("href") or ""))
            known = address is not None
            token.attrs = {"href": address, "rel": "noopener noreferrer nofollow"} if address is not None else {}
        if token.type in ("link_open", "link_close") and not known:
            token.tag = "span"


def _leads_to(target: str, path: str, address: Callable[[str], str | None]) -> str | None:
    try:
        parts = urlsplit(target)
        host, user = parts.hostname, parts.username
    except ValueError:
        return None
    if parts.scheme in ("http", "https"):
        return target if host and user is None else None
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith(("/", "\\")):
        return None
    return address(posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path))))


class _Renderer(RendererHTML):
    """HTML without pictures, and with blocks of code that one can scroll by the keyboard."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Its description."""
        return escapeHtml(f"[{self.renderInlineAsText(tokens[idx].children or [], options, env)}]")

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Text as it is; the name of its language is left out."""
        return f'<pre tabindex="0"><code>{escapeHtml(tokens[idx].content)}</code></pre>\n'

    code_block = fence

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Scrolled by itself where it is wider than the page."""
        return '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """The end of both."""
        return "</table></div>\n"


_reader = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=_Renderer).enable("table")
