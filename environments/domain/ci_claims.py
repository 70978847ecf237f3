"""What identity tokens of CI systems say, and which rules about them are safe to have.

Everybody can have such a token of a public CI system, for any audience. So a rule has to pin whose repository or
project it is for: ids are never given again, names of deleted or renamed ones are. `sub` counts by the claim that it
begins with, because GitHub and GitLab let projects choose what it holds.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_IDS = ("repository_id", "repository_owner_id", "enterprise_id", "project_id", "namespace_id")
"""Claims that pin by an id: GitHub's repository, owner and enterprise, GitLab's project and group."""

_OWNERS = ("repository_owner", "namespace_path")
_PATHS = ("repository", "repo", "project_path")
"""Claims that pin by a name; `repo` is how GitHub's `sub` calls `repository`."""

_ID = re.compile(r"[0-9]{1,30}")
_PATH = re.compile(r"[^*/]+/.+")
_OWNER = re.compile(r"[^*/]+(/.*)?")

PINNING = (*_IDS, *_OWNERS, "repository", "project_path", "sub")
"""Claims by which a rule can pin."""

_DEFAULT_AUDIENCES = {"token.actions.githubusercontent.com": "github.com"}
"""Issuer's host → host of the audience that its tokens have when a job asks for none."""


def check_pinned(claims: Mapping[str, str]) -> None:
    """Raises `ValueError` unless a rule's patterns pin a repository, a project, or the owner of some."""
    if not any(_pins(name, pattern) for name, pattern in claims.items()):
        raise ValueError(
            "no claim pins a repository, a project or an owner: everybody can have tokens of such an issuer. Give one "
            f"of {', '.join(PINNING)}, an id and the first part of a name without *"
        )


def check_audience(issuer: str, audience: str) -> None:
    """Raises `ValueError` for an audience that tokens for other services have too."""
    host, default = urlsplit(audience).hostname, urlsplit(issuer).hostname
    if host is not None and host in (default, _DEFAULT_AUDIENCES.get(default or "")):
        raise ValueError(
            "its audience is what the CI system's tokens have by default, those for other services too: choose one of "
            "your own, such as the address of this service"
        )


def _pins(name: str, pattern: str) -> bool:
    if name == "sub":
        name, _, rest = pattern.partition(":")
        pattern = rest.partition(":")[0]
    if name in _IDS:
        return _ID.fullmatch(pattern) is not None
    if name in _PATHS:
        return _PATH.fullmatch(pattern) is not None
    return name in _OWNERS and _OWNER.fullmatch(pattern) is not None
