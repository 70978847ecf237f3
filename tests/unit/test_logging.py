"""The service's log: what libraries write into it is brief."""

import logging
import sys

import pytest

from environments.logging import configure_logging


def test_what_a_library_caught_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    configure_logging("json")
    (handler,) = root.handlers
    record = logging.LogRecord("sqlalchemy.pool", logging.ERROR, "", 1, "Error closing cursor", (), None)
    try:
        raise ConnectionError("the connection is lost\nand more")
    except ConnectionError:
        record.exc_info = sys.exc_info()
    assert handler.format(record) == (
        "ERROR sqlalchemy.pool: Error closing cursor\nConnectionError: the connection is lost"
    )
