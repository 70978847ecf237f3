"""Maps triggers, firings, received events and previews to the models of the API."""

from typing import Any

from environments.domain.received_event import ReceivedEvent
from environments.domain.trigger import FROM_TEMPLATE, Firing
from environments.service.event_reading import EventDetails
from environments.service.preview_reading import PreviewDetails
from environments.service.trigger_candidates import Judged
from environments.service.trigger_testing import Outcome, Outcomes
from environments.service.triggers import TriggerDetails
from environments.wire.previews import PreviewView
from environments.wire.received_events import ReceivedEventDetailsView, ReceivedEventView
from environments.wire.triggers import (
    FiringView,
    HitView,
    MissView,
    TestedEventView,
    TriggerDetailsView,
    TriggerState,
    TriggerTestView,
    TriggerView,
)

_EVENT = set(ReceivedEventView.model_fields)
_FIRING = set(FiringView.model_fields) - {"trigger"}


def trigger(found: TriggerDetails) -> TriggerView:
    """A trigger."""
    one = found.trigger
    state = TriggerState.ACTIVE
    if found.stopped:
        state = TriggerState.STOPPED
    elif one.paused:
        state = TriggerState.PAUSED
    return TriggerView(
        id=one.id,
        name=one.name,
        owner=one.owner,
        environment_id=one.environment_id,
        environment=found.environment,
        template=one.id.removeprefix(FROM_TEMPLATE).partition("/")[0] if one.from_template else "",
        on=one.definition.on,
        action=one.definition.action,
        state=state,
        reason=found.stopped,
        definition=one.definition.written(),
        created_by=one.created_by,
        created_at=one.created_at,
    )


def trigger_details(found: TriggerDetails) -> TriggerDetailsView:
    """A trigger with its newest firings."""
    return TriggerDetailsView(**dict(trigger(found)), firings=tuple(map(firing, found.firings)))


def firing(one: Firing) -> FiringView:
    """A firing."""
    return FiringView(**{name: getattr(one, name) for name in _FIRING}, trigger=one.trigger_name)


def received_event(event: ReceivedEvent) -> ReceivedEventView:
    """A received event."""
    return ReceivedEventView(**{name: getattr(event, name) for name in _EVENT})


def received_event_details(found: EventDetails) -> ReceivedEventDetailsView:
    """A received event with its firings."""
    view = received_event(found.event)
    return ReceivedEventDetailsView(**dict(view), firings=tuple(map(firing, found.firings)), more_firings=found.more)


def preview(found: PreviewDetails) -> PreviewView:
    """A preview of a pull request."""
    one = found.preview
    return PreviewView(
        id=one.id,
        trigger=found.trigger,
        webhook=one.webhook,
        repository=one.repository,
        number=one.number,
        environment=one.environment,
        state=found.state,
        wanted=one.wanted,
        because=one.because,
        fault=one.fault,
        commit=one.applied_sha,
        end_at=one.end_at,
        looked_at=one.looked_at,
        look_at=one.look_at,
        ended_at=one.closed_at,
    )


def tested(found: Outcomes) -> TriggerTestView:
    """What a dry run found."""
    return TriggerTestView(events=tuple(map(_tested, found.events)), ignored=found.ignored)


def _tested(found: Outcome) -> TestedEventView:
    event = found.event
    return TestedEventView(
        source=event.source,
        kind=event.kind,
        origin=event.origin,
        subject=event.subject,
        fields=event.fields,
        hits=tuple(map(_hit, found.hits)),
        more_hits=found.more_hits,
        misses=tuple(map(_miss, found.misses)),
        more_misses=found.more_misses,
    )


def _hit(one: Judged) -> HitView:
    return HitView(**_of(one), action=one.trigger.definition.action, allowed=not one.reason, reason=one.reason)


def _miss(one: Judged) -> MissView:
    return MissView(**_of(one), reason=one.reason)


def _of(one: Judged) -> dict[str, Any]:
    return {
        "trigger_id": one.trigger.id,
        "trigger": one.trigger.name,
        "owner": one.trigger.owner,
        "environment_id": None if one.environment is None else one.environment.id,
        "environment": one.name if one.environment is None else one.environment.name,
    }
