"""The clock of tests about time."""

import pytest

from tests.fakes.clock import SetClock


@pytest.fixture
def clock() -> SetClock:
    """A clock that stands at `MONDAY` until a test moves it."""
    return SetClock()
