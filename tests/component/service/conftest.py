"""The clock of tests about time, and the world of tests about previews."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import SetClock
from tests.support.preview_world import PreviewWorld


@pytest.fixture
def clock() -> SetClock:
    """A clock that stands at `MONDAY` until a test moves it."""
    return SetClock()


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., PreviewWorld]:
    """Makes the world of previews, with a rule of the trigger as keyword arguments."""

    def make(**more: Any) -> PreviewWorld:
        return PreviewWorld(tmp_path, **more)

    return make
