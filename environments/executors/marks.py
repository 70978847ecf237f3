"""How our things are marked as an environment's: by its id, wherever a backend has a place for it."""

from collections.abc import Mapping
from typing import Any

from environments.domain.errors import ForeignResource
from environments.executors.base import Observation, Owner, Presence

MARK = "calvinverse-environment"
"""Key of the mark in Nomad's and OpenBao's metadata; its value is the environment's id."""


def mark(owner: Owner) -> dict[str, str]:
    """The mark as metadata."""
    return {MARK: owner.id}


def policy_description(owner: Owner) -> str:
    """The mark of a Consul policy."""
    return f"calvinverse environment {owner.id}"


def certificate_unit(owner: Owner) -> str:
    """The mark of a PKI role and of its certificates: their organizational unit."""
    return f"calvinverse {owner.id}"


def whose(metadata: Mapping[str, Any] | None, owner: Owner) -> Presence:
    """Whether a thing with that metadata is ours."""
    return Presence.OURS if (metadata or {}).get(MARK) == owner.id else Presence.FOREIGN


def foreign(what: str, owner: Owner) -> ForeignResource:
    """The refusal to touch a thing that isn't the environment's; `what` is a noun with its article."""
    return ForeignResource(f"There is already {what} that doesn't belong to environment {owner.name!r}.")


ABSENT = Observation(Presence.ABSENT)
