"""Stored events, page by page."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from environments.client import Client
    from environments.domain.environment import Event

PAGE = 1000
"""Events of one request; the service's maximum."""


def newest_events(client: "Client", environment_id: str) -> "Iterator[Event]":
    """The stored events of an environment, the newest first."""
    before: int | None = None
    while page := client.newest_history(environment_id, before=before, limit=PAGE):
        yield from reversed(page)
        before = page[0].id


def stored_events(client: "Client", environment_id: str, after: int) -> "Iterator[Event]":
    """The stored events of an environment whose ids are greater than `after`, the oldest first."""
    while page := client.history(environment_id, after=after, limit=PAGE):
        yield from page
        after = page[-1].id
