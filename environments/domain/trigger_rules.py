"""What has to be given for a trigger, by its source, its action and where it stands: all faults at once."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from environments.domain.errors import CalvinverseError
from environments.domain.faults import Fault, Path, fault_of, meant
from environments.domain.names import check_label
from environments.domain.received_event import GIT, KINDS, Source
from environments.domain.trigger import Trigger, TriggerAction
from environments.domain.trigger_values import reference_fault, references


class Place(StrEnum):
    """Where a trigger stands."""

    TEMPLATE = "template"
    ENVIRONMENT = "environment"
    ALONE = "alone"


MAKES = frozenset({TriggerAction.CREATE, TriggerAction.PREVIEW})
"""Actions that make environments: only of triggers that stand alone."""

_NEEDS_PARAMETERS = MAKES | {TriggerAction.UPDATE}

_OF_ACTIONS: tuple[tuple[str, str, frozenset[TriggerAction]], ...] = (
    ("by", "by", frozenset({TriggerAction.EXTEND})),
    ("environment", "environment", frozenset({TriggerAction.CREATE, TriggerAction.PREVIEW})),
    ("ttl", "ttl", MAKES),
    ("parameters", "parameters", _NEEDS_PARAMETERS),
    ("message", "message", frozenset({TriggerAction.NOTIFY})),
    ("preview", "preview", frozenset({TriggerAction.PREVIEW})),
)
"""Attribute, key, and the actions that read it."""

_OF_SOURCES: tuple[tuple[str, str, frozenset[Source]], ...] = (
    ("for_", "for", frozenset({Source.IDLE})),
    ("cpu", "cpu", frozenset({Source.IDLE})),
    ("bytes", "bytes", frozenset({Source.IDLE})),
    ("heartbeat", "heartbeat", frozenset({Source.IDLE})),
    ("over", "over", frozenset({Source.COST})),
    ("webhook", "webhook", GIT | {Source.WEBHOOK}),
    ("repository", "repository", GIT),
)
"""Attribute, key, and the sources that read it."""


def trigger_faults(trigger: Trigger, place: Place, path: Path = (), before: str = "") -> Iterator[Fault]:
    """What is wrong with a trigger that can be read; `path` leads to it, `before` begins messages without its name."""
    try:
        check_label(trigger.name, "a trigger")
    except CalvinverseError as error:
        yield fault_of(error, (*path, "name"))
    for faults in (_kinds(trigger), _sources(trigger), _actions(trigger, place), _references(trigger)):
        for fault in faults:
            yield fault.within(path, before)


def _kinds(trigger: Trigger) -> Iterator[Fault]:
    known = sorted(KINDS[trigger.on])
    for number, kind in enumerate(trigger.kinds):
        if kind not in known:
            yield Fault(
                path=("kinds", number),
                message=f"{kind!r} never happens at {trigger.on.value}: there are {', '.join(known)}",
                suggestion=meant(kind, known),
            )


def _sources(trigger: Trigger) -> Iterator[Fault]:
    on = trigger.on
    yield from _unread(trigger, _OF_SOURCES, on, "on", on.value)
    if (on in GIT or on is Source.WEBHOOK) and not trigger.webhook:
        yield Fault(path=("webhook",), message=f"on {on.value} it needs webhook, the name of the one that tells it")
    if on in GIT and not trigger.repository:
        yield Fault(path=("repository",), message=f"on {on.value} it needs repository, such as acme/shop")
    if on is Source.IDLE:
        if not trigger.for_:
            yield Fault(path=("for",), message="on idle it needs for: how long an environment has to be idle")
        if trigger.cpu is None and trigger.bytes is None and not trigger.heartbeat:
            yield Fault(path=("on",), message="on idle it needs a measure: cpu, bytes or heartbeat")
    if on is Source.COST and trigger.over is None:
        yield Fault(path=("over",), message="on cost it needs over, the budget")


def _actions(trigger: Trigger, place: Place) -> Iterator[Fault]:
    action = trigger.action
    yield from _unread(trigger, _OF_ACTIONS, action, "action", action.value)
    if action in MAKES:
        if place is not Place.ALONE:
            where = "in a template" if place is Place.TEMPLATE else "on an environment"
            yield Fault(
                path=("action",), message=f"{action.value} is for triggers that stand alone, and this one is {where}"
            )
        if not trigger.template:
            yield Fault(path=("template",), message=f"to {action.value} it needs template")
    elif place is Place.ALONE and not trigger.template:
        yield Fault(path=("template",), message="alone it needs template: it is for environments made from that one")
    elif trigger.template and place is not Place.ALONE:
        yield Fault(path=("template",), message="template says which environments it is for: it is for this one alone")
    if action is TriggerAction.CREATE and not trigger.environment:
        yield Fault(path=("environment",), message="to create it needs environment, the name of the new one")
    if action is TriggerAction.PREVIEW and trigger.on not in GIT:
        yield Fault(path=("on",), message="a preview is made on git.pull_request")
    elif action is TriggerAction.PREVIEW and trigger.on is not Source.PULL_REQUEST:
        yield Fault(path=("on",), message="a preview is made on git.pull_request, which also tells of its branch")
    if action is TriggerAction.EXTEND and not trigger.by:
        yield Fault(path=("by",), message="to extend it needs by: how much longer")
    if action is TriggerAction.NOTIFY and not trigger.message:
        yield Fault(path=("message",), message="to notify it needs message")


def _unread(
    trigger: Trigger, keys: Sequence[tuple[str, str, frozenset[StrEnum]]], one: StrEnum, by: str, said: str
) -> Iterator[Fault]:
    """Keys that are given and that nothing reads: they would let their author believe in what doesn't happen."""
    for name, key, readers in keys:
        given = getattr(trigger, name)
        if given != Trigger.model_fields[name].get_default(call_default_factory=True) and one not in readers:
            wanted = " or ".join(sorted(reader.value for reader in readers))
            yield Fault(path=(key,), message=f"{key} is read for {by} = {wanted}, not for {said}")


def _references(trigger: Trigger) -> Iterator[Fault]:
    makes = trigger.action in MAKES
    conditions = {name: condition.model_dump() for name, condition in trigger.when.items()}
    texts = {
        "when": conditions,
        "parameters": trigger.parameters,
        "environment": trigger.environment,
        "message": trigger.message,
    }
    for key, value in texts.items():
        for reference in references(value):
            said = reference_fault(reference, environment=not makes)
            if said:
                yield Fault(path=(key,), message=f"{key}: {said}")
