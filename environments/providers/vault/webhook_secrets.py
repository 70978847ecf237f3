"""Secrets of webhooks in OpenBao: `secret/webhooks/<name>/<moment of its making>`.

The policy of workloads covers the folder of their environment alone, so no job reads them.
"""

from datetime import UTC, datetime
from typing import Any

from environments.domain.errors import BackendError
from environments.providers.vault.ports import SecretStore
from environments.service.storage.webhooks import Webhook
from environments.service.webhook_secrets import HeldSecrets

WEBHOOKS = "webhooks"
"""The folder of the mount `secret`."""

_ATTEMPTS = 3


class OpenBaoWebhookSecrets:
    """Implements `WebhookSecrets`."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets

    def read(self, webhook: Webhook) -> HeldSecrets | None:
        """See `WebhookSecrets`."""
        data = self._secrets.read(_path(webhook))
        if not data or not isinstance(data.get("secret"), str):
            return None
        return HeldSecrets(
            secret=data["secret"],
            previous=_text(data, "previous"),
            previous_until=_moment(_text(data, "previous_until")),
            token=_text(data, "token"),
        )

    def write(self, webhook: Webhook, secrets: HeldSecrets) -> None:
        """See `WebhookSecrets`."""
        until = secrets.previous_until
        data = {
            "secret": secrets.secret,
            "previous": secrets.previous,
            "previous_until": until.isoformat() if until else "",
            "token": secrets.token,
        }
        path = _path(webhook)
        for _ in range(_ATTEMPTS):
            head = self._secrets.head(path)
            if self._secrets.write(path, data, 0 if head is None else head.version):
                return
        raise BackendError(f"The secrets of webhook {webhook.name} are written by somebody else all the time.")

    def remove(self, webhook: Webhook) -> None:
        """See `WebhookSecrets`."""
        self._secrets.remove(_path(webhook))


def _path(webhook: Webhook) -> str:
    return f"{WEBHOOKS}/{webhook.name}/{webhook.created_at.astimezone(UTC):%Y%m%dT%H%M%S%f}"


def _text(data: dict[str, Any], key: str) -> str:
    found = data.get(key)
    return found if isinstance(found, str) else ""


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
