"""The forms that a secret may have in what a program says: as it is, or encoded in the ways that programs encode."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby, product
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 3
"""Characters of a secret that can be hidden: what is shorter is part of nearly every text."""

_SHORTEST_PIECE = 8
"""Characters of a line of a secret that is looked for alone, and of a secret that is looked for in hexadecimal."""

_SHORTEST_CORE = 6
"""The least characters of the constant part of a secret in base64 that are searched for."""


def texts_of(value: Any) -> Iterator[str]:
    """What programs write of a secret that is a JSON value: a text as it is, a number as JSON has it, and the parts of
    a list or an object as well as all of it. Nothing of true, false and null, which say nothing by themselves."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        yield json.dumps(value, ensure_ascii=False)
        yield json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from texts_of(part)
    elif value is not None and not isinstance(value, bool):
        yield json.dumps(value)


def forms_of(secret: str) -> Iterator[str]:
    """All forms of a secret, with whatever control characters it has itself."""
    lines = [line.strip() for line in secret.splitlines()]
    pieces = [secret, secret.strip(), *(line for line in lines if len(line) >= _SHORTEST_PIECE)]
    pieces += [" ".join(lines), "\n".join(lines)]
    # Its lines that are one word each, as they may be the last words of lines.
    words = ("".join(group) for is_word, group in groupby(lines, lambda line: " " not in line) if is_word)
    pieces += [word for word in words if len(word) >= _SHORTEST_PIECE]
    for piece in dict.fromkeys(piece for piece in pieces if len(piece) >= SHORTEST):
        yield piece
        yield from _quoted(piece)
        yield from _percent(piece)
        yield from _base64(piece.encode(errors="surrogatepass"))


def _quoted(text: str) -> Iterator[str]:
    """As JSON, Go, HCL, Python and a shell write it inside of quotes, once and in each other."""
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        # encoding/json of Go writes these so, because of HTML.
        html = once.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        for form in (once, html):
            yield form
            yield json.dumps(form)[1:-1]
            yield form.replace("/", "\\/")
            yield form.replace("${", "$${").replace("%{", "%%{")
    yield repr(text)[1:-1]
    yield text.replace("'", "'\\''")
    yield text.replace("'", "'\"'\"'")
    html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    double, single = ("&#34;", "&quot;", '"'), ("&#39;", "&#x27;", "&apos;", "&#039;", "'")
    for quotes in product(double, single):
        yield html.replace('"', quotes[0]).replace("'", quotes[1])


def _percent(text: str) -> Iterator[str]:
    for safe in ("", "/", "/:@!$&'()*+,;=~"):
        for form in (quote(text, safe=safe, errors="surrogatepass"), quote_plus(text, safe, errors="surrogatepass")):
            yield form
            yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form)


def _base64(content: bytes) -> Iterator[str]:
    """Alone, and as it stands inside of something longer, such as `user:password`: three ways to begin."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(content).decode()
        yield alone
        yield alone.rstrip("=")
        for before in range(3):
            text = encode(b"\0" * before + content).decode().rstrip("=")
            # The first characters depend on what stands before it, the last one on what follows.
            core = text[(0, 2, 3)[before] : len(text) - (1 if (before + len(content)) % 3 else 0)]
            if len(core) >= _SHORTEST_CORE:
                yield core
    if len(content) >= _SHORTEST_PIECE:
        yield content.hex()
        yield content.hex().upper()
