"""What is secret of webhooks, and the port to where it is kept. No database holds it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from environments.service.storage.webhooks import Webhook


@dataclass(frozen=True)
class HeldSecrets:
    """The secret by which deliveries are known, the one before it until a moment, and the token for the forge."""

    secret: str = field(repr=False)
    previous: str = field(default="", repr=False)
    previous_until: datetime | None = None
    token: str = field(default="", repr=False)

    def valid(self, now: datetime) -> tuple[str, ...]:
        """The secrets that are valid at a moment: one, or two during a rotation."""
        overlaps = self.previous and self.previous_until is not None and now < self.previous_until
        return (self.secret, self.previous) if overlaps else (self.secret,)


class WebhookSecrets(Protocol):
    """Where they are kept. Every method raises `BackendError` and its kin, within a bounded time."""

    def read(self, webhook: Webhook) -> HeldSecrets | None:
        """Those of a webhook; a webhook that was deleted and made again has others."""
        ...

    def write(self, webhook: Webhook, secrets: HeldSecrets) -> None:
        """Replaces them."""
        ...

    def remove(self, webhook: Webhook) -> None:
        """Removes them, if there are any."""
        ...
