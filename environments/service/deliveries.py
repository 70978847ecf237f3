"""Takes deliveries of webhooks: checks the signature over the raw body, then reads it, then stores what it tells.

The answer to what isn't signed doesn't tell whether there is a webhook of that name.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from environments.domain.errors import (
    BackendError,
    BackendUnavailable,
    DeliveryUnreadable,
    DeliveryUnsigned,
    NotJson,
    RequestTooLarge,
)
from environments.domain.json_values import parse_json
from environments.domain.received_event import NewReceivedEvent
from environments.service.delivery_keys import DeliveryKeys, Known, same
from environments.service.rates import Rate, site_of
from environments.service.receiving import Receiving
from environments.service.refused_counts import UNKNOWN, RefusedCounts
from environments.service.storage.transaction import Storage, Transaction
from environments.service.storage.webhooks import Webhook
from environments.service.together import Together
from environments.service.webhook_kinds import Delivered, Ignored, WebhookKind
from environments.service.webhook_reasons import KNOWN, OLD_TIMESTAMP, UNKNOWN_NAME, UNSIGNED, WRONG_SIGNATURE, said

LARGEST_DELIVERY = 5 * 1024 * 1024
"""Bytes of a body."""

DEEPEST = 64
"""Levels of nesting of its JSON."""

MOST_PARTS = 300_000
"""Values, names and escaped characters of its JSON: parsing makes an object of each."""

TOO_OLD = timedelta(days=30)
"""How long ago something may have happened that a forge tells of. Ids of deliveries are kept longer."""

WRONG_EACH_MINUTE = 60
"""Deliveries of one address that aren't signed as they must be; further ones are told to wait, and not counted.

Whoever signs is never told to wait: a forge sends the deliveries of all its users from the same addresses.
"""

_LONGEST_ID = 120
"""Characters of a delivery's id; a longer one is replaced by its digest."""

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class Taken(NamedTuple):
    """What became of a delivery: the id of its event and whether it is new, or why it was left."""

    event: str = ""
    new: bool = False
    ignored: str = ""


class _Told(NamedTuple):
    """What a delivery to a webhook tells."""

    webhook: Webhook
    events: Sequence[NewReceivedEvent]


