"""Finds many texts in another one at once, in time that hardly grows with their number."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from sys import getsizeof

_KEYS = (8, 3, 2, 1)
"""Lengths of the beginnings by which texts are looked up."""

LONG = _KEYS[0]
"""Characters of a text that is looked up fast."""

_OVERHEAD = 400
"""Bytes of memory for what is kept of a text besides itself, about."""

_TRIES = 100_000
"""At how many places in the texts a part of one is looked for."""

_COMPARED = 64
"""Characters of a part that are compared first."""

Span = tuple[int, int]
"""Where something begins and ends."""


class Literals:
    """Texts, none of them empty. An alternation of as many in a regular expression would stop all other threads."""

    def __init__(self, texts: Iterable[str]) -> None:
        ordered = sorted(set(texts))
        found: dict[int, dict[str, list[str]]] = {}
        for text in ordered:
            key = next(size for size in _KEYS if size <= len(text))
            found.setdefault(key, {}).setdefault(text[:key], []).append(text)
        self._by_beginning = {
            key: {beginning: _Alike(same) for beginning, same in groups.items()} for key, groups in found.items()
        }
        self._all = "".join(f"{text}\0" for text in ordered)
        self._begins = [0, *accumulate(len(text) + 1 for text in ordered)]
        self.size = sum(getsizeof(text) + _OVERHEAD for text in ordered) + getsizeof(self._all)
        """About how many bytes of memory they take."""

    def spans(self, text: str) -> list[Span]:
        """Where they stand in the text, in order; those that overlap are one."""
        return merged(span for size in self._by_beginning for span in self._of(size, text))

    def any_in(self, text: str) -> bool:
        """Whether one of them stands in the text."""
        return any(next(self._of(size, text), None) is not None for size in self._by_beginning)

    def _of(self, size: int, text: str) -> Iterator[Span]:
        """Where those stand that are looked up by so many characters; what is inside of another one may be left out."""
        groups, reach = self._by_beginning[size], 0
        for begin in [at for at in range(len(text) - size + 1) if text[at : at + size] in groups]:
            end = begin + groups[text[begin : begin + size]].longest_at(text, begin)
            if end > max(begin, reach):
                yield begin, end
                reach = end

    def last_part(self, text: str, least: int) -> int:
        """How many characters at the end of the text are a part of one of them that goes on; 0 for fewer."""
        found = 0
        for at, begin, end in self._places(text[-least:], least):
            upto = at + least
            count = min(upto - begin, len(text))
            if upto < end and count > found and self._same(upto - count, text[len(text) - count :]):
                found = count
        return found

    def first_part(self, text: str, least: int) -> int:
        """How many characters at the beginning are a part of one of them that began before it; 0 for fewer."""
        found = 0
        for at, begin, end in self._places(text[:least], least):
            count = min(end - at, len(text))
            if at > begin and count > found and self._same(at, text[:count]):
                found = count
        return found

    def _places(self, part: str, least: int) -> Iterator[tuple[int, int, int]]:
        """Where a part stands in all of them together, and where the one begins and ends that it is in."""
        at = -1
        for _ in range(_TRIES if len(part) == least else 0):
            at = self._all.find(part, at + 1)
            if at < 0:
                return
            which = bisect_right(self._begins, at)
            yield at, self._begins[which - 1], self._begins[which] - 1

    def _same(self, at: int, text: str) -> bool:
        # The first ones tell nearly always, and nothing long is copied for them.
        return self._all.startswith(text[:_COMPARED], at) and self._all.startswith(text, at)


class _Alike:
    """Texts of the same beginning, in order. Which one stands at a place is found in few steps, also of many."""

    def __init__(self, texts: list[str]) -> None:
        # Of each text, and at the end of none: its length, the longest one that it begins with, and one further on
        # that way, as far as the number of those on it allows (Myers 1983, an applicative random-access stack).
        self._texts = texts
        self._lengths = [*map(len, texts), 0]
        self._parents = [-1] * len(self._lengths)
        self._jumps = [-1] * len(self._lengths)
        self._longest = max(self._lengths)
        depths = [0] * len(self._lengths)
        within: list[int] = []
        for which, text in enumerate(texts):
            while within and not text.startswith(texts[within[-1]]):
                within.pop()
            parent = within[-1] if within else -1
            jump = self._jumps[parent]
            even = depths[parent] - depths[jump] == depths[jump] - depths[self._jumps[jump]]
            self._parents[which], self._jumps[which] = parent, self._jumps[jump] if even else parent
            depths[which] = depths[parent] + 1
            within.append(which)

    def longest_at(self, text: str, begin: int) -> int:
        """Characters of the longest one that stands there; 0 if there is none."""
        there = text[begin : begin + self._longest]
        which = bisect_right(self._texts, there) - 1  # all that stand there are this one or beginnings of it
        if which < 0:
            return 0
        same = _alike(self._texts[which], there)
        while self._lengths[which] > same:
            jump = self._jumps[which]
            which = jump if self._lengths[jump] > same else self._parents[which]
        return self._lengths[which]


def _alike(one: str, other: str) -> int:
    """How many characters at the beginning of both are the same."""
    low, high = 0, min(len(one), len(other))
    if other.startswith(one):
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if other.startswith(one[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, with those that overlap as one."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found
