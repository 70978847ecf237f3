"""Tables and lists as plain lines: columns don't wrap, so other programs can cut and search them."""

from collections.abc import Iterable, Iterator, Sequence

from environments.words import clean

_LONGEST = 60
"""Characters of a cell that is cut."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns two spaces apart below their titles; without rows only the titles."""
    lines = [list(head), *([clean(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def pairs(values: Iterable[tuple[str, str]]) -> Iterator[str]:
    """`name  value` lines, without those that have no value; further lines of a value are indented."""
    given = [(name, clean(value)) for name, value in values if value]
    width = max((len(name) for name, _ in given), default=0)
    for name, value in given:
        first, *others = value.splitlines() or [""]
        yield f"{name.ljust(width)}  {first}"
        yield from (f"{' ' * width}  {line}" for line in others)


def section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines below a title; nothing without lines."""
    found = list(lines)
    if found:
        yield ""
        yield title
        yield from (f"  {line}".rstrip() for line in found)


def short(text: str) -> str:
    """The text, cut if it is too long for a cell."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
