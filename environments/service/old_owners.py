"""Names of owners from before there were people: an admin gives each, and what belongs to it, to a person."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from environments.domain.access import Person, PersonKind, ServiceRole
from environments.domain.environment import EventType
from environments.domain.errors import NotAllowedNow
from environments.service.authorization import Action, Principal, may
from environments.service.ownership import note_transfers
from environments.service.people import note
from environments.service.retiming import Retiming
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_person
from environments.service.tokens import check_owner

_IDENTITY = (
    *("issuer", "subject", "display_name", "email", "claim_groups", "claim_role", "signed_in_at"),
    *("successor", "responsible", "note"),
)
"""Columns that make a name stand for somebody."""


@dataclass(frozen=True)
class Assignment:
    """An old owner that is a person's now. `name` is what the person is called from now on; `given_up`: not any more.

    `moved`: how many things, by kind. `applied` False: it was only computed.
    """

    name: str
    given_up: str
    moved: Mapping[str, int]
    applied: bool


class _NotApplied(Exception):
    """Ends the transaction of a dry run, so that it is rolled back."""


class OldOwners:
    """Assigns them. The name that is given up stays reserved for ever, and says whose it has become."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], retiming: Retiming) -> None:
        self._storage = storage
        self._clock = clock
        self._retiming = retiming

    def assign(
        self, principal: Principal, old: str, to: str, *, keep_name: bool = False, dry_run: bool = False
    ) -> Assignment:
        """Gives what belongs to `old` to the person `to`; with `keep_name` the person is called `old` from now on.

        Sessions and tokens of both go on. Raises `Forbidden`, `NotFound`, and `NotAllowedNow` for an owner who isn't
        unclaimed, or somebody who is no person.
        """
        done: list[Assignment] = []
        try:
            with self._storage.write() as tx:
                may(tx, principal, Action.PERSON_MANAGE)
                done.append(self._assign(tx, principal, old, to, keep_name))
                if dry_run:
                    raise _NotApplied
        except _NotApplied:
            return Assignment(done[0].name, done[0].given_up, done[0].moved, applied=False)
        return done[0]

    def _assign(self, tx: Transaction, principal: Principal, old: str, to: str, keep_name: bool) -> Assignment:
        now = self._clock()
        owner, person = (known_person(tx, principal, name) for name in (old, to))
        _check(owner, person)
        gone, left = (person, owner) if keep_name else (owner, person)
        found = tx.environments.all(owner=gone.name)
        if keep_name:
            check_owner(left.name)
            _exchange(tx, owner, person)
        tx.people.change(gone.name, became=left.name)
        moved = {kind: count for kind, count in tx.people.hand_over(gone.name, left.name).items() if count}
        tx.environments.mark_to_retime(f"{principal.owner} gave what {gone.name} owned to {left.name}", owner=left.name)
        for one in found:
            tx.events.add(
                EventType.ENVIRONMENT_TRANSFERRED,
                one.id,
                now,
                message=f"{principal.owner} gave what {gone.name} owned, {one.name} among it, to {left.name}",
                data={"by": principal.owner, "before": gone.name, "owner": left.name},
            )
        self._retiming.page(tx)
        note(tx, owner, {"name": gone.name}, {"name": left.name, **moved})
        note_transfers(tx, principal, found, f"what {gone.name} had was given to {left.name}")
        return Assignment(left.name, gone.name, moved, applied=True)


def _check(owner: Person, person: Person) -> None:
    if owner.kind is not PersonKind.UNCLAIMED:
        raise NotAllowedNow(
            f"{owner.name} is no unclaimed owner.", hint="See those with `calvinverse user list --unclaimed`."
        )
    if person.kind is not PersonKind.PERSON or person.subject is None:
        raise NotAllowedNow(
            f"{person.name} is no person who has signed in.", hint="They sign in once first: `calvinverse login`."
        )
    if person.disabled_at is not None:
        raise NotAllowedNow(f"{person.name} is disabled.", hint="Enable them first.")


def _exchange(tx: Transaction, owner: Person, person: Person) -> None:
    """The row of `owner` stands for the person, and that of `person` for nobody."""
    nobody: dict[str, Any] = {
        **{"issuer": None, "subject": None, "display_name": "", "email": "", "claim_groups": None},
        **{"claim_role": ServiceRole.USER, "signed_in_at": None, "successor": "", "responsible": "", "note": ""},
    }
    tx.people.change(person.name, kind=PersonKind.UNCLAIMED, **nobody)
    tx.people.change(
        owner.name,
        kind=PersonKind.PERSON,
        disabled_at=None,
        disabled_by="",
        **{name: getattr(person, name) for name in _IDENTITY},
    )
