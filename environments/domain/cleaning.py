"""Text that programs wrote, made fit to be kept and shown: no secrets, no control characters, not too long.

Whoever runs a program knows which secrets it was given. What it says may hold them as they are, or encoded in the ways
that programs encode what they send or quote. They are looked for in all ways in which the text may be read, and hidden
in what is shown of it; nothing changes the text after that.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from sys import getsizeof
from typing import Any

from environments.domain import readings
from environments.domain.literals import LONG, Literals, Span, merged
from environments.domain.readings import Reading, is_shown, without_sequences
from environments.domain.secret_forms import SHORTEST, forms_of, texts_of

HIDDEN = "***"
"""What stands in place of a secret."""

_SHORTEST_PART = 4
"""Characters of a secret at the end of a text that was cut off in the middle of a line."""

_SEARCHED = 8 * 1024
"""Characters in which known shapes are searched at once: other threads wait meanwhile."""

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
        forms = {reading.text for text in texts for form in forms_of(text) for reading in readings.whole(form)}
        forms = {form for form in forms if form.strip()}
        # Long ones are looked for without ends of lines, which would be chance for short ones.
        self._long = Literals(one for form in forms if len(one := form.replace("\n", "")) >= LONG)
        self._short = Literals(form for form in forms if len(form.replace("\n", "")) < LONG)
        self._of_lines = sorted(form for form in forms if "\n" in form.strip("\n"))
        self.longest = max(map(len, forms), default=0)
        """Characters of the longest form of a secret."""
        self.size = self._long.size + self._short.size + sum(map(getsizeof, self._of_lines))
        """About how many bytes of memory it takes."""

    def clean(self, text: str, longest: int | None = None, *, begun: bool = False, cut: bool = False) -> str:
        """The text with neither secrets nor control characters, cut off visibly after `longest` characters.

        It has as many lines as before. `begun`: there were lines before it; `cut`: it may have been cut off at its end,
        also in the middle of a line. Then parts of secrets there are hidden, too.
        """
        shown = readings.shown(text)
        plain = _without(shown.text, self._hidden(text, shown, begun=begun, cut=cut))
        plain = _without(plain, _known_shapes(plain))  # again: a secret in an address may have a slash
        return plain if longest is None or len(plain) <= longest else f"{plain[:longest]} …"

    def unfinished(self, text: str) -> int:
        """How many lines at the end of a text of whole lines may begin a secret that goes on in further ones.

        Also if each of them has little of it: eight characters of its beginning in all are enough.
        """
        shown = readings.shown(text)
        bare = readings.without_unseen(shown)
        begins = [len(bare.text) - self._unfinished_lines(bare.text)]
        places = [next(bare.there(begins[0], len(bare.text)), (len(text), 0))[0]]
        for reading in (readings.joined(bare), readings.last_words(bare)):
            count = self._long.last_part(reading.text, LONG)
            places += [place for place, _ in reading.there(len(reading.text) - count, len(reading.text))][:1]
        return text.count("\n", min(places))

    def holds_secret(self, value: Any) -> bool:
        """Whether a JSON value has one of the given secrets in it."""
        if isinstance(value, Mapping):
            return any(map(self.holds_secret, (*value, *value.values())))
        if isinstance(value, list | tuple):
            return any(map(self.holds_secret, value))
        texts = [reading.text for reading in readings.whole(str(value))]
        return any(self._short.any_in(text) or self._long.any_in(text.replace("\n", "")) for text in texts)

    def _hidden(self, text: str, shown: Reading, *, begun: bool, cut: bool) -> list[Span]:
        """The parts of what is shown that are hidden."""
        found = [(reading, span) for reading, spans in self._found(text, shown, begun=begun, cut=cut) for span in spans]
        return merged(part for reading, span in found for part in _shown_parts(reading, span, shown))

    def _found(self, text: str, shown: Reading, *, begun: bool, cut: bool) -> Iterator[tuple[Reading, Iterable[Span]]]:
        bare = readings.without_unseen(shown)
        yield bare, _known_shapes(bare.text)
        if not self.longest:
            return
        others = [*readings.others(text)]
        is_whole = text.endswith("\n")
        wrapped = [*map(readings.joined, (bare, *others)), readings.last_words(bare)]
        for reading in (bare, *others):
            yield reading, self._short.spans(reading.text)
        for reading in wrapped:
            yield reading, self._long.spans(reading.text)
            if begun:
                yield reading, [(0, self._long.first_part(reading.text, LONG))]
            if cut:
                size = len(reading.text)
                yield reading, [(size - self._long.last_part(reading.text, LONG if is_whole else _SHORTEST_PART), size)]
        if begun:
            yield bare, [(0, self._rest_of_lines(bare.text))]
        if cut:
            size = len(bare.text)
            yield bare, [(size - self._unfinished_lines(bare.text), size)]

    def _rest_of_lines(self, text: str) -> int:
        """How many characters at the beginning of a text may end a secret of several lines."""
        first = text[: text.find("\n") + 1]
        found = 0
        for form in self._of_lines:
            *earlier, latest = _line_begins(form)
            for begin in (*(at for at in earlier if form.startswith(first, at)), latest):
                if text.startswith(form[begin:]) and form[begin:].strip():
                    found = max(found, len(form) - begin)
        return found

    def _unfinished_lines(self, text: str) -> int:
        """How many characters at the end of a text, of whole lines, may begin a secret of several lines."""
        last = text[text.rfind("\n", 0, -1) + 1 :]
        found = 0
        for form in self._of_lines:
            first, *later = _line_begins(form)
            for end in (first, *(at for at in later if form.endswith(last, 0, at))):
                if text.endswith(form[:end]) and form[:end].strip():
                    found = max(found, end)
        return found


def printable(text: str) -> str:
    """The text without control sequences and characters; lines stay, a tab becomes a space."""
    return text if text.isprintable() else replace_unshown(without_sequences(text), "")


def replace_unshown(text: str, replacement: str) -> str:
    """The text with every character replaced that a terminal would obey, or that nobody would see; lines stay, a tab
    becomes a space. What joins other characters (emoji, letters of some scripts) and wider spaces stay."""
    if text.isprintable():
        return text
    return "".join(
        character if is_shown(character) else " " if character == "\t" else replacement for character in text
    )


def _known_shapes(text: str) -> Iterator[Span]:
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + _SEARCHED) + 1 or len(text)
        for found in _KNOWN_SHAPES.finditer(text, begin, end):
            kept = found["url"] or found["header"] or found["token"] or ""
            yield found.start() + len(kept), found.end() - bool(found["url"])
        begin = end


def _shown_parts(reading: Reading, span: Span, shown: Reading) -> Iterator[Span]:
    """Where a part of a reading is in what is shown; also what stands between its characters in a line."""
    begin = end = 0
    for place, upto in reading.there(*span):
        first, last = shown.here(place), shown.here(upto)
        if begin < end and "\n" in shown.text[end:first]:
            yield begin, end
            begin, end = first, last
        elif begin == end:
            begin, end = first, last
        else:
            end = max(end, last)
    if begin < end:
        yield begin, end


def _without(text: str, spans: Iterable[Span]) -> str:
    """The text with these parts hidden, which are in order and apart."""
    pieces, done = [], 0
    for begin, end in spans:
        pieces += [text[done:begin], _hidden_lines(text[begin:end])]
        done = end
    return "".join([*pieces, text[done:]])


def _hidden_lines(text: str) -> str:
    return "\n".join(HIDDEN if line else "" for line in text.split("\n"))


def _line_begins(text: str) -> list[int]:
    """Where the second and further lines of a text of several lines begin."""
    return [at.end() for at in re.finditer("\n", text[:-1])]
