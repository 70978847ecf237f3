"""The client's calls about previews."""

from environments.client.connection import Connection
from environments.wire.previews import PreviewView


class PreviewCalls(Connection):
    """Reading previews. See `environments.client.http.Client`."""

    def previews(self, *, ended: bool = False) -> list[PreviewView]:
        """Previews by repository and number, with `ended` also those that have ended in the last 30 days."""
        return self._pages("/v1/previews", PreviewView, {"ended": ended})
