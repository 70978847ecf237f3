"""The words of an environment's secrets, which are removed from its jobs' output before that is quoted."""

from collections.abc import Callable, Sequence

from environments.steps.base import Owner

Words = Callable[[Owner], Sequence[str] | None]
"""The words of an environment; None if not all are known. Raises `BackendError`, `NotAllowedNow` for too many."""


def no_words(_owner: Owner) -> Sequence[str]:
    """No words, for what has no secrets."""
    return ()
