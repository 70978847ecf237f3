"""Which webhooks there are, and their secrets, as far as deliveries need them: kept in memory for seconds.

So a delivery asks neither OpenBao nor, until it is stored, the database; and what strangers send costs no more than a
signature.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from environments.domain.errors import CalvinverseError
from environments.service.storage.transaction import Storage
from environments.service.storage.webhooks import Webhook
from environments.service.webhook_secrets import HeldSecrets, WebhookSecrets

KEPT_SECRETS = 30.0
"""Seconds that secrets are used without a look into OpenBao."""

KEPT_NAMES = 1.0
"""Seconds likewise for which webhooks there are, and when their secrets were replaced."""

AGAIN = 0.2
"""Seconds after which a signature that doesn't fit lets the service look again."""


class Known(NamedTuple):
    """A webhook and its secrets, None if there are none, read at a moment of the monotonic clock."""

    webhook: Webhook
    secrets: HeldSecrets | None
    read_at: float


class _Reader:
    """Lets one thread read the secrets of a webhook, and remembers for a moment that it failed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failed_at: float | None = None
        self.error: CalvinverseError | None = None


class DeliveryKeys:
    """May be used by several threads. While the secrets of one webhook are read, others' deliveries go on."""

    def __init__(
        self, storage: Storage, secrets: WebhookSecrets, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._storage = storage
        self._secrets = secrets
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._webhooks: dict[str, Webhook] = {}
        self._looked_at: float | None = None
        self._known: dict[str, Known] = {}
        self._readers: dict[str, _Reader] = {}
        self._failed: tuple[float, CalvinverseError] | None = None
        """When the database last couldn't be read, and why: those who wait for it aren't kept waiting one by one."""

    def find(self, name: str, *, again: bool = False) -> Known | None:
        """The webhook of a name and its secrets; None if there is none.

        `again`: because what was found before doesn't fit. Raises `StorageError`, `BackendError`.
        """
        with self._lock:
            now = self._monotonic()
            if self._looked_at is None or now - self._looked_at >= (AGAIN if again else KEPT_NAMES):
                self._look(now)
            webhook = self._webhooks.get(name)
            if webhook is None:
                return None
            known = self._fresh(webhook, now)
            reader = self._readers.setdefault(name, _Reader())
        return known or self._read(webhook, reader)

    def has(self, name: str) -> bool:
        """Whether there was a webhook of that name when somebody last looked."""
        with self._lock:
            return name in self._webhooks

    def forget(self) -> None:
        """What was found before isn't used any more: a webhook was made, changed or removed here."""
        with self._lock:
            self._looked_at = None
            self._known.clear()
            self._readers.clear()

    def _look(self, now: float) -> None:
        if self._failed is not None and now - self._failed[0] < KEPT_NAMES:
            raise self._failed[1]
        try:
            with self._storage.read() as tx:
                found = {webhook.name: webhook for webhook in tx.webhooks.all()}
        except CalvinverseError as error:
            self._failed = self._monotonic(), error
            raise
        self._failed = None
        self._webhooks, self._looked_at = found, now
        self._known = {name: known for name, known in self._known.items() if name in found}
        self._readers = {name: reader for name, reader in self._readers.items() if name in found}

    def _fresh(self, webhook: Webhook, now: float) -> Known | None:
        known = self._known.get(webhook.name)
        if known is None or not same(known.webhook, webhook) or now - known.read_at >= KEPT_SECRETS:
            return None
        return known

    def _read(self, webhook: Webhook, reader: _Reader) -> Known:
        with reader.lock:
            now = self._monotonic()
            with self._lock:
                known = self._fresh(webhook, now)
            if known is not None:
                return known  # another thread has read them meanwhile
            if reader.error is not None and reader.failed_at is not None and now - reader.failed_at < KEPT_NAMES:
                raise reader.error
            try:
                known = Known(webhook, self._secrets.read(webhook), now)
            except CalvinverseError as error:
                reader.error, reader.failed_at = error, self._monotonic()
                raise
            reader.error = None
            with self._lock:
                self._known[webhook.name] = known
            return known


def same(one: Webhook, other: Webhook) -> bool:
    """Whether it is the same webhook with the same secrets."""
    return (one.created_at, one.rotated_at) == (other.created_at, other.rotated_at)
