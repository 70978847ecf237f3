"""The words of an environment's secrets, which are taken out of what its jobs wrote before that is quoted."""

from collections.abc import Callable, Sequence

from environments.steps.base import Owner

Words = Callable[[Owner], Sequence[str] | None]
"""The words of an environment; None where they can't all be told. Raises `BackendError`."""


def no_words(_owner: Owner) -> Sequence[str]:
    """For who has no secrets."""
    return ()
