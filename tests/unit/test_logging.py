"""The service's log: what libraries write into it is brief."""

import logging
import sys
from collections.abc import Iterator

import pytest

from environments.logging import configure_logging


@pytest.fixture
def configured() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    configure_logging("json")
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("configured")
def test_what_a_library_caught_is_told_in_a_line_without_a_traceback() -> None:
    (handler,) = logging.getLogger().handlers
    try:
        raise ConnectionError("the connection is lost\nand more")
    except ConnectionError:
        logger = logging.getLogger("sqlalchemy.pool")
        record = logger.makeRecord("sqlalchemy.pool", logging.ERROR, "", 1, "Error closing cursor", (), None)
        record.exc_info = sys.exc_info()
    assert handler.format(record) == (
        "ERROR sqlalchemy.pool: Error closing cursor\nConnectionError: the connection is lost"
    )
