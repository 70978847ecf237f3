"""What forms for environments have beside parameters: lifetime, rules of the calendar, keys of requests."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from pydantic import ValidationError

from environments.domain.deadline import first_deadline, format_duration, parse_duration
from environments.domain.errors import InvalidInput, InvalidLifetime
from environments.domain.reasons import reason
from environments.domain.timing import TimedAction
from environments.moments import in_zone
from environments.ui.rule_moments import checked, typed_rules
from environments.ui.visit import Visit
from environments.wire.templates import TemplateView
from environments.wire.timing import RuleCheckView, RuleRequest

RULE_FIELDS: Mapping[str, TimedAction] = {
    "destroy_at": TimedAction.DESTROY,
    "stop_at": TimedAction.STOP,
    "start_at": TimedAction.START,
}
"""Field → what happens at the moments of the rules in it, one in a line."""

_PLACES = {"rules": "Rules of the calendar", "parameters": "Parameters", "ttl": "Lifetime", "name": "Name"}

_KEY = re.compile(r"[A-Za-z0-9-]{8,64}")


def request_key(visit: Visit) -> str:
    """The Idempotency-Key of a form: the one that it was drawn with, so that sending it twice does one thing."""
    typed = visit.typed("key")
    return typed if _KEY.fullmatch(typed) else new_key()


def new_key() -> str:
    """A key that no request had."""
    return str(uuid.uuid4())


def deadline_of(
    template: TemplateView, now: datetime, zone: tzinfo, ttl: str | None, until: datetime | None
) -> datetime | None:
    """When an environment would be destroyed if it were made now. Raises `InvalidLifetime`."""
    return first_deadline(
        in_zone(now, zone),
        default=_seconds(template.default_lifetime),
        maximum=_seconds(template.maximum_lifetime),
        ttl=parse_duration(ttl) if ttl else None,
        until=until,
    )


def lifetimes(template: TemplateView) -> str:
    """The template's lifetimes in words."""
    default, maximum = _seconds(template.default_lifetime), _seconds(template.maximum_lifetime)
    said = []
    if default is not None:
        said.append(f"{format_duration(default)} unless another one is asked for")
    if maximum is not None:
        said.append(f"{format_duration(maximum)} at most")
    return ", ".join(said) or "as long as one wants"


def read_rules(visit: Visit) -> tuple[RuleRequest, ...]:
    """The rules that were typed, one in a line."""
    return tuple(
        RuleRequest(action=action, rule=line.strip())
        for name, action in RULE_FIELDS.items()
        for line in visit.typed(name).splitlines()
        if line.strip()
    )


def rules_of(visit: Visit) -> dict[str, Sequence[RuleCheckView]]:
    """Field → when the rules in it will fire, or what is wrong with them."""
    typed = [(name, line) for name, does in RULE_FIELDS.items() for line in typed_rules(does, visit.typed(name))]
    found: dict[str, list[RuleCheckView]] = {name: [] for name in RULE_FIELDS}
    for (name, _), one in zip(typed, checked(visit, [line for _, line in typed]), strict=False):  # it has the first
        found[name].append(one)
    return {**found}


def unfit(fault: ValidationError) -> InvalidInput:
    """The error for what no request can hold, such as a rule that is too long; it repeats nothing of it."""
    first = fault.errors(include_url=False, include_input=False)[0]
    where = _PLACES.get(str(first["loc"][0]) if first["loc"] else "", "What was typed")
    return InvalidInput(f"{where}: {reason(first).rstrip('.')}.", hint="Correct it, and send it again.")


def lifetime_fault(error: InvalidLifetime) -> str:
    """What is wrong with a lifetime, and what would be right."""
    return f"{error.message} {error.hint}".strip()


def problems_in(details: Mapping[str, Any]) -> list[str]:
    """What the details of an error say of parameters: `replicas: 50 is greater than the maximum of 20`."""
    found = details.get("problems")
    return [str(one) for one in found] if isinstance(found, list) else []


def _seconds(lifetime: float | None) -> timedelta | None:
    return None if lifetime is None else timedelta(seconds=lifetime)
