"""Checks who may use a webhook: in a trigger that is set, in one that fires, and in what is made of a pull request."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from environments.domain.access import ServiceRole
from environments.domain.errors import Forbidden, NotAllowedNow
from environments.domain.received_event import BY_WEBHOOK, GIT, NewReceivedEvent
from environments.domain.trigger import Trigger
from environments.domain.trigger_values import as_text
from environments.domain.webhook_use import WebhookUse
from environments.service.authorization import Principal
from environments.service.storage.transaction import Transaction

UNUSABLE = "webhook"
"""In the details of a refusal: the webhook that may not be used."""


def check_use(tx: Transaction, principal: Principal, trigger: Trigger, event: NewReceivedEvent | None = None) -> None:
    """Raises `Forbidden` unless the principal may use the webhook of a trigger for its repository, or the event's."""
    if trigger.on not in BY_WEBHOOK:
        return
    repository = trigger.repository if event is None else as_text(event.fields.get("repository"))
    check_webhook(tx, principal, trigger.webhook, repository if trigger.on in GIT else "")


def check_setting(tx: Transaction, principal: Principal, trigger: Trigger, now: datetime) -> None:
    """Raises `Forbidden` unless the principal may use a trigger's webhook, also with the role that the trigger acts in.

    The token may be an admin's, and its owner none.
    """
    check_use(tx, principal, trigger)
    if principal.role == "admin" and trigger.on in BY_WEBHOOK:
        standing = tx.people.standing(principal.owner, now)
        if standing.role is not ServiceRole.ADMIN:
            check_use(tx, replace(principal, role="user", groups=standing.groups), trigger)


def check_webhook(tx: Transaction, principal: Principal, webhook: str, repository: str) -> None:
    """Raises `Forbidden` unless the principal may use a webhook for a repository (empty: for what is of none)."""
    use = tx.webhooks.use(webhook)
    if use is None:
        raise Forbidden(
            f"There is no webhook {webhook!r} any more.", hint="An admin makes one with `calvinverse webhook create`."
        )
    admin = principal.role == "admin"
    why_not = use.why_not(webhook, principal.owner, principal.subjects, admin=admin, repository=repository)
    if why_not:
        may = use.lets(principal.subjects, admin=admin)
        option = f"--repository {repository[:100]}" if may else f"--for {principal.owner}"
        hint = f"An admin allows it: `calvinverse webhook set {webhook} {option}`, with what it has now."
        raise Forbidden(f"{why_not}.", hint=hint, details={UNUSABLE: webhook})


def usable(tx: Transaction, principal: Principal) -> Mapping[str, WebhookUse] | None:
    """The webhooks whose events the principal may be shown, each for its repositories; None: all events."""
    if principal.sees_all:
        return None
    every, subjects = tx.webhooks.uses(), principal.subjects
    return {name: use for name, use in every.items() if use.lets(subjects, admin=False)}


def tells(tx: Transaction, principal: Principal, event: NewReceivedEvent) -> bool:
    """Whether the principal may be shown an event, as far as the webhook goes through which it came, if any."""
    if principal.sees_all or event.source not in BY_WEBHOOK:
        return True
    use = tx.webhooks.use(event.origin)
    repository = as_text(event.fields.get("repository")) if event.source in GIT else ""
    return use is not None and not use.why_not(
        event.origin, principal.owner, principal.subjects, admin=False, repository=repository
    )


def look_at_previews(tx: Transaction, webhook: str, now: datetime, **values: object) -> None:
    """Has the keeper look at the previews that name a webhook, because it isn't what it was; also writes `values`."""
    tx.previews.change_open(webhook, look_at=now, **values)


def check_unused(tx: Transaction, webhook: str) -> None:
    """Raises `NotAllowedNow` while previews live by a webhook."""
    living = tx.previews.living(webhook)
    if living:
        lives = "1 preview lives" if living == 1 else f"{living} previews live"
        raise NotAllowedNow(
            f"{lives} by the webhook {webhook!r}.",
            hint="Remove the triggers that name it, and wait for their previews to end: `calvinverse preview list`. "
            "With --force they end at their deadline, and what they wrote at the forge stays.",
            details={"previews": living},
        )
