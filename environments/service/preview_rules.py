"""What the records of previews, triggers and templates say together about a preview."""

from collections.abc import Callable
from datetime import datetime, timedelta

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError, InvalidTemplate, UnknownTemplate
from environments.domain.preview import Preview, PreviewRule, PullRequest, Wanted
from environments.domain.received_event import NewReceivedEvent, Source, fields_of
from environments.domain.trigger import PlacedTrigger, TriggerAction, WhyNot, judge
from environments.domain.trigger_values import Values
from environments.service.authorization import Principal
from environments.service.drafting import catalogued
from environments.service.storage.transaction import Transaction
from environments.service.webhook_using import check_webhook

LONGEST_PAUSE = timedelta(minutes=10)
"""Between two attempts while something fails."""

Acting = Callable[[Transaction, str, PlacedTrigger, datetime], Principal]
"""For whom a trigger acts: with the owner's present rights. Raises `Forbidden` if they may do nothing any more."""


def using(tx: Transaction, acting: Acting, placed: PlacedTrigger, now: datetime) -> Principal:
    """The trigger's owner, who may use its webhook for its repository. Raises `Forbidden` if they may not."""
    owner = acting(tx, placed.owner, placed, now)
    check_webhook(tx, owner, placed.definition.webhook, placed.definition.repository)
    return owner


def rule_of(tx: Transaction, placed: PlacedTrigger) -> PreviewRule:
    """The rule of a trigger, within what the newest version of its template allows."""
    rule = placed.definition.preview or PreviewRule()
    try:
        template = catalogued(tx, placed.definition.template, None).template()
    except (UnknownTemplate, InvalidTemplate):  # nothing can be made from it either
        return rule
    return rule.within(template.preview)


def pause(attempts: int) -> timedelta:
    """Until the next attempt: 1, 2, 4 … seconds, at most `LONGEST_PAUSE`."""
    return min(timedelta(seconds=2 ** min(attempts, 12)), LONGEST_PAUSE)


def asked_to_wait(error: CalvinverseError) -> timedelta:
    """For how long a forge wants to be left alone."""
    return timedelta(seconds=float(error.details.get("retry_after", 0) or 0))


def environment_of(tx: Transaction, preview: Preview) -> Environment | None:
    """Its present or last environment."""
    return None if preview.environment_id is None else tx.environments.get(preview.environment_id)


def updated_at(pull: PullRequest) -> str:
    """When the forge last changed it, as a text that can be compared; empty where that isn't known."""
    return "" if pull.updated_at is None else pull.updated_at.isoformat()


def why_not_meant(placed: PlacedTrigger, pull: PullRequest) -> str:
    """Why the trigger isn't for this pull request, as it is now; whatever happened to it last."""
    trigger = placed.definition.model_copy(update={"kinds": ()})
    event = NewReceivedEvent(
        source=Source.PULL_REQUEST,
        kind="opened",
        origin=trigger.webhook,
        delivery="now",
        subject=f"{pull.repository}#{pull.number}",
        fields=fields_of(pull.fields()),
    )
    verdict = judge(trigger, event, Values(event=event.fields))
    return verdict.reason if isinstance(verdict, WhyNot) else ""


def elsewhere(preview: Preview, placed: PlacedTrigger) -> bool:
    """Whether its trigger is for another webhook or repository by now."""
    trigger = placed.definition
    same = (preview.webhook, preview.repository.lower()) == (trigger.webhook, trigger.repository.lower())
    return not same


def differs(preview: Preview, pull: PullRequest | None) -> bool:
    """Whether an open pull request (None: it isn't open) is another one than was seen last."""
    seen = preview.seen.pull
    if pull is None:
        return preview.wanted is Wanted.ALIVE or (seen is not None and seen.open)
    return seen is None or (seen.head_sha, seen.labels, seen.draft, seen.open) != (
        pull.head_sha,
        pull.labels,
        pull.draft,
        pull.open,
    )


def removed(preview: Preview, environment: Environment | None) -> PlacedTrigger:
    """Stands for a trigger that was removed: what it made ends, with the rights of the environment's owner."""
    owner = "" if environment is None else environment.owner
    definition = {"name": "removed", "on": Source.PULL_REQUEST, "action": TriggerAction.PREVIEW}
    return PlacedTrigger.model_validate(
        {"id": preview.trigger_id, "name": "removed", "owner": owner, "definition": definition}
    )
