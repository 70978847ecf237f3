"""The port to the database: webhooks. Their secrets are in OpenBao."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from environments.service.pages import Page


@dataclass(frozen=True)
class Webhook:
    """A named address that takes deliveries. `address`: where the forge's API is; empty where there is none.

    `allowed`: addresses (`host:port`) that an admin allows although the guard of outgoing calls refuses them.
    """

    name: str
    kind: str
    address: str
    allowed: tuple[str, ...]
    created_by: str
    created_at: datetime
    rotated_at: datetime | None = None
    last_at: datetime | None = None


class Webhooks(Protocol):
    """Reading and writing webhooks."""

    def add(self, webhook: Webhook) -> None:
        """Adds a webhook. Raises `NameTaken`."""
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

    def remove(self, name: str) -> bool:
        """Removes it; False if there was none."""
        ...