class Deliveries:
    """Takes deliveries. May be used by several threads."""

    def __init__(
        self,
        storage: Storage,
        receiving: Receiving,
        keys: DeliveryKeys,
        kinds: Mapping[str, WebhookKind],
        counts: RefusedCounts,
        clock: Callable[[], datetime],
    ) -> None:
        self._receiving = receiving
        self._keys = keys
        self._kinds = kinds
        self._counts = counts
        self._clock = clock
        self._together: Together[_Told, list[tuple[str, bool]] | None] = Together(storage, self._store)
        self._wrong = Rate(WRONG_EACH_MINUTE, "deliveries that aren't signed came from one address")

    def take(self, name: str, headers: Mapping[str, str], body: bytes, address: str) -> Taken:
        """Takes a delivery; what it tells is stored when this returns.

        `headers` have names in lower case. Raises `DeliveryUnsigned`, `TooManyRequests`, `NotJson`,
        `DeliveryUnreadable`, `StorageError`, and `BackendUnavailable` while the secrets can't be read.
        """
        delivered = Delivered(headers, body, self._clock())
        known, kind = self._signed(name, delivered, address)
        self._counts.seen(name)
        try:
            payload = _payload(kind, delivered)
        except (NotJson, DeliveryUnreadable) as error:
            self._counts.note(name, error.code, address)
            raise
        events = kind.events(name, _delivery_id(kind, delivered), delivered, payload)
        if not isinstance(events, Ignored) and _is_too_old(events, delivered.at):
            events = Ignored("too_old")
        if isinstance(events, Ignored):
            self._counts.note(name, events.why, address)
            return Taken(ignored=f"{events.why}: {said(events.why)}")
        stored = self._together.write(_Told(known.webhook, events))
        if stored is None:
            raise self._refused(UNKNOWN, UNKNOWN_NAME, address)
        if any(new for _, new in stored):
            self._receiving.wake()
        else:
            self._counts.note(name, KNOWN, address)
        return Taken(*stored[0])

    def too_large(self, name: str, address: str) -> None:
        """Counts a delivery that wasn't read, because it is too large. Raises `TooManyRequests`."""
        self._wrong.count(site_of(address))
        self._counts.note(name if self._keys.has(name) else UNKNOWN, RequestTooLarge.code, address)

    def _store(self, tx: Transaction, told: Sequence[_Told]) -> list[list[tuple[str, bool]] | None]:
        """None for those whose webhook was removed since its secrets were read."""
        found = {name: tx.webhooks.get(name) for name in sorted({one.webhook.name for one in told})}
        kept = [_is_same(found[one.webhook.name], one.webhook) for one in told]
        stored = iter(
            self._receiving.receive_in(
                tx, [event for one, there in zip(told, kept, strict=True) if there for event in one.events]
            )
        )
        return [list(islice(stored, len(one.events))) if there else None for one, there in zip(told, kept, strict=True)]

    def _signed(self, name: str, delivered: Delivered, address: str) -> tuple[Known, WebhookKind]:
        """The webhook whose secret signed the delivery."""
        known = self._find(name)
        kind = self._fits(known, delivered)
        if kind is None:
            again = self._find(name, again=True)
            moved = again is not None and (known is None or not same(again.webhook, known.webhook))
            if moved:
                known, kind = again, self._fits(again, delivered)
        if known is not None and kind is not None:
            if kind.is_of_now(delivered):
                return known, kind
            raise self._refused(name, OLD_TIMESTAMP, address)
        if known is None:
            raise self._refused(UNKNOWN, UNKNOWN_NAME, address)
        signed = self._kinds[known.webhook.kind].is_signed(delivered)
        raise self._refused(name, WRONG_SIGNATURE if signed else UNSIGNED, address)

    def _find(self, name: str, *, again: bool = False) -> Known | None:
        try:
            return self._keys.find(name, again=again)
        except BackendError as error:
            raise BackendUnavailable("The secrets of webhooks can't be read now.", hint="Send it again.") from error

    def _fits(self, known: Known | None, delivered: Delivered) -> WebhookKind | None:
        """The kind of the webhook, if the delivery is signed with a secret of it."""
        if known is None or known.secrets is None or known.webhook.kind not in self._kinds:
            return None
        kind = self._kinds[known.webhook.kind]
        return kind if kind.fits(delivered, known.secrets.valid(delivered.at)) else None

    def _refused(self, webhook: str, reason: str, address: str) -> DeliveryUnsigned:
        """Counts a delivery that isn't signed. Raises `TooManyRequests` instead if there are too many of an address."""
        self._wrong.count(site_of(address))
        self._counts.note(webhook, reason, address)
        return DeliveryUnsigned("The delivery isn't signed with the secret of a webhook of this name.")


def _is_same(found: Webhook | None, webhook: Webhook) -> bool:
    return found is not None and found.created_at == webhook.created_at


def _payload(kind: WebhookKind, delivered: Delivered) -> Any:
    """The JSON of a delivery. Raises `NotJson`, `DeliveryUnreadable`."""
    given = delivered.headers.get("content-type", "").partition(";")[0].strip().lower()
    content: str | bytes = delivered.body
    if given == _FORM and kind.takes_forms:
        content = _from_form(delivered.body)
    elif given != _JSON:
        raise NotJson(
            "The body of the delivery is not JSON.", hint="Set the content type to application/json at the sender."
        )
    plain = content.encode() if isinstance(content, str) else content
    if sum(map(plain.count, (b"[", b"{", b",", b"\\"))) > MOST_PARTS:
        raise DeliveryUnreadable(f"The delivery holds more than {MOST_PARTS} values, names and escaped characters.")
    try:
        payload = parse_json(content, DEEPEST)
    except ValueError as error:
        raise DeliveryUnreadable(f"The body of the delivery is not JSON: {error}.") from error
    if not isinstance(payload, dict):
        raise DeliveryUnreadable("The body of the delivery is not a JSON object.")
    return payload


def _from_form(body: bytes) -> str:
    try:
        fields = parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=4, errors="strict")
    except ValueError:
        fields = []
    payloads = [value for field, value in fields if field == "payload"]
    if len(payloads) != 1:
        raise DeliveryUnreadable("The form has no field `payload`.")
    return payloads[0]


def _delivery_id(kind: WebhookKind, delivered: Delivered) -> str:
    """The sender's id; without one the digest of the body, so that the same delivery has the same id."""
    given = kind.delivery_id(delivered)
    if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable() and "#" not in given:
        return given
    return "sha256:" + hashlib.sha256(given.encode(errors="replace") or delivered.body).hexdigest()


def _is_too_old(events: Sequence[NewReceivedEvent], now: datetime) -> bool:
    return any(event.at is not None and now - event.at > TOO_OLD for event in events)
