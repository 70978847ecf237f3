"""User names: unique for ever, made of few characters, and of a part of the names of their own for programs."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable

from environments.domain.access import EVERYONE, USER_NAME
from environments.domain.errors import InvalidName

LONGEST = 40
"""Characters that are taken over from a claim; a number may follow."""

PROGRAM = "svc-"
"""What names of service accounts begin with, and names of nobody else: no account can be taken for a person."""

RESERVED = frozenset(
    {
        *(EVERYONE, "anonymous", "calvinverse", "clock", "engine", "link", "local-admin", "system"),
        *("admin", "me", "others", "unknown"),
    }
)
"""What the service calls itself, its parts, everybody, whoever asks, and whom it doesn't know."""

_OF_IDS = ("dep-", "env-", "grant-", "hold-", "plan-", "share-", "tok-", "warn-", "worker-")
"""What ids begin with."""

_PIECES = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


def check_account_name(name: str) -> None:
    """Raises `InvalidName` for what can't be the name of a new service account."""
    if not name.startswith(PROGRAM):
        raise InvalidName(
            f"{name!r} can't be the name of a service account: those begin with {PROGRAM!r}, and no person's does.",
            hint=f"Name it {PROGRAM}{_bare(name) or 'shop'}.",
        )
    if len(name) == len(PROGRAM) or not _is_good(name):
        raise InvalidName(
            f"{name!r} can't be the name of a service account.",
            hint=f"Behind {PROGRAM!r} come lower-case letters and digits, and single dots, hyphens and underscores "
            "between them; 63 characters in all.",
        )


def check_user_name(name: str) -> None:
    """Raises `InvalidName` for what can't be the user name of a new person."""
    if not _is_good(name):
        raise InvalidName(
            f"{name!r} can't be a user name.",
            hint="Use 1 to 63 lower-case letters and digits, and single dots, hyphens and underscores between them.",
        )
    check_not_reserved(name)


def check_not_reserved(name: str) -> None:
    """Raises `InvalidName` for what no new person or owner may be called, in whatever capitals."""
    if name.lower().startswith(PROGRAM):
        raise InvalidName(
            f"{name!r} can't be the name of a person: names that begin with {PROGRAM!r} are for service accounts.",
            hint="Choose another name, or make an account with `calvinverse account create`.",
        )
    if _is_reserved(name.lower()):
        raise InvalidName(f"{name!r} means something else here.", hint="Choose another name.")


def _is_good(name: str) -> bool:
    return USER_NAME.fullmatch(name) is not None and _PIECES.fullmatch(name) is not None


def _is_reserved(name: str) -> bool:
    return name in RESERVED or name.startswith((PROGRAM, *_OF_IDS))


def user_name(said: Iterable[str], taken: Callable[[Collection[str]], Collection[str]]) -> str:
    """A free user name after the first of `said` that gives one, with `-2`, `-3`… behind it if it is taken.

    `taken` says which names of some are somebody's. Names that differ by case alone count as the same.
    """
    base = next(filter(None, map(_plain, said)), "") or "person"
    number = 1
    while True:
        names = [name for name in _numbered(base, number, 50) if not _is_reserved(name)]
        used = {name.lower() for name in taken([variant for name in names for variant in variants(name)])}
        for name in names:
            if name not in used:
                return name
        number += 50


def _plain(text: str) -> str:
    """What is left of a text in the characters of user names, and is no part of the names that a person can't have."""
    name = _bare(text)
    if name.startswith((PROGRAM, *_OF_IDS)):
        name = f"person-{name}"[:LONGEST].rstrip("._-")
    return name if USER_NAME.fullmatch(name) else ""


def _bare(text: str) -> str:
    """A text in the characters of user names; of an e-mail address what is before the `@`."""
    letters = unicodedata.normalize("NFKD", text.partition("@")[0]).encode("ascii", "ignore").decode().lower()
    kept = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in letters.strip())
    return re.sub(r"([._-])[._-]+", r"\1", kept.strip("._-"))[:LONGEST].rstrip("._-")


def _numbered(base: str, first: int, count: int) -> list[str]:
    return [base if number == 1 else f"{base}-{number}" for number in range(first, first + count)]


def variants(name: str) -> list[str]:
    """The name as somebody may have it already: names of early owners may have capitals."""
    return list(dict.fromkeys((name, name.upper(), name.capitalize(), name.title())))
