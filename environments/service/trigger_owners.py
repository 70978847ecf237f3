"""For whom a trigger acts: its owner, with the rights that they have at that moment."""

from datetime import datetime

from environments.domain.access import GROUP
from environments.domain.errors import Forbidden
from environments.domain.trigger import PlacedTrigger
from environments.service.authorization import ROLES, Principal, Role
from environments.service.storage.transaction import Transaction

KIND = "trigger"
"""The kind of the principal that a trigger acts as."""

_HINT = "Give the trigger to somebody else: remove it, and set it as whoever it shall act for."


def acting_for(tx: Transaction, owner: str, trigger: PlacedTrigger, now: datetime) -> Principal:
    """The principal of a trigger. Raises `Forbidden` when its owner is disabled, or there is nobody of that name.

    One that stands in a template acts for the owner of the environment, as a user: its author gives no rights. A group
    may own that; it has the rights of its own things.
    """
    if owner.startswith(GROUP):
        return Principal(owner, "user", trigger.id, kind=KIND, at=now)
    standing = tx.people.standing(owner, now)
    person = standing.person
    if person is None or person.became:
        raise Forbidden(f"There is nobody named {owner!r} any more, for whom the trigger would act.", hint=_HINT)
    if person.disabled_at is not None:
        raise Forbidden(f"{owner} is disabled, and the trigger acts for them.", hint=_HINT)
    role: Role = "user" if trigger.from_template else ROLES[standing.role]
    return Principal(owner, role, trigger.id, standing.groups, kind=KIND, at=now)


class Actors:
    """Whom triggers act for now, in one transaction; every owner is read once."""

    def __init__(self, tx: Transaction, now: datetime) -> None:
        self._tx = tx
        self._now = now
        self._known: dict[tuple[bool, str], Principal | str] = {}

    def of(self, trigger: PlacedTrigger) -> Principal | str:
        """The principal of a trigger, or why it does nothing."""
        key = trigger.from_template, trigger.owner
        if key not in self._known:
            try:
                self._known[key] = acting_for(self._tx, trigger.owner, trigger, self._now)
            except Forbidden as error:
                self._known[key] = error.message
        return self._known[key]

    def why_stopped(self, trigger: PlacedTrigger) -> str:
        """Why a trigger does nothing; empty: it acts."""
        found = self.of(trigger)
        return found if isinstance(found, str) else ""
