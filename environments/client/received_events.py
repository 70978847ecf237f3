"""The client's calls about received events."""

from environments.client.connection import Connection, Query
from environments.client.names import name_part as _part
from environments.wire.received_events import ReceivedEventDetailsView, ReceivedEventView


class ReceivedEventCalls(Connection):
    """Read received events, and replay one. See `environments.client.http.Client`."""

    def received_events(self, asked: Query, most: int) -> list[ReceivedEventView]:
        """The newest ones, at most so many, by `source`, `subject`, `environment` and `state`."""
        query = {**asked, "limit": min(most, 200)}
        return self._pages("/v1/received-events", ReceivedEventView, query, most)

    def received_event(self, event_id: str) -> ReceivedEventDetailsView:
        """One received event with its firings."""
        return self._read(self._get(f"/v1/received-events/{_part(event_id)}"), ReceivedEventDetailsView)

    def replay_event(self, event_id: str) -> ReceivedEventView:
        """Receives an event again (admins)."""
        return self._read(self._send("POST", f"/v1/received-events/{_part(event_id)}/replay"), ReceivedEventView)
