"""Webhooks: named addresses that take deliveries, which admins make. Their secrets are shown once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from environments.addresses import check_safe_address
from environments.domain.allowed_addresses import MOST_ALLOWED, checked_entry
from environments.domain.deadline import format_duration, parse_duration
from environments.domain.errors import (
    CalvinverseError,
    InvalidInput,
    InvalidLifetime,
    NameTaken,
    NotAllowedNow,
    UnknownWebhook,
)
from environments.domain.names import check_label
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.delivery_keys import DeliveryKeys
from environments.service.forges import Forges
from environments.service.pages import Page
from environments.service.refused_counts import UNKNOWN, RefusedCounts
from environments.service.storage.received_events import RefusedDeliveries
from environments.service.storage.transaction import Storage, Transaction
from environments.service.storage.webhooks import Webhook
from environments.service.webhook_kinds import GENERIC, WebhookKind
from environments.service.webhook_secrets import HeldSecrets, WebhookSecrets

MOST_WEBHOOKS = 200
"""Webhooks of a service."""

OVERLAP = timedelta(days=1)
"""How long a secret that was replaced stays valid, unless an admin says something else."""

LONGEST_OVERLAP = timedelta(days=30)

LONGEST_TOKEN = 4096
"""Characters of a token for a forge."""

_LONGEST_ADDRESS = 500

_NO_ADDRESS = frozenset({"github", "gitlab"})
"""Kinds of forges that are reached without an address: at the public one."""

_OBJECT = "webhook"
_SECRET_BYTES = 32
_REASONS = 50

log = structlog.get_logger()


class NewSecret(NamedTuple):
    """A webhook whose secret is new, and the secret: nobody is told it again."""

    webhook: Webhook
    secret: str
    previous_until: datetime | None = None


class ShownWebhook(NamedTuple):
    """A webhook, and what was refused or left of its deliveries, newest first."""

    webhook: Webhook
    refused: Sequence[RefusedDeliveries]


class Webhooks:
    """Makes, replaces secrets of, shows and removes webhooks. Admins alone may do so."""

    def __init__(
        self,
        storage: Storage,
        secrets: WebhookSecrets,
        keys: DeliveryKeys,
        kinds: dict[str, WebhookKind],
        counts: RefusedCounts,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
        forges: Forges,
    ) -> None:
        """`random` gives so many random bytes that nobody can guess."""
        self._storage = storage
        self._secrets = secrets
        self._keys = keys
        self._kinds = kinds
        self._counts = counts
        self._clock = clock
        self._random = random
        self._forges = forges

    def create(
        self,
        principal: Principal,
        name: str,
        kind: str,
        *,
        address: str = "",
        allowed: Collection[str] = (),
        token: str = "",
    ) -> NewSecret:
        """A new webhook. `address`: of the forge; `allowed`: what may be called for it although it is near.

        Raises `Forbidden`, `InvalidName`, `InvalidInput`, `NameTaken`, `NotAllowedNow`, `BackendError` and its kin.
        """
        check_service(principal, Action.WEBHOOK_MANAGE)
        found = self._kind(kind)
        webhook = Webhook(
            name=check_label(name, "a webhook"),
            kind=kind,
            address=_checked_address(kind, address),
            allowed=_checked_allowed(allowed),
            created_by=principal.owner,
            created_at=self._clock(),
        )
        _check_token(webhook, token)
        secret = found.new_secret(self._random(_SECRET_BYTES))
        self._check_room(principal, name)
        # First the secret: a webhook without one would refuse what it is sent. What a crash leaves in OpenBao is used
        # by no webhook.
        self._secrets.write(webhook, HeldSecrets(secret, token=token))
        try:
            with self._storage.write() as tx:
                may(tx, principal, Action.WEBHOOK_MANAGE)
                tx.webhooks.add(webhook)
                after = {"kind": kind, "address": webhook.address, "allowed": list(webhook.allowed)}
                _note(tx, name, None, {**after, "token": bool(token)})
        except CalvinverseError:
            self._remove_secrets(webhook)
            raise
        self._keys.forget()
        return NewSecret(webhook, secret)

    def list(self, principal: Principal, *, after: str = "", limit: int | None = None) -> Page[Webhook]:
        """Webhooks by name, behind the name `after`, at most `limit`. Raises `Forbidden`."""
        self._write_counts()
        with self._storage.read() as tx:
            may(tx, principal, Action.WEBHOOK_MANAGE)
            return tx.webhooks.all(after=after, limit=limit)

    def show(self, principal: Principal, name: str) -> ShownWebhook:
        """One webhook. Raises `Forbidden`, `UnknownWebhook`."""
        self._write_counts()
        with self._storage.read() as tx:
            webhook = self._found(tx, principal, name)
            return ShownWebhook(webhook, tx.received.refused(name, limit=_REASONS))

    def refused_for_nobody(self, principal: Principal) -> Sequence[RefusedDeliveries]:
        """Deliveries to webhooks that there aren't. Raises `Forbidden`."""
        self._write_counts()
        with self._storage.read() as tx:
            may(tx, principal, Action.WEBHOOK_MANAGE)
            return tx.received.refused(UNKNOWN, limit=_REASONS)

    def rotate(self, principal: Principal, name: str, overlap: str | None = None) -> NewSecret:
        """A new secret; the one before it stays valid for `overlap` (None: a day), an earlier one does not.

        Raises `Forbidden`, `UnknownWebhook`, `InvalidLifetime`, `BackendError` and its kin.
        """
        check_service(principal, Action.WEBHOOK_MANAGE)
        length = OVERLAP if overlap is None else parse_overlap(overlap)
        webhook = self._read(principal, name)
        now = self._clock()
        held = self._secrets.read(webhook)
        secret = self._kind(webhook.kind).new_secret(self._random(_SECRET_BYTES))
        until = now + length if length and held is not None else None
        previous = held.secret if held is not None and until is not None else ""
        token = "" if held is None else held.token
        self._secrets.write(webhook, HeldSecrets(secret, previous, until, token))
        self._changed(principal, webhook, {"secret": "replaced", "previous_until": until and until.isoformat()}, now)
        return NewSecret(replace(webhook, rotated_at=now), secret, until)

    def set_token(self, principal: Principal, name: str, token: str) -> Webhook:
        """Another token for the forge. Raises `Forbidden`, `UnknownWebhook`, `InvalidInput`, `BackendError`."""
        check_service(principal, Action.WEBHOOK_MANAGE)
        webhook = self._read(principal, name)
        _check_token(webhook, token)
        held = self._secrets.read(webhook)
        if held is None:
            raise NotAllowedNow(
                f"Webhook {name} has no secret in OpenBao.", hint=f"Run `calvinverse webhook rotate {name}` first."
            )
        self._secrets.write(webhook, replace(held, token=token))
        self._changed(principal, webhook, {"token": "replaced"}, None)
        return webhook

    def delete(self, principal: Principal, name: str) -> Webhook:
        """Removes a webhook: deliveries are refused at once. Raises `Forbidden`, `UnknownWebhook`."""
        check_service(principal, Action.WEBHOOK_MANAGE)
        with self._storage.write() as tx:
            webhook = self._found(tx, principal, name)
            tx.webhooks.remove(name)
            _note(tx, name, {"kind": webhook.kind, "address": webhook.address}, None)
        self._keys.forget()
        self._remove_secrets(webhook)
        return webhook

    def check(self, principal: Principal, name: str) -> str:
        """Asks the forge; whose account the token is of, empty where the forge doesn't tell.

        Raises `Forbidden`, `UnknownWebhook`, `ForgeRefused`, `ForgeUnavailable`.
        """
        check_service(principal, Action.WEBHOOK_MANAGE)
        self._read(principal, name)
        return self._forges.of(name).account()

    def _changed(self, principal: Principal, webhook: Webhook, after: dict[str, object], now: datetime | None) -> None:
        with self._storage.write() as tx:
            self._found(tx, principal, webhook.name)
            if now is not None:
                tx.webhooks.change(webhook.name, rotated_at=now)
            _note(tx, webhook.name, {}, after)
        self._keys.forget()

    def _read(self, principal: Principal, name: str) -> Webhook:
        with self._storage.read() as tx:
            return self._found(tx, principal, name)

    def _found(self, tx: Transaction, principal: Principal, name: str) -> Webhook:
        may(tx, principal, Action.WEBHOOK_MANAGE)
        webhook = tx.webhooks.get(name)
        if webhook is None:
            names = [one.name for one in tx.webhooks.all()[:MOST_SUGGESTED_FROM]]
            raise UnknownWebhook(told(f"There is no webhook {name[:100]!r}.", name, names))
        return webhook

    def _kind(self, kind: str) -> WebhookKind:
        if kind not in self._kinds:
            raise InvalidInput(
                f"There is no kind of webhook {kind[:50]!r}.", hint=f"Give one of {', '.join(self._kinds)}."
            )
        return self._kinds[kind]

    def _check_room(self, principal: Principal, name: str) -> None:
        """Raises `NameTaken` and `NotAllowedNow` before anything is written to OpenBao."""
        with self._storage.read() as tx:
            may(tx, principal, Action.WEBHOOK_MANAGE)
            if tx.webhooks.get(name) is not None:
                raise NameTaken(f"There is a webhook {name!r} already.", hint="Choose another name, or delete it.")
            if len(tx.webhooks.all()) >= MOST_WEBHOOKS:
                raise NotAllowedNow(
                    f"There are {MOST_WEBHOOKS} webhooks already.", hint="Delete one with `calvinverse webhook delete`."
                )

    def _remove_secrets(self, webhook: Webhook) -> None:
        try:
            self._secrets.remove(webhook)
        except CalvinverseError as error:
            log.warning("webhook.secrets_left", webhook=webhook.name, reason=error.message)

    def _write_counts(self) -> None:
        try:
            self._counts.write()
        except CalvinverseError as error:
            log.warning("webhook.counts_not_written", reason=error.message)


