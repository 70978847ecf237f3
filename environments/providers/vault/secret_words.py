"""Reads the values of an environment's secrets, which are removed from its jobs' output before that is quoted."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from environments.domain.errors import BackendUnavailable, NotAllowedNow
from environments.domain.names import kv_prefix
from environments.domain.secret_forms import texts_of
from environments.providers.vault.ports import SecretFolder, SecretStore
from environments.steps.base import Owner
from environments.steps.secret_words import Words

SHORTEST = 8
"""The least characters of a value that is removed: shorter ones, such as a user's name or a port, are in many texts."""

MOST = 50
"""The most secrets that are read; for environments with more, no output is quoted."""

MOST_VERSIONS = 500
"""The most versions of all secrets together: OpenBao keeps ten of each unless a mount or a secret says otherwise."""

MOST_BYTES = 256 * 1024
"""The most bytes of all values together, in UTF-8: their forms take some hundred times as much memory."""

_LEAST_BYTES = 32
"""As how many bytes a shorter line of a value counts: its forms take no less memory."""

_FEWER_VERSIONS = (
    "Destroy old versions of secrets with many or long ones (`bao kv destroy -mount=secret -versions=1,2 PATH`), "
    "or lower their `max_versions`, which counts from the next write on."
)

_SECONDS = 30.0
"""For how long versions are read; the token for that lives a minute."""


def secret_words(store: SecretStore, clock: Callable[[], float] = time.monotonic) -> Words:
    """A function that returns the values of all secrets in an environment's folder, which its jobs can read.

    Also the earlier ones that OpenBao still has: they are in older lines, and jobs may still use them. It raises
    `BackendError`, and `NotAllowedNow` for an environment with more than are read, whose output isn't shown.
    """

    def words(owner: Owner) -> Sequence[str]:
        until = clock() + _SECONDS
        paths = store.paths(kv_prefix(owner.name), MOST + 1)
        if len(paths) > MOST:
            raise _too_many(owner, f"more than {MOST} secrets", "Remove secrets that it doesn't need.")
        places: list[tuple[str, int]] = []
        for path in paths:
            places += [(path, number) for number in store.versions(path)]
            if len(places) > MOST_VERSIONS:
                raise _too_many(owner, f"more than {MOST_VERSIONS} versions of its secrets", _FEWER_VERSIONS)
            _check(clock() < until)
        if not places:
            return ()
        found: dict[str, None] = {}
        size = 0
        with store.of(owner.name) as folder:
            for value in _values(folder, places):
                _check(clock() < until)
                seen: set[str] = set()
                for word in texts_of(value):
                    if len(word) >= SHORTEST and word not in found:
                        found[word] = None
                        counted = word.replace(", ", ",").replace(": ", ":")  # JSON with and without spaces is one
                        size += 0 if counted in seen else _size(word)
                        seen.add(counted)
                if size > MOST_BYTES:
                    told = f"more than {MOST_BYTES:,} bytes in its secrets and their earlier values"
                    raise _too_many(owner, told, _FEWER_VERSIONS)
        return list(found)

    return words


def _values(folder: SecretFolder, places: Sequence[tuple[str, int]]) -> Iterator[Any]:
    for path, number in places:
        yield from (folder.version(path, number) or {}).values()


def _size(word: str) -> int:
    """The lines of a value are looked for by themselves, too."""
    lines = word.encode(errors="surrogatepass").split(b"\n")
    return sum(max(_LEAST_BYTES, len(line)) for line in lines if len(line) >= SHORTEST or len(lines) == 1)


def _too_many(owner: Owner, what: str, hint: str) -> NotAllowedNow:
    return NotAllowedNow(
        f"The output of {owner.name!r} can't be shown: it has {what}, and no more are removed from it.", hint=hint
    )


def _check(in_time: bool) -> None:
    if not in_time:
        raise BackendUnavailable("OpenBao takes too long to give the secrets of the environment.")
