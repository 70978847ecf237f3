"""Who may use a webhook, and for which repositories: what an admin says, and what follows from it."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from environments.domain.access import EVERYONE
from environments.domain.errors import InvalidInput

MOST_USERS = 200
"""Subjects that may use one webhook: a group is one of them, however many are in it."""

MOST_PATTERNS = 200
"""Repositories, or owners of repositories, that one webhook is limited to."""

LONGEST_PATTERN = 300

_ALL_OF = "/*"
IN_NO_NAME = r"[^ -~]|(^|/)\.{0,2}(/|$)"
"""A regular expression that databases understand too. It finds what no repository's name has: characters other than
printable ASCII, and parts that lead elsewhere in a path."""

_PATTERN = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/(\*|[A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class WebhookUse:
    """Who may name a webhook in triggers, and see what it tells. Admins always may.

    `users`: subjects; none: admins alone. `repositories`: `owner/name`, or `owner/*` for all below an owner (GitLab: a
    group, with its subgroups); none: all that the forge tells of. They limit admins too.
    """

    users: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether everyone may use it for every repository."""
        return EVERYONE in self.users and not self.repositories

    def lets(self, subjects: Collection[str], *, admin: bool) -> bool:
        """Whether somebody to whom is given what is given to these subjects may use it."""
        return admin or not frozenset(self.users).isdisjoint(subjects)

    def covers(self, repository: str) -> bool:
        """Whether it may be used for a repository. Upper and lower case are the same, as they are to forges."""
        if not self.repositories:
            return True
        if re.search(IN_NO_NAME, repository):
            return False
        return any(_fits(pattern.lower(), repository.lower()) for pattern in self.repositories)

    def why_not(self, webhook: str, who: str, subjects: Collection[str], *, admin: bool, repository: str) -> str:
        """Why `who`, who is also these subjects, may not use the webhook; empty: they may.

        `repository` is empty for what is about none.
        """
        if not self.lets(subjects, admin=admin):
            return f"{who} may not use the webhook {webhook!r}, and an admin says who may"
        if repository and not self.covers(repository):
            return f"The webhook {webhook!r} isn't for {repository[:100]}, and an admin says for what it is"
        return ""


OPEN = WebhookUse(users=(EVERYONE,))
"""Everyone, and every repository: as webhooks were before an admin could say anything else."""


def checked_patterns(given: Iterable[str]) -> tuple[str, ...]:
    """Repositories as an admin writes them, each once. Raises `InvalidInput`."""
    found = tuple(dict.fromkeys(text.strip() for text in given))
    for text in found:
        if len(text) > LONGEST_PATTERN or not _PATTERN.fullmatch(text):
            raise InvalidInput(
                f"{text[:100]!r} names no repository.", hint="Give one as acme/shop, or all of an owner as acme/*."
            )
    if len(found) > MOST_PATTERNS:
        raise InvalidInput(f"A webhook is limited to {MOST_PATTERNS} repositories at most.", hint="Name their owner.")
    return found


def prefix_of(pattern: str) -> str | None:
    """What the names of all repositories begin with that a pattern is for; None: it is for that one alone."""
    return pattern[: -len(_ALL_OF) + 1] if pattern.endswith(_ALL_OF) else None


def _fits(pattern: str, name: str) -> bool:
    prefix = prefix_of(pattern)
    return name == pattern if prefix is None else name.startswith(prefix)
