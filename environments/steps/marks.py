"""Ownership marks: an environment's id on its resources, wherever a backend has a place for it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from environments.domain.errors import ForeignResource
from environments.steps.base import Observation, Owner, Presence

MARK = "calvinverse-environment"
"""Key of the mark in Nomad's and OpenBao's metadata; its value is the environment's id."""

MENDS_MARK = "doesn't bear this environment's mark any more, and gets it again"
"""What a plan says of a resource whose mark was lost or overwritten."""

_POLICY = "calvinverse environment "
_UNIT = "calvinverse "
_ID = re.compile(r"env-\S+")
_NAMED = 5


def mark(owner: Owner) -> dict[str, str]:
    """The mark as metadata."""
    return {MARK: owner.id}


def policy_description(owner: Owner) -> str:
    """The mark of an ACL policy of Consul or Nomad."""
    return f"{_POLICY}{owner.id}"


def certificate_unit(owner: Owner) -> str:
    """The mark of a PKI role and of its certificates: their organizational unit."""
    return f"{_UNIT}{owner.id}"


def whose_id(found: Any, owner: Owner, *, held: bool = False) -> Presence:
    """Whether a resource with that id as its mark is the owner's. `held`: it is, according to the database.

    Then only another environment's id makes it foreign: a missing mark, or one that is no id, was lost.
    """
    if found == owner.id:
        return Presence.OURS
    lost = not isinstance(found, str) or _ID.fullmatch(found) is None
    return Presence.OURS if held and lost else Presence.FOREIGN


def whose(metadata: Mapping[str, Any] | None, owner: Owner, *, held: bool = False) -> Presence:
    """Likewise for a resource with that metadata."""
    return whose_id((metadata or {}).get(MARK), owner, held=held)


def whose_policy(description: str, owner: Owner, *, held: bool = False) -> Presence:
    """Likewise for a policy with that description."""
    return whose_id(description.removeprefix(_POLICY), owner, held=held)


def whose_units(units: Any, owner: Owner, *, held: bool = False) -> Presence:
    """Likewise for a PKI role with these organizational units."""
    first = units[0] if isinstance(units, list) and len(units) == 1 else None
    return whose_id(first.removeprefix(_UNIT) if isinstance(first, str) else None, owner, held=held)


def foreign(what: str, owner: Owner, holds: Iterable[str] = ()) -> ForeignResource:
    """The error for a resource that isn't the environment's; `what` is a noun with its article.

    `holds` names what is in it.
    """
    names = sorted(holds)
    shown = [repr(name)[1:-1] for name in names[:_NAMED]]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    inside = f" It holds {', '.join(shown)}{more}." if names else ""
    return ForeignResource(
        f"There is already {what} that doesn't belong to environment {owner.name!r}.{inside}",
        hint="Remove what is there if nobody needs it, or choose another name." if names else "",
        details={"found": names[:100]} if names else {},
    )


ABSENT = Observation(Presence.ABSENT)
