"""Webhooks: named addresses that take deliveries, which admins make. Their secrets are shown once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from environments.domain.errors import (
    CalvinverseError,
    InvalidInput,
    NameTaken,
    NotAllowedNow,
    UnknownWebhook,
)
from environments.domain.names import check_label
from environments.domain.preview import Written
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.delivery_keys import DeliveryKeys
from environments.service.forges import Forges
from environments.service.pages import Page
from environments.service.refused_counts import UNKNOWN, RefusedCounts
from environments.service.storage.received_events import RefusedDeliveries
from environments.service.storage.transaction import Storage, Transaction
from environments.service.storage.webhooks import UsedWebhook, Webhook
from environments.service.webhook_checks import (
    check_token,
    checked_address,
    checked_allowed,
    checked_repositories,
    known_users,
    parse_overlap,
)
from environments.service.webhook_kinds import WebhookKind
from environments.service.webhook_secrets import HeldSecrets, WebhookSecrets
from environments.service.webhook_using import check_unused, look_at_previews

MOST_WEBHOOKS = 200
"""Webhooks of a service."""

OVERLAP = timedelta(days=1)
"""How long a secret that was replaced stays valid, unless an admin says something else."""

_OBJECT = "webhook"
_SECRET_BYTES = 32
_REASONS = 50

log = structlog.get_logger()


class NewSecret(NamedTuple):
    """A webhook whose secret is new, and the secret: nobody is told it again."""

    webhook: UsedWebhook
    secret: str
    previous_until: datetime | None = None


class ShownWebhook(NamedTuple):
    """A webhook, and what was refused or left of its deliveries, newest first."""

    webhook: UsedWebhook
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
        users: Collection[str] = (),
        repositories: Collection[str] = (),
    ) -> NewSecret:
        """A new webhook. `address`: of the forge; `allowed`: what may be called for it although it is near.

        `users` and `repositories`: see `WebhookUse`. Raises `Forbidden`, `InvalidName`, `InvalidInput`, `NotFound` for
        one of the users, `NameTaken`, `NotAllowedNow`, `BackendError` and its kin.
        """
        check_service(principal, Action.WEBHOOK_MANAGE)
        found = self._kind(kind)
        webhook = Webhook(
            name=check_label(name, "a webhook"),
            kind=kind,
            address=checked_address(kind, address),
            allowed=checked_allowed(allowed),
            created_by=principal.owner,
            created_at=self._clock(),
            repositories=checked_repositories(kind, repositories),
        )
        check_token(webhook, token)
        secret = found.new_secret(self._random(_SECRET_BYTES))
        self._check_room(principal, name, users)
        # First the secret: a webhook without one would refuse what it is sent. What a crash leaves in OpenBao is used
        # by no webhook.
        self._secrets.write(webhook, HeldSecrets(secret, token=token))
        try:
            with self._storage.write() as tx:
                may(tx, principal, Action.WEBHOOK_MANAGE)
                made = _used(webhook, known_users(tx, principal, users))
                tx.webhooks.add(webhook, made.users)
                look_at_previews(tx, name, webhook.created_at)
                after = {"kind": kind, "address": webhook.address, "allowed": list(webhook.allowed)}
                _note(tx, name, None, {**after, "token": bool(token), **_told(made)})
        except CalvinverseError:
            self._remove_secrets(webhook)
            raise
        self._keys.forget()
        return NewSecret(made, secret)

    def set_use(
        self,
        principal: Principal,
        name: str,
        *,
        users: Collection[str] | None = None,
        repositories: Collection[str] | None = None,
    ) -> UsedWebhook:
        """Says anew who may use a webhook, for which repositories, or both. None: as before. See `WebhookUse`.

        What triggers have made stays; they make nothing more where they may not use it now. Raises `Forbidden`,
        `UnknownWebhook`, `InvalidInput`, `NotFound` and `NotAllowedNow` for one of the users.
        """
        with self._storage.write() as tx:
            before = webhook = self._found(tx, principal, name)
            if users is not None:
                webhook = replace(webhook, users=known_users(tx, principal, users))
                tx.webhooks.set_users(name, webhook.users)
            if repositories is not None:
                webhook = replace(webhook, repositories=checked_repositories(webhook.kind, repositories))
                tx.webhooks.change(name, repositories=webhook.repositories)
            look_at_previews(tx, name, self._clock())
            _note(tx, name, _told(before), _told(webhook))
        return webhook

    def list(self, principal: Principal, *, after: str = "", limit: int | None = None) -> Page[UsedWebhook]:
        """Webhooks by name, behind the name `after`, at most `limit`. Raises `Forbidden`."""
        self._write_counts()
        with self._storage.read() as tx:
            may(tx, principal, Action.WEBHOOK_MANAGE)
            found = tx.webhooks.all(after=after, limit=limit)
            uses = tx.webhooks.uses([one.name for one in found])
            return found.each(lambda one: _used(one, uses[one.name].users))

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

    def set_token(self, principal: Principal, name: str, token: str) -> UsedWebhook:
        """Another token for the forge. Raises `Forbidden`, `UnknownWebhook`, `InvalidInput`, `BackendError`."""
        check_service(principal, Action.WEBHOOK_MANAGE)
        webhook = self._read(principal, name)
        check_token(webhook, token)
        held = self._secrets.read(webhook)
        if held is None:
            raise NotAllowedNow(
                f"Webhook {name} has no secret in OpenBao.", hint=f"Run `calvinverse webhook rotate {name}` first."
            )
        self._secrets.write(webhook, replace(held, token=token))
        self._changed(principal, webhook, {"token": "replaced"}, None)
        return webhook

    def delete(self, principal: Principal, name: str, *, force: bool = False) -> UsedWebhook:
        """Removes a webhook: deliveries are refused at once.

        `force`: also while previews live by it, which then end at their deadline, and the forge isn't told. Raises
        `Forbidden`, `UnknownWebhook`, `NotAllowedNow`.
        """
        check_service(principal, Action.WEBHOOK_MANAGE)
        with self._storage.write() as tx:
            webhook = self._found(tx, principal, name)
            if not force:
                check_unused(tx, name)
            tx.webhooks.remove(name)
            look_at_previews(tx, name, self._clock(), written=Written())
            _note(tx, name, {"kind": webhook.kind, "address": webhook.address, **_told(webhook), "force": force}, None)
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

    def _read(self, principal: Principal, name: str) -> UsedWebhook:
        with self._storage.read() as tx:
            return self._found(tx, principal, name)

    def _found(self, tx: Transaction, principal: Principal, name: str) -> UsedWebhook:
        may(tx, principal, Action.WEBHOOK_MANAGE)
        webhook = tx.webhooks.get(name)
        if webhook is None:
            names = [one.name for one in tx.webhooks.all()[:MOST_SUGGESTED_FROM]]
            raise UnknownWebhook(told(f"There is no webhook {name[:100]!r}.", name, names))
        use = tx.webhooks.use(name)
        return _used(webhook, () if use is None else use.users)

    def _kind(self, kind: str) -> WebhookKind:
        if kind not in self._kinds:
            raise InvalidInput(
                f"There is no kind of webhook {kind[:50]!r}.", hint=f"Give one of {', '.join(self._kinds)}."
            )
        return self._kinds[kind]

    def _check_room(self, principal: Principal, name: str, users: Collection[str]) -> None:
        """Raises `NameTaken`, `NotFound` and `NotAllowedNow` before anything is written to OpenBao."""
        with self._storage.read() as tx:
            may(tx, principal, Action.WEBHOOK_MANAGE)
            known_users(tx, principal, users)
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


def _used(webhook: Webhook, users: tuple[str, ...]) -> UsedWebhook:
    return UsedWebhook(**asdict(webhook), users=users)


def _told(webhook: UsedWebhook) -> dict[str, object]:
    return {"users": list(webhook.users), "repositories": list(webhook.repositories)}


def _note(tx: Transaction, name: str, before: dict[str, object] | None, after: dict[str, object] | None) -> None:
    tx.audit.changed(before=before, after=after, object_kind=_OBJECT, object_id=name, object_name=name)
