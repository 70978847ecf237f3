"""What differs between the files of two versions of a template: which are new, changed or gone, and in which lines."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from environments.ui.version_differences import CHANGED, GONE, NEW
from environments.words import Sign

LARGEST = 50_000
"""Bytes of a file whose lines are compared."""

MOST_LINES = 1_000
"""Lines of a file whose lines are compared: what that takes grows with the square of their number."""

MOST_FILES = 20
"""Files whose lines are compared."""

_AROUND = 3


@dataclass(frozen=True)
class FileDifference:
    """A file that is new, changed or gone, with its bytes in each version; None: it isn't in that one."""

    sign: Sign
    path: str
    before: int | None
    after: int | None


def file_differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[FileDifference]:
    """Files that aren't the same, by their paths."""
    found: list[FileDifference] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            sign = NEW if old is None else GONE if new is None else CHANGED
            found.append(
                FileDifference(sign, path, None if old is None else len(old), None if new is None else len(new))
            )
    return found


def line_differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """The paths of small text files that changed, each with the lines that differ, as `diff -u` has them."""
    count = 0
    for path in sorted(before.keys() & after.keys()):
        if before[path] == after[path]:
            continue
        old, new = _lines(before[path]), _lines(after[path])
        if old is None or new is None:
            continue
        yield path, "\n".join(difflib.unified_diff(old, new, "before", "after", n=_AROUND, lineterm=""))
        count += 1
        if count == MOST_FILES:
            return


def _lines(content: bytes) -> list[str] | None:
    """None: it is no text, or too large."""
    if len(content) > LARGEST or b"\0" in content or content.count(b"\n") > MOST_LINES:
        return None
    try:
        return content.decode().split("\n")
    except UnicodeDecodeError:
        return None
