"""User names for people who sign in for the first time: unique for ever, and made of few characters."""

import unicodedata
from collections.abc import Callable, Collection, Iterable

from environments.domain.access import EVERYONE, USER_NAME

LONGEST = 40
"""Characters that are taken over from a claim; a number may follow."""

RESERVED = frozenset(
    {EVERYONE, "anonymous", "calvinverse", "clock", "engine", "link", "local-admin", "me", "system", "unknown"}
)
"""What the service calls itself and its parts, everybody, and the caller: nobody gets one of these names."""


def user_name(said: Iterable[str], taken: Callable[[Collection[str]], Collection[str]]) -> str:
    """A free user name after the first of `said` that gives one, with `-2`, `-3`… behind it if it is taken.

    `taken` says which names of some are somebody's. Names that differ by case alone count as the same.
    """
    base = next(filter(None, map(_plain, said)), "") or "person"
    number = 1
    while True:
        names = [name for name in _numbered(base, number, 50) if name not in RESERVED]
        used = {name.lower() for name in taken([variant for name in names for variant in _variants(name)])}
        for name in names:
            if name not in used:
                return name
        number += 50


def _plain(text: str) -> str:
    """What is left of a text in the characters of user names; of an e-mail address what is before the `@`."""
    letters = unicodedata.normalize("NFKD", text.partition("@")[0]).encode("ascii", "ignore").decode().lower()
    kept = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in letters.strip())
    name = kept.strip("._-")[:LONGEST].rstrip("._-")
    return name if USER_NAME.fullmatch(name) else ""


def _numbered(base: str, first: int, count: int) -> list[str]:
    return [base if number == 1 else f"{base}-{number}" for number in range(first, first + count)]


def _variants(name: str) -> list[str]:
    """Names of early owners may have capitals."""
    return list(dict.fromkeys((name, name.upper(), name.capitalize(), name.title())))
