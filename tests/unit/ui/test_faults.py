"""What a page says of an error: only what is certain."""

import pytest

from environments.domain.errors import (
    CalvinverseError,
    DatabaseUnavailable,
    DiskFull,
    Forbidden,
    NoAnswer,
    ServiceUnavailable,
    TooManyRequests,
    Unauthenticated,
)
from environments.ui.faults import surely_undone


@pytest.mark.parametrize(
    ("kind", "undone"),
    [
        (Unauthenticated, True),
        (Forbidden, True),
        (TooManyRequests, True),
        (ServiceUnavailable, True),
        (NoAnswer, False),
        (DatabaseUnavailable, False),  # also where it was lost while it wrote
        (DiskFull, False),
        (CalvinverseError, False),
    ],
)
def test_only_what_is_certain_is_called_undone(kind: type[CalvinverseError], undone: bool) -> None:
    assert surely_undone(kind("It is so.")) is undone
