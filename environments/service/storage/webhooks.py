"""The port to the database: webhooks. Their secrets are in OpenBao."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from environments.domain.webhook_use import WebhookUse
from environments.service.pages import Page


@dataclass(frozen=True)
class Webhook:
    """A named address that takes deliveries. `address`: where the forge's API is; empty where there is none.

    `allowed`: addresses (`host:port`) that an admin allows although the guard of outgoing calls refuses them.
    `repositories`: see `WebhookUse`.
    """

    name: str
    kind: str
    address: str
    allowed: tuple[str, ...]
    created_by: str
    created_at: datetime
    rotated_at: datetime | None = None
    last_at: datetime | None = None
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsedWebhook(Webhook):
    """A webhook with the subjects that may use it, beside admins."""

    users: tuple[str, ...] = ()


class Webhooks(Protocol):
    """Reading and writing webhooks."""

    def add(self, webhook: Webhook, users: Collection[str] = ()) -> None:
        """Adds a webhook that these subjects, and admins, may use. Raises `NameTaken`."""
        ...

    def get(self, name: str) -> Webhook | None:
        """One webhook."""
        ...

    def all(self, *, after: str = "", limit: int | None = None) -> Page[Webhook]:
        """By name, behind the name `after`; at most `limit`."""
        ...

    def change(self, name: str, **values: Any) -> None:
        """Writes the named fields; does nothing if there is no such webhook."""
        ...

    def use(self, name: str) -> WebhookUse | None:
        """Who may use it, and for what; None if there is no such webhook."""
        ...

    def uses(self, names: Collection[str] | None = None) -> Mapping[str, WebhookUse]:
        """Likewise of all webhooks, or of those of these names, by name."""
        ...

    def set_users(self, name: str, users: Collection[str]) -> None:
        """Says anew which subjects may use it."""
        ...

    def remove(self, name: str) -> bool:
        """Removes it; False if there was none."""
        ...
