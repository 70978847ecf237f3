"""What was typed into the form that creates an environment."""

from dataclasses import dataclass, field
from typing import Any

from environments.wire.environments import CreateRequest


@dataclass
class Draft:
    """What was typed so far: kept when the form is closed, until the environment is created."""

    template: str | None = None
    name: str = ""
    lifetime: str = ""
    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(template, parameter) → the field's value."""
    sent: CreateRequest | None = None
    key: str = ""
    """The Idempotency-Key of `sent`: sending the same request again after a lost answer creates nothing twice."""
