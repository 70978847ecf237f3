"""What tests of single parts on the real ones share."""

from collections.abc import Iterator

import pytest

from tests.support.image_checkout import image_checkout
from tests.support.second_machine import Link, linked

__all__ = ["image_checkout"]


@pytest.fixture
def link() -> Iterator[Link]:
    """A second machine, which is a network namespace."""
    with linked() as link:
        yield link
