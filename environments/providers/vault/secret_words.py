"""Reads the values of an environment's secrets, which are removed from its jobs' output before that is quoted."""

from collections.abc import Sequence

from environments.domain.cleaning import texts_of
from environments.domain.names import kv_prefix
from environments.providers.vault.ports import SecretStore
from environments.steps.base import Owner
from environments.steps.secret_words import Words

SHORTEST = 8
"""The least characters of a value that is removed: shorter ones, such as a user's name or a port, are in many texts."""

MOST = 50
"""The most secrets that are read; for environments with more, no output is quoted."""


def secret_words(store: SecretStore) -> Words:
    """A function that returns the values of all secrets in an environment's folder, which its jobs can read."""

    def words(owner: Owner) -> Sequence[str] | None:
        paths = store.paths(kv_prefix(owner.name))
        if len(paths) > MOST:
            return None
        values = (value for path in paths for value in (store.read(path) or {}).values())
        return [word for value in values for word in texts_of(value) if len(word) >= SHORTEST]

    return words
