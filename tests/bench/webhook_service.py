"""`calvinverse serve` whose secrets of webhooks are in memory and take as long as OpenBao's: no cluster is needed."""

import sys
import time

from environments.bootstrap import events
from environments.cli import main
from environments.service.storage.webhooks import Webhook
from environments.service.webhook_secrets import HeldSecrets

LATENCY = 0.02
"""Seconds that reading or writing one takes."""


class SlowSecrets:
    """Implements `WebhookSecrets`."""

    def __init__(self, *_: object) -> None:
        self._held: dict[str, HeldSecrets] = {}

    def read(self, webhook: Webhook) -> HeldSecrets | None:
        """See `WebhookSecrets`."""
        time.sleep(LATENCY)
        return self._held.get(webhook.name)

    def write(self, webhook: Webhook, secrets: HeldSecrets) -> None:
        """See `WebhookSecrets`."""
        time.sleep(LATENCY)
        self._held[webhook.name] = secrets

    def remove(self, webhook: Webhook) -> None:
        """See `WebhookSecrets`."""
        self._held.pop(webhook.name, None)


if __name__ == "__main__":
    events.OpenBaoWebhookSecrets = SlowSecrets  # type: ignore[attr-defined, assignment]
    sys.argv[1:] = ["serve", *sys.argv[1:]]
    main()
