"""What doit records of tasks: nothing, because no task here depends on files.

So no file of records can be broken, locked, full or read-only, and keep a task from running.
"""

import os
from typing import Any

RECORDS_FILE = os.devnull


class NoRecords:
    """A codec of doit's JSON backend whose file is always empty."""

    def encode(self, data: object) -> str:
        """The text to write."""
        return ""

    def decode(self, data: str) -> dict[str, Any]:
        """The records in a text that was read."""
        return {}
