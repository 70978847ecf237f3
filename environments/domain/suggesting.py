"""Names that a person may have meant: those that differ little from what they typed."""

from collections.abc import Iterable, Sequence

LONGEST = 100
"""Characters of a text that anything is suggested for: comparing takes time in the product of both lengths."""

MOST_SUGGESTED_FROM = 500
"""Names that the service compares with what was typed: enough for people, and little work for a wrong request."""

_SHORTEST_PART = 3
"""The least characters of a text that is searched for within names."""


def near(typed: str, known: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """The names nearest to what was typed, the nearest first; at most `most`, none if nothing is near.

    Near is: another case, one edit in up to five characters, two in up to eight, three in more (an edit adds, drops or
    changes a character, or swaps two neighbours), or a name that begins with what was typed or holds it.
    """
    if not typed or len(typed) > LONGEST:
        return ()
    found = []
    for name in dict.fromkeys(known):
        if name != typed and len(name) <= LONGEST and (far := _farness(typed.lower(), name.lower())) is not None:
            found.append((far, name))
    return tuple(name for _, name in sorted(found)[:most])


def suggestion(typed: str, known: Iterable[str], *, most: int = 3) -> str:
    """`Did you mean 'demo'?`, to be put behind a sentence; empty if nothing is near."""
    found = [repr(name) for name in near(typed, known, most=most)]
    return f"Did you mean {' or '.join(filter(None, (', '.join(found[:-1]), found[-1])))}?" if found else ""


def aside(typed: str, known: Iterable[str], *, most: int = 3) -> str:
    """` (did you mean 'demo'?)`, to be put into a list of faults; empty if nothing is near."""
    found = suggestion(typed, known, most=most)
    return f" ({found[0].lower()}{found[1:]})" if found else ""


def told(sentence: str, typed: str, known: Iterable[str]) -> str:
    """The sentence, with what may have been meant behind it."""
    return " ".join(filter(None, (sentence, suggestion(typed, known))))


def _farness(typed: str, name: str) -> int | None:
    """How far a name is from what was typed, in edits; None: too far."""
    allowed = 1 if len(typed) <= 5 else 2 if len(typed) <= 8 else 3
    edits = _edits(typed, name, allowed) if abs(len(typed) - len(name)) <= allowed else None
    # A text all of whose characters differ is another name, however short both are.
    if edits is not None and edits < max(len(typed), len(name)):
        return edits
    if len(typed) >= _SHORTEST_PART and typed in name:
        return allowed + 1 + (not name.startswith(typed))
    return None


def _edits(one: Sequence[str], other: Sequence[str], most: int) -> int | None:
    """The distance of optimal string alignment (Boytsov 2011, section 2.1); None if it is more than `most`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        last, before, row = before, row, [number]
        for place, right in enumerate(other, 1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (left != right))
            if number > 1 and place > 1 and left == other[place - 2] and one[number - 2] == right:
                cost = min(cost, last[place - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return None
    return row[-1] if row[-1] <= most else None
