"""Reads the values of an environment's secrets, which are removed from its jobs' output before that is quoted."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from environments.domain.errors import BackendUnavailable
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
"""The most bytes of all values together, in UTF-8: their forms take up to 400 times as much memory."""

_LEAST_BYTES = 32
"""As how many bytes a shorter value counts: its forms take no less memory."""

_SECONDS = 30.0
"""For how long versions are read; the token for that lives a minute."""


def secret_words(store: SecretStore, clock: Callable[[], float] = time.monotonic) -> Words:
    """A function that returns the values of all secrets in an environment's folder, which its jobs can read.

    Also the earlier ones that OpenBao still has: they are in older lines, and jobs may still use them.
    """

    def words(owner: Owner) -> Sequence[str] | None:
        until = clock() + _SECONDS
        paths = store.paths(kv_prefix(owner.name), MOST + 1)
        if len(paths) > MOST:
            return None
        places: list[tuple[str, int]] = []
        for path in paths:
            places += [(path, number) for number in store.versions(path)]
            if len(places) > MOST_VERSIONS:
                return None
            _check(clock() < until)
        if not places:
            return ()
        found: dict[str, None] = {}
        size = 0
        with store.of(owner.name) as folder:
            for value in _values(folder, places):
                _check(clock() < until)
                for word in texts_of(value):
                    if len(word) >= SHORTEST and word not in found:
                        found[word] = None
                        size += max(_LEAST_BYTES, len(word.encode(errors="surrogatepass")))
                if size > MOST_BYTES:
                    return None
        return list(found)

    return words


def _values(folder: SecretFolder, places: Sequence[tuple[str, int]]) -> Iterator[Any]:
    for path, number in places:
        yield from (folder.version(path, number) or {}).values()


def _check(in_time: bool) -> None:
    if not in_time:
        raise BackendUnavailable("OpenBao takes too long to give the secrets of the environment.")
