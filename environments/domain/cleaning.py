"""Text that programs wrote, made fit to be kept and shown: no secrets, no control characters, not too long.

Whoever runs a program knows which secrets it was given. What it says may hold them as they are, or encoded in the ways
that programs encode what they send or quote.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from environments.domain.literals import Literals

HIDDEN = "***"
"""What stands in place of a secret."""

SHORTEST = 3
"""Characters of a secret that can be hidden: what is shorter is part of nearly every text."""

_SHORTEST_PIECE = 8
"""Characters of a line of a secret that is looked for alone, and of a secret that is looked for in hexadecimal."""

_SHORTEST_CORE = 6
"""The least characters of the constant part of a secret in base64 that are searched for."""

_JOINERS = frozenset({"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))})

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, the cursor (ECMA-48, 5.4)
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # titles, links and other strings (5.6)
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]",
    re.MULTILINE,
)
_KNOWN_SHAPES = re.compile(
    r"(?P<url>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://)[^\s/?#\"'<>]+@"  # RFC 3986, 3.2.1
    r"|(?P<header>(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:[a-z][a-z-]*\s+)?)[^\s\"',;]+"
    r"|(?P<token>x-(?:vault|consul|nomad)-token[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+"
    r"|(?<![\w-])(?:hv[sbr]\.[\w-]{20,}|[sbr]\.[a-z0-9]{24,})"  # tokens of OpenBao and Vault
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",  # RFC 7519: an identity of Nomad
    re.IGNORECASE,
)


class Cleaner:
    """Cleans what was said by a program that was given these secrets; also without any it knows some shapes of them."""

    def __init__(self, secrets: Iterable[Any] = ()) -> None:
        """`secrets` are JSON values; see `texts_of` for what is hidden of those that are no text."""
        texts = {text for secret in secrets for text in texts_of(secret) if len(text) >= SHORTEST}
        forms = {form for text in texts for form in _forms(text)}
        # The longest first: where one holds another, all of it goes.
        ordered = sorted(filter(None, forms), key=lambda form: (-len(form), form))
        self._secrets = Literals(ordered)
        self._of_lines = [form for form in ordered if "\n" in form.strip("\n")]
        self.longest = len(ordered[0]) if ordered else 0
        """Characters of the longest form of a secret."""

    def clean(self, text: str, longest: int | None = None) -> str:
        """The text with neither secrets nor control characters, cut off visibly after `longest` characters."""
        plain = self._secrets.replace(printable(text), HIDDEN)
        plain = _KNOWN_SHAPES.sub(_hide, plain)
        return plain if longest is None or len(plain) <= longest else f"{plain[:longest]} …"

    def hide_lines(self, text: str) -> str:
        """A printable text without secrets of several lines; it has as many lines as before."""
        for form in self._of_lines:
            text = text.replace(form, _hidden_lines(form))
        return text

    def hide_rest(self, text: str) -> str:
        """A printable text that begins with a whole line, without lines at its beginning that may end a secret."""
        first = text[: text.find("\n") + 1]
        found = 0
        for form in self._of_lines:
            *earlier, latest = _line_begins(form)
            for begin in (*(at for at in earlier if form.startswith(first, at)), latest):
                if text.startswith(form[begin:]) and form[begin:].strip():
                    found = max(found, len(form) - begin)
        return _hidden_lines(text[:found]) + text[found:]

    def unfinished(self, text: str) -> int:
        """How many characters at the end of a printable text, of whole lines, may begin a secret of several lines."""
        last = text[text.rfind("\n", 0, -1) + 1 :]
        found = 0
        for form in self._of_lines:
            first, *later = _line_begins(form)
            for end in (first, *(at for at in later if form.endswith(last, 0, at))):
                if text.endswith(form[:end]) and form[:end].strip():
                    found = max(found, end)
        return found

    def holds_secret(self, value: Any) -> bool:
        """Whether a JSON value has one of the given secrets in it."""
        if isinstance(value, Mapping):
            return any(map(self.holds_secret, (*value, *value.values())))
        if isinstance(value, list | tuple):
            return any(map(self.holds_secret, value))
        return self._secrets.any_in(printable(str(value)))


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


def printable(text: str) -> str:
    """The text without control sequences and characters; lines stay, a tab becomes a space."""
    if text.isprintable():
        return text
    return replace_unshown(_SEQUENCES.sub("", text), "")


def replace_unshown(text: str, replacement: str) -> str:
    """The text with every character replaced that a terminal would obey, or that nobody would see; lines stay, a tab
    becomes a space. What joins other characters (emoji, letters of some scripts) and wider spaces stay."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or _is_shown(character) else " " if character == "\t" else replacement
        for character in text
    )


def _is_shown(character: str) -> bool:
    """Of those that Python doesn't call printable: spaces of other widths, joiners, the tags of flags."""
    return character == "\n" or character in _JOINERS or unicodedata.category(character) == "Zs"


def _hidden_lines(text: str) -> str:
    return "\n".join(HIDDEN if line else "" for line in text.split("\n"))


def _line_begins(text: str) -> list[int]:
    """Where the second and further lines of a text of several lines begin."""
    return [at.end() for at in re.finditer("\n", text[:-1])]


def _hide(found: re.Match[str]) -> str:
    kept = found["url"] or found["header"] or found["token"] or ""
    return f"{kept}{HIDDEN}@" if found["url"] else f"{kept}{HIDDEN}"


def _forms(secret: str) -> Iterator[str]:
    """All forms that a secret may have in a text that was made printable."""
    lines = [line.strip() for line in secret.splitlines()]
    pieces = [secret, secret.strip(), *(line for line in lines if len(line) >= _SHORTEST_PIECE)]
    pieces += [" ".join(lines), "\n".join(lines)]
    for piece in dict.fromkeys(piece for piece in pieces if len(piece) >= SHORTEST):
        yield printable(piece)
        yield from map(printable, _quoted(piece))
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
    for mark, named in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(mark, named)
    yield text


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
