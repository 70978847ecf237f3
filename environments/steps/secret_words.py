"""The words of an environment's secrets, which are removed from its jobs' output before that is quoted."""

from collections.abc import Callable, Sequence

from environments.steps.base import Owner

Words = Callable[[Owner], Sequence[str]]
"""All words of an environment. Raises `BackendError`, and `NotAllowedNow` for too many."""


def no_words(_owner: Owner) -> Sequence[str]:
    """No words, for what has no secrets."""
    return ()
