"""The client's calls about webhooks."""

from environments.client.connection import Connection
from environments.client.names import name_part as _part
from environments.wire.webhooks import (
    ForgeCheckView,
    ForgeTokenRequest,
    NewWebhookSecret,
    RotateRequest,
    WebhookDetails,
    WebhookRequest,
    WebhookUseRequest,
    WebhookView,
)

_PATH = "/v1/webhooks"


class WebhookCalls(Connection):
    """Webhooks, for admins. See `environments.client.http.Client`."""

    def webhooks(self) -> list[WebhookView]:
        """All webhooks, by name."""
        return self._pages(_PATH, WebhookView)

    def webhook(self, name: str) -> WebhookDetails:
        """One webhook, and what was refused of its deliveries."""
        return self._read(self._get(f"{_PATH}/{_part(name)}"), WebhookDetails)

    def create_webhook(self, request: WebhookRequest) -> NewWebhookSecret:
        """Creates a webhook; only this response has its secret."""
        return self._read(self._send("POST", _PATH, request), NewWebhookSecret)

    def rotate_webhook(self, name: str, request: RotateRequest) -> NewWebhookSecret:
        """Gives it a new secret, which only this response has."""
        return self._read(self._send("POST", f"{_PATH}/{_part(name)}/rotate", request), NewWebhookSecret)

    def set_webhook_token(self, name: str, token: str) -> WebhookView:
        """Gives it another token for its forge."""
        request = ForgeTokenRequest(token=token)
        return self._read(self._send("PUT", f"{_PATH}/{_part(name)}/token", request, again=True), WebhookView)

    def check_webhook(self, name: str) -> ForgeCheckView:
        """Asks its forge."""
        return self._read(self._send("POST", f"{_PATH}/{_part(name)}/check", again=True), ForgeCheckView)

    def set_webhook_use(self, name: str, request: WebhookUseRequest) -> WebhookView:
        """Says who may use it, and for which repositories."""
        return self._read(self._send("PATCH", f"{_PATH}/{_part(name)}", request, again=True), WebhookView)

    def delete_webhook(self, name: str, *, force: bool = False) -> WebhookView:
        """Removes it; `force`: also while previews live by it."""
        query = "?force=true" if force else ""
        return self._read(self._send("DELETE", f"{_PATH}/{_part(name)}{query}"), WebhookView)
