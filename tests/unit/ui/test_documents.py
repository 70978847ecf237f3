"""Markdown of templates: rendered, and harmless whatever is written in it."""

import re
import time
from html.parser import HTMLParser

import pytest

from environments.ui.documents import LARGEST, is_document, rendered

FILES = {"docs/use.md": "/templates/web/file?file=docs%2Fuse.md", "README.md": "/templates/web/file?file=README.md"}
ALLOWED = {
    *("h2", "h3", "h4", "h5", "h6", "p", "a", "span", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote"),
    *("hr", "br", "table", "thead", "tbody", "tr", "th", "td", "div"),
}
HARMLESS = {"href", "rel", "tabindex", "class", "role", "aria-label", "start"}


class _Looked(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")


def html(text: str, path: str = "README.md") -> str:
    return rendered(text, path, FILES.get, below=1)


def test_a_document_is_rendered_below_the_heading_of_its_page() -> None:
    found = html("# Web\n\nSome *words*.\n\n|a|b|\n|-:|-|\n|1|2|\n\n```sh\nls <x>\n```\n")
    assert "<h2>Web</h2>" in found
    assert "<em>words</em>" in found
    assert "<td>1</td>" in found
    assert "<code>ls &lt;x&gt;\n</code>" in found
    assert "style" not in found


def test_links_lead_to_the_web_and_to_files_of_the_template() -> None:
    assert 'href="https://example.com/a?b=c"' in html("[x](https://example.com/a?b=c)")
    assert 'href="/templates/web/file?file=docs%2Fuse.md"' in html("[x](docs/use.md#how)")
    assert 'href="/templates/web/file?file=README.md"' in html("[x](../README.md)", "docs/use.md")
    assert 'rel="noopener noreferrer nofollow"' in html("<https://example.com>")


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)' hx-get='/x'>x</a>",
        "<style>*{display:none}</style><base href='//evil.example'>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#10;script:alert(1))",
        "[x](\\x01javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](data:image/png;base64,aaaa)",
        "[x](vbscript:x) [x](file:///etc/passwd) [x](blob:https://a/b)",
        "[x](//evil.example/a)",
        "[x](/\\evil.example) [x](\\\\evil.example\\a) [x](/environments/shop/destroy)",
        "[x](https://user@evil.example) [x](https://) [x](https://[::1)",
        "[x](nothing.md) [x](../../etc/passwd) [x](docs/../../README.md) [x](#top)",
        '[x](https://example.com "title\\" onmouseover=alert(1) x=\\"")',
        '[x](https://example.com/"onmouseover="alert(1))',
        "<javascript:alert(1)>",
        "[x]\n\n[x]: javascript:alert(1)",
        "![x](https://evil.example/pixel.png) ![<img>](x)",
        "[![x](https://evil.example/pixel.png)](javascript:alert(1))",
        '```x" onload="alert(1)\n</code></pre><script>alert(1)</script>\n```',
        "    </code></pre><script>alert(1)</script>\n",
        "`</code><script>alert(1)</script>`",
        "|<script>|\n|-|\n|[x](javascript:alert(1))|\n",
        "# <form action=//evil.example><input name=form_token>",
        "&lt;script&gt; &#60;script&#62;alert(1)",
        "\u202etxt.exe \x00 \x1b[31m",
        "[" * 30 + "x" + "](javascript:alert(1))" * 30,
        "> " * 60 + "<script>",
    ],
)
def test_hostile_documents_do_nothing(hostile: str) -> None:
    found = html(hostile)
    looked = _Looked(found)
    assert looked.tags <= ALLOWED, found
    assert set(looked.attributes) <= HARMLESS, found
    for address in looked.attributes.get("href", ()):
        assert re.match(r"https://example\.com(/|$)|/templates/web/file\?", address), found
    assert looked.attributes.get("class", set()) <= {"scroll"}
    assert not set("\u202e\x00\x1b") & set(found)


def test_only_markdown_of_a_fitting_length_is_a_document() -> None:
    assert is_document("docs/Use.MD", "x" * LARGEST)
    assert not is_document("docs/use.md", "x" * (LARGEST + 1))
    assert not is_document("template.toml", "x")


@pytest.mark.parametrize("piece", ["[", "![", "*a ", "a\n", "*_", "[a](", "> ", "- ", "[\\\\", "|a", "<", "`a``b"])
def test_hostile_lengths_are_read_in_a_moment(piece: str) -> None:
    begin = time.process_time()
    html((piece * LARGEST)[:LARGEST])
    assert time.process_time() - begin < 20
