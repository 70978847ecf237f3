"""Finds many texts in another one at once, in time that hardly grows with their number."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_KEYS = (8, 3, 2, 1)
"""Lengths of the beginnings by which texts are looked up."""


class Literals:
    """Texts, none of them empty. An alternation of as many in a regular expression would stop all other threads."""

    def __init__(self, texts: Iterable[str]) -> None:
        ordered = sorted(set(texts), key=lambda text: (-len(text), text))
        # Those of a longer beginning are all longer than those of a shorter one.
        self._by_beginning: dict[int, dict[str, list[str]]] = {}
        for text in ordered:
            key = next(size for size in _KEYS if size <= len(text))
            self._by_beginning.setdefault(key, defaultdict(list))[text[:key]].append(text)
        firsts = "".join(map(re.escape, sorted({text[0] for text in ordered})))
        self._first = re.compile(f"[{firsts}]") if firsts else None

    def replace(self, text: str, replacement: str) -> str:
        """The text with each of them replaced: from the left, and the longest one at a place."""
        pieces, done = [], 0
        for begin, end in self._found(text):
            pieces += [text[done:begin], replacement]
            done = end
        return "".join([*pieces, text[done:]])

    def any_in(self, text: str) -> bool:
        """Whether one of them stands in the text."""
        return next(self._found(text), None) is not None

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        if self._first is None:
            return
        done = 0
        for candidate in self._first.finditer(text):
            begin = candidate.start()
            if begin >= done and (end := self._end(text, begin)) is not None:
                yield begin, end
                done = end

    def _end(self, text: str, begin: int) -> int | None:
        """Where the longest one ends that begins there."""
        for size, texts in self._by_beginning.items():
            for one in texts.get(text[begin : begin + size], ()):
                if text.startswith(one, begin):
                    return begin + len(one)
        return None
