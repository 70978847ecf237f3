"""What an admin says of a webhook: read, and refused if it can't be so."""

from collections.abc import Collection
from datetime import timedelta

from environments.addresses import check_safe_address
from environments.domain.allowed_addresses import MOST_ALLOWED, checked_entry
from environments.domain.deadline import format_duration, parse_duration
from environments.domain.errors import InvalidInput, InvalidLifetime
from environments.domain.webhook_use import MOST_USERS, checked_patterns
from environments.service.authorization import Principal
from environments.service.storage.transaction import Transaction
from environments.service.storage.webhooks import Webhook
from environments.service.subjects import known_subject
from environments.service.webhook_kinds import GENERIC

LONGEST_OVERLAP = timedelta(days=30)

LONGEST_TOKEN = 4096
"""Characters of a token for a forge."""

_LONGEST_ADDRESS = 500

_HOMES = {"github": "https://github.com", "gitlab": "https://gitlab.com"}
"""Kinds of forges that are reached without an address, and the public one where they are then."""


def parse_overlap(text: str) -> timedelta:
    """How long two secrets are valid; `0s`: the old one ends at once. Raises `InvalidLifetime`."""
    length = timedelta() if text in ("0", "0s") else parse_duration(text)
    if length > LONGEST_OVERLAP:
        raise InvalidLifetime(f"Two secrets are valid for {format_duration(LONGEST_OVERLAP)} at most.")
    return length


def checked_address(kind: str, address: str) -> str:
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


def forge_of(webhook: Webhook) -> str:
    """The address of its forge, the same for all webhooks of one that say it alike; empty: it can't be called."""
    return (webhook.address or _HOMES.get(webhook.kind, "")).lower()


def checked_allowed(allowed: Collection[str]) -> tuple[str, ...]:
    """Addresses that may be called although they are near. Raises `InvalidInput`."""
    if len(allowed) > MOST_ALLOWED:
        raise InvalidInput(f"At most {MOST_ALLOWED} addresses are allowed for a webhook.")
    return tuple(dict.fromkeys(map(checked_entry, allowed)))


def check_token(webhook: Webhook, token: str) -> None:
    """Raises `InvalidInput` unless it may be the token of the webhook's forge; empty: none."""
    if token and webhook.kind == GENERIC:
        raise InvalidInput("A generic webhook has no forge.", hint="Leave out --forge-token-file.")
    if len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("That is not a token of a forge.", hint="A token is one line of ASCII, without spaces.")
    if token and not webhook.address and webhook.kind not in _HOMES:
        raise InvalidInput(
            f"A token is of no use without the address of the forge, which a webhook of the kind {webhook.kind} needs.",
            hint="Create it with --forge, such as https://forge.example.",
        )


def known_users(tx: Transaction, principal: Principal, users: Collection[str]) -> tuple[str, ...]:
    """The subjects that may use a webhook. Raises `InvalidInput`, `NotFound`, `NotAllowedNow`."""
    if len(users) > MOST_USERS:
        raise InvalidInput(f"A webhook is for {MOST_USERS} at most.", hint="Name a group.")
    return tuple(sorted({known_subject(tx, principal, one, everyone=True) for one in users}))


def checked_repositories(kind: str, repositories: Collection[str]) -> tuple[str, ...]:
    """The repositories that a webhook may be used for. Raises `InvalidInput`."""
    if repositories and kind == GENERIC:
        raise InvalidInput("A generic webhook tells of no repositories.", hint="Leave out --repository.")
    return checked_patterns(repositories)
