"""The forges of webhooks: each with the address, the token and the allowed addresses that its webhook has."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

import requests

from environments.domain.errors import ForgeRefused, NotFound
from environments.providers.forges.calls import ForgeCalls
from environments.providers.forges.gitea_api import GiteaForge, GithubForge
from environments.providers.forges.gitlab_api import GitlabForge
from environments.service.forges import Forge


class ForgeAccess(NamedTuple):
    """What calling a forge takes: its kind, address, allowed addresses and token."""

    kind: str
    address: str
    allowed: frozenset[str]
    token: str


class _Kind(NamedTuple):
    title: str
    home: str
    """Where it is when the webhook doesn't say; empty: it has to."""
    api: str
    """The path of the API on other servers."""
    home_api: str
    headers: Callable[[str], Mapping[str, str]]
    make: Callable[[ForgeCalls], Forge]


def _github(token: str) -> Mapping[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def _gitea(token: str) -> Mapping[str, str]:
    return {"Authorization": f"token {token}"}


KINDS: Mapping[str, _Kind] = {
    "github": _Kind("GitHub", "https://github.com", "/api/v3", "https://api.github.com", _github, GithubForge),
    "gitlab": _Kind(
        "GitLab",
        "https://gitlab.com",
        "/api/v4",
        "https://gitlab.com/api/v4",
        lambda token: {"PRIVATE-TOKEN": token},
        GitlabForge,
    ),
    "gitea": _Kind("Gitea", "", "/api/v1", "", _gitea, GiteaForge),
    "forgejo": _Kind("Forgejo", "", "/api/v1", "", _gitea, GiteaForge),
}
"""How the API of each kind of forge is called."""


class ConfiguredForges:
    """Implements `environments.service.forges.Forges`. What a forge said of its rate limit stays known."""

    def __init__(
        self,
        access: Callable[[str], ForgeAccess | None],
        session: Callable[[frozenset[str]], requests.Session],
        clock: Callable[[], datetime],
    ) -> None:
        """`access` gives what calling the forge of a webhook takes, None for no such webhook."""
        self._access = access
        self._session = session
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[str, tuple[ForgeAccess, Forge]] = {}

    def of(self, webhook: str) -> Forge:
        """See `Forges`."""
        access = self._access(webhook)
        if access is None:
            raise NotFound(f"There is no webhook {webhook!r}.", hint="See `calvinverse webhook list`.")
        if not access.token:
            raise ForgeRefused(
                f"The webhook {webhook} has no token for its forge.",
                hint="An admin gives it one: docs/how-to/previews.md, The token.",
            )
        with self._lock:
            known = self._made.get(webhook)
            if known is None or known[0] != access:
                known = self._made[webhook] = (access, self._make(webhook, access))
            return known[1]

    def _make(self, webhook: str, access: ForgeAccess) -> Forge:
        kind = KINDS.get(access.kind)
        if kind is None:
            raise ForgeRefused(f"The webhook {webhook} is of the kind {access.kind}, which is no forge.")
        calls = ForgeCalls(
            kind.title,
            api_address(access.kind, access.address),
            self._session(access.allowed),
            lambda: kind.headers(access.token),
            self._clock,
        )
        return kind.make(calls)


def api_address(kind: str, address: str) -> str:
    """The address of a forge's API. Raises `ForgeRefused` where it isn't known."""
    found, address = KINDS[kind], address.rstrip("/")
    if not address and not found.home:
        raise ForgeRefused(f"The address of {found.title} isn't known.", hint="Make the webhook again, with --forge.")
    if not address or address == found.home:
        return found.home_api
    return address if address.endswith(found.api) else f"{address}{found.api}"
