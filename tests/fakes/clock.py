"""A clock that a test sets."""

from datetime import UTC, datetime

MONDAY = datetime(2027, 3, 1, 9, tzinfo=UTC)
"""At nine, UTC."""


class SetClock:
    """A clock (UTC) that stands until a test sets `now`."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now
