"""The service's log: what libraries write into it is brief."""

import json
import logging
import sys

import pytest

from environments.logging import configure_logging


def caught(monkeypatch: pytest.MonkeyPatch, format: str) -> str:
    """How a library's line about an exception is written."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    configure_logging(format)
    (handler,) = root.handlers
    record = logging.LogRecord("sqlalchemy.pool", logging.ERROR, "", 1, "Error closing cursor", (), None)
    try:
        raise ConnectionError("the connection is lost\nand more")
    except ConnectionError:
        record.exc_info = sys.exc_info()
    return handler.format(record)


def test_what_a_library_caught_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(monkeypatch, "console") == (
        "ERROR sqlalchemy.pool: Error closing cursor\nConnectionError: the connection is lost"
    )


def test_lines_of_libraries_are_json_where_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    written = caught(monkeypatch, "json")
    assert "\n" not in written
    line = json.loads(written)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "logger": "sqlalchemy.pool",
        "event": "Error closing cursor",
        "level": "error",
        "exception": "ConnectionError: the connection is lost",
    }
