"""Deliveries of any program, signed as in Standard Webhooks 1.0 (https://www.standardwebhooks.com)."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from environments.domain.received_event import NewReceivedEvent, Source, fields_of
from environments.providers.forges.signatures import fits_standard
from environments.service.webhook_kinds import Delivered, Ignored

_APART = 300
"""Seconds that the timestamp of a delivery may be from now."""

_LONGEST_TIMESTAMP = 12


class Generic:
    """Signs id, timestamp and body."""

    name = "generic"
    takes_forms = False
    signs = True

    def new_secret(self, random: bytes) -> str:
        """`whsec_` and base64."""
        return f"whsec_{base64.b64encode(random).decode()}"

    def is_signed(self, delivered: Delivered) -> bool:
        """See `WebhookKind`."""
        return all(f"webhook-{name}" in delivered.headers for name in ("id", "timestamp", "signature"))

    def fits(self, delivered: Delivered, secrets: Sequence[str]) -> bool:
        """See `WebhookKind`."""
        id, timestamp = self.delivery_id(delivered), delivered.headers.get("webhook-timestamp", "")
        signatures = delivered.headers.get("webhook-signature", "")
        return fits_standard(signatures, id, timestamp, delivered.body, secrets)

    def is_of_now(self, delivered: Delivered) -> bool:
        """Within five minutes."""
        return _is_of_now(delivered.headers.get("webhook-timestamp", ""), delivered.at)

    def delivery_id(self, delivered: Delivered) -> str:
        """See `WebhookKind`."""
        return delivered.headers.get("webhook-id", "")

    def events(
        self, origin: str, delivery: str, delivered: Delivered, payload: Any
    ) -> Sequence[NewReceivedEvent] | Ignored:
        """One event, with the scalar members of the payload as fields."""
        members = payload if isinstance(payload, dict) else {}
        scalars = {name: value for name, value in members.items() if isinstance(value, str | int | bool | float)}
        return [
            NewReceivedEvent(
                source=Source.WEBHOOK,
                kind="received",
                origin=origin,
                delivery=delivery,
                subject=origin,
                fields=fields_of({**scalars, "webhook": origin}),
                at=_moment(delivered.headers.get("webhook-timestamp", "")),
            )
        ]


def _is_of_now(timestamp: str, now: datetime) -> bool:
    at = _moment(timestamp)
    return at is not None and abs((now - at).total_seconds()) <= _APART


def _moment(timestamp: str) -> datetime | None:
    """None for what is no timestamp: a dry run is given any delivery."""
    if not (timestamp.isascii() and timestamp.isdecimal()) or len(timestamp) > _LONGEST_TIMESTAMP:
        return None
    try:
        return datetime.fromtimestamp(int(timestamp), UTC)
    except (OverflowError, ValueError, OSError):
        return None
