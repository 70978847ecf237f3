"""What was typed into the form that creates an environment."""

from dataclasses import dataclass, field
from typing import Any

from environments.wire.environments import CreateRequest


@dataclass
class Draft:
    """What was typed so far: kept when the form is left, until the environment is made."""

    template: str | None = None
    name: str = ""
    lifetime: str = ""
    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(template, parameter) → what stands in the field."""
    sent: CreateRequest | None = None
    key: str = ""
    """The Idempotency-Key of `sent`: the same request sent again after a lost answer makes nothing twice."""
