"""The words of an environment's secrets, which are removed from the output of its jobs before that is quoted."""

from collections.abc import Sequence

from environments.domain.cleaning import texts_of
from environments.domain.names import kv_prefix
from environments.providers.vault.ports import SecretStore
from environments.steps.base import Owner
from environments.steps.secret_words import Words

SHORTEST = 8
"""Characters of a value that counts as a word: shorter ones, such as a user's name or a port, are in many texts."""

MOST = 50
"""Secrets that are read; for environments with more, no output is quoted."""


def secret_words(store: SecretStore) -> Words:
    """Those of everything in an environment's folder in OpenBao, which its jobs can read."""

    def words(owner: Owner) -> Sequence[str] | None:
        paths = store.paths(kv_prefix(owner.name))
        if len(paths) > MOST:
            return None
        values = (value for path in paths for value in (store.read(path) or {}).values())
        return [word for value in values for word in texts_of(value) if len(word) >= SHORTEST]

    return words
