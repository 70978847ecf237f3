"""What is checked when a trigger is set: what its owner may do by it, and whether what it names exists."""

from collections.abc import Iterator, Mapping
from typing import Any

from environments.domain.environment import Environment
from environments.domain.errors import Forbidden
from environments.domain.faults import Fault, meant
from environments.domain.names import kv_prefix
from environments.domain.received_event import GIT, Source
from environments.domain.template_parts import Template
from environments.domain.trigger import Condition, Trigger, TriggerAction
from environments.domain.trigger_file import invalid_trigger
from environments.domain.trigger_rules import MAKES
from environments.service.authorization import (
    Action,
    Principal,
    check_creator,
    check_role,
    check_service,
    check_template_name,
)
from environments.service.catalogue import unknown_template
from environments.service.deadlines import read_template
from environments.service.storage.transaction import Transaction
from environments.service.webhook_kinds import GENERIC

TAKES: Mapping[TriggerAction, Action] = {
    TriggerAction.CREATE: Action.ENVIRONMENT_CREATE,
    TriggerAction.PREVIEW: Action.ENVIRONMENT_CREATE,
    TriggerAction.UPDATE: Action.ENVIRONMENT_UPDATE,
    TriggerAction.DESTROY: Action.ENVIRONMENT_DESTROY,
    TriggerAction.STOP: Action.ENVIRONMENT_STOP,
    TriggerAction.START: Action.ENVIRONMENT_START,
    TriggerAction.EXTEND: Action.ENVIRONMENT_EXTEND,
    TriggerAction.NOTIFY: Action.ENVIRONMENT_READ,
}
"""What a trigger's action takes of its owner."""

_ITSELF = "{{ environment.name }}"


def check_limits(principal: Principal, trigger: Trigger) -> None:
    """Raises `Forbidden` where a trigger that stands alone could do what the principal's token is not for."""
    scope = principal.scope
    check_service(principal, TAKES[trigger.action], on_environment=True)
    if trigger.action is TriggerAction.PREVIEW:
        for action in (Action.ENVIRONMENT_UPDATE, Action.ENVIRONMENT_DESTROY):
            check_service(principal, action, on_environment=True)
    if scope is None or not scope.limits_environments:
        return
    if scope.environments is not None or not scope.reaches("", trigger.template):
        raise Forbidden(
            "The token is for some environments alone, and this trigger could act on others.",
            hint="Use a token without limits, or set the trigger on an environment.",
        )


def check_token(principal: Principal, trigger: Trigger, target: Environment | None) -> None:
    """Raises `Forbidden` where the principal's token isn't for what a trigger does, which is to act again."""
    if target is None:
        check_limits(principal, trigger)
    else:
        check_service(principal, TAKES[trigger.action], on_environment=True)


def check_rights_alone(tx: Transaction, principal: Principal, trigger: Trigger) -> None:
    """Raises `Forbidden`, `UnknownTemplate` unless the principal may use the template that a trigger names."""
    if not trigger.template:
        return
    check_template_name(principal, trigger.template)
    if tx.templates.find(trigger.template, None) is None:
        raise unknown_template(tx, trigger.template, None)
    if trigger.action in MAKES:
        try:
            check_creator(tx, principal, trigger.template)
        except Forbidden as error:
            if "most" not in error.details:  # how many there are now doesn't matter yet
                raise


def check_rights_on(tx: Transaction, principal: Principal, trigger: Trigger, target: Environment) -> None:
    """Raises `Forbidden` unless the principal may do to the environment what the trigger does."""
    if trigger.action in MAKES:
        return  # told as a fault
    check_role(tx, principal, TAKES[trigger.action], target)
    check_service(principal, TAKES[trigger.action], on_environment=True)


def check_sources(tx: Transaction, principal: Principal, trigger: Trigger, target: Environment | None) -> None:
    """Raises `InvalidTrigger`: no such webhook, keys of others, parameters that the template doesn't take."""
    faults = [*_webhook(tx, trigger), *_keys(principal, trigger, target), *_parameters(tx, trigger, target)]
    if faults:
        raise invalid_trigger(faults)


def _webhook(tx: Transaction, trigger: Trigger) -> Iterator[Fault]:
    if not trigger.webhook:
        return
    webhook = tx.webhooks.get(trigger.webhook)
    if webhook is None:
        yield Fault(
            path=("webhook",),
            message=f"webhook: there is no webhook {trigger.webhook!r}",
            suggestion="an admin makes one with `calvinverse webhook create`",
        )
    elif (webhook.kind == GENERIC) is (trigger.on in GIT):
        what = "is no forge's" if webhook.kind == GENERIC else f"is of a forge ({webhook.kind})"
        wanted = Source.WEBHOOK.value if webhook.kind == GENERIC else " or ".join(sorted(one.value for one in GIT))
        yield Fault(path=("webhook",), message=f"webhook: {trigger.webhook!r} {what}; it tells on = {wanted}")


def _keys(principal: Principal, trigger: Trigger, target: Environment | None) -> Iterator[Fault]:
    """Whoever isn't an admin watches keys of the environment that the trigger acts on, and no others."""
    if trigger.on is not Source.KEY:
        return
    condition = trigger.when.get("key")
    starts = [kv_prefix(_ITSELF), *([kv_prefix(target.name)] if target is not None else [])]
    if condition is None or condition.exists is not None or condition.not_ is not None:
        yield Fault(
            path=("when",),
            message="on consul.key it needs a condition on key that says which ones: a value, a list, starts_with or "
            "matches",
            suggestion=f'write when.key = {{ starts_with = "{starts[0]}" }}',
        )
    elif principal.role != "admin" and not all(text.startswith(tuple(starts)) for text in _texts(condition)):
        yield Fault(
            path=("when", "key"),
            message="when.key: only an admin watches keys of others",
            suggestion=f"let it begin with {starts[0]}",
        )


def _texts(condition: Condition) -> list[str]:
    given: list[Any] = [condition.equals, condition.starts_with, condition.matches, *(condition.any_of or ())]
    return [str(text) for text in given if text is not None]


def _parameters(tx: Transaction, trigger: Trigger, target: Environment | None) -> Iterator[Fault]:
    """A definition is stored and shown as it is, so it holds no secret."""
    if not trigger.parameters:
        return
    template = _template(tx, trigger, target)
    if template is None:
        return
    for name in trigger.parameters:
        schema = template.parameters.get(name)
        if schema is None:
            yield Fault(
                path=("parameters", name),
                message=f"parameters.{name}: the template {template.name!r} has no such parameter",
                suggestion=meant(name, template.parameters),
            )
        elif schema.get("writeOnly") is True:
            yield Fault(
                path=("parameters", name),
                message=f"parameters.{name}: it is secret, and triggers are stored and shown as they are written",
                suggestion="let the template read it from where secrets are",
            )


def _template(tx: Transaction, trigger: Trigger, target: Environment | None) -> Template | None:
    if target is not None:
        return read_template(tx, target)
    found = tx.templates.find(trigger.template, None) if trigger.template else None
    bundle = None if found is None else tx.templates.bundle(found.digest)
    return None if bundle is None else bundle.template()