def parse_overlap(text: str) -> timedelta:
    """How long two secrets are valid; `0s`: the old one ends at once. Raises `InvalidLifetime`."""
    length = timedelta() if text in ("0", "0s") else parse_duration(text)
    if length > LONGEST_OVERLAP:
        raise InvalidLifetime(f"Two secrets are valid for {format_duration(LONGEST_OVERLAP)} at most.")
    return length


def _checked_address(kind: str, address: str) -> str:
    """The address of a forge. Raises `InvalidInput`."""
    if kind == GENERIC:
        if address:
            raise InvalidInput("A generic webhook has no forge.", hint="Leave out --forge.")
        return ""
    if not address:
        return ""
    if len(address) > _LONGEST_ADDRESS or not address.isascii() or not address.isprintable():
        raise InvalidInput("That is not the address of a forge.", hint="Give one such as https://forge.example.")
    check_safe_address(address)
    return address.rstrip("/")


def _checked_allowed(allowed: Collection[str]) -> tuple[str, ...]:
    if len(allowed) > MOST_ALLOWED:
        raise InvalidInput(f"At most {MOST_ALLOWED} addresses are allowed for a webhook.")
    return tuple(dict.fromkeys(map(checked_entry, allowed)))


def _check_token(webhook: Webhook, token: str) -> None:
    if token and webhook.kind == GENERIC:
        raise InvalidInput("A generic webhook has no forge.", hint="Leave out --forge-token-file.")
    if len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("That is not a token of a forge.", hint="A token is one line of ASCII, without spaces.")
    if token and not webhook.address and webhook.kind not in _NO_ADDRESS:
        raise InvalidInput(
            f"A token is of no use without the address of the forge, which a webhook of the kind {webhook.kind} needs.",
            hint="Create it with --forge, such as https://forge.example.",
        )


def _note(tx: Transaction, name: str, before: dict[str, object] | None, after: dict[str, object] | None) -> None:
    tx.audit.changed(before=before, after=after, object_kind=_OBJECT, object_id=name, object_name=name)
