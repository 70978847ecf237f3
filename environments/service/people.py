"""People as admins manage them: who there is, what they have, and who can't sign in any more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from environments.domain.access import (
    EVERYONE,
    GROUP,
    Membership,
    Person,
    PersonKind,
    ServiceRole,
    ServiceRoleGrant,
    group_subject,
)
from environments.domain.errors import BackendError, BackendUnavailable, CalvinverseError, NotAllowedNow, NotFound
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.local_names import at_provider, check_one
from environments.service.local_people import LocalPeople, LocalPerson
from environments.service.ownership import give, note_transfers
from environments.service.pages import Page
from environments.service.retiming import Retiming
from environments.service.storage.people import Owned
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_person, known_subject
from environments.service.tokens import Tokens

DepartedOwners = Literal["admin", "group", "keep"]
"""Who gets the environments of somebody who is disabled and has no successor; see `People.disable`."""

_SHOWN = 200
"""Names of environments that an answer lists."""


@dataclass(frozen=True)
class PersonDetails:
    """Somebody, with their groups, and their service role and because of what they have it (a sentence each)."""

    person: Person
    groups: tuple[Membership, ...]
    role: ServiceRole
    reasons: tuple[str, ...]
    owned: Owned


@dataclass(frozen=True)
class Departure:
    """What disabling somebody did. `heir` empty: their environments stay theirs. `names`: at most 200 of `moved`."""

    details: PersonDetails
    heir: str
    why: str
    moved: int
    names: tuple[str, ...]
    ended: int
    """How many sessions and tokens ended."""
    accounts: tuple[str, ...] = ()
    """Service accounts for which the heir is responsible now."""


class People:
    """Lists people, disables and enables them."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        tokens: Tokens,
        retiming: Retiming,
        departed_owners: DepartedOwners = "admin",
        local: LocalPeople | None = None,
    ) -> None:
        """`local`: the people of the built-in provider, who are disabled and enabled there too."""
        self._storage = storage
        self._clock = clock
        self._tokens = tokens
        self._retiming = retiming
        self._departed_owners = departed_owners
        self._local = local

    def all(
        self,
        principal: Principal,
        *,
        kind: PersonKind | None = None,
        disabled: bool | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> Page[PersonDetails]:
        """Everybody by name, behind the name `after`, for admins and auditors. Raises `Forbidden`."""
        check_service(principal, Action.PERSON_LIST)
        with self._storage.read() as tx:
            found = tx.people.all(kind=kind, after=after, limit=limit, disabled=disabled)
            return Page(_details(tx, found, self._clock()), more=found.more)

    def one(self, principal: Principal, name: str) -> PersonDetails:
        """Somebody; everybody may look at themselves. Raises `Forbidden`, `NotFound`."""
        if name != principal.owner:
            check_service(principal, Action.PERSON_LIST)
        with self._storage.read() as tx:
            person = tx.people.get(name) or known_person(tx, principal, name)
            return _details(tx, [person], self._clock())[0]

    def set_successor(self, principal: Principal, name: str, successor: str) -> PersonDetails:
        """Says who gets somebody's environments when they are disabled; empty: the rule decides.

        Everybody may say it of themselves. Raises `Forbidden`, `NotFound`, `NotAllowedNow`.
        """
        with self._storage.write() as tx:
            if name == principal.owner:
                may(tx, principal, Action.SUCCESSOR_SET)
            else:
                may(tx, principal, Action.PERSON_MANAGE)
            person = known_person(tx, principal, name)
            heir = _other(person, known_subject(tx, principal, successor)) if successor.strip() else ""
            tx.people.change(person.name, successor=heir)
            note(tx, person, {"successor": person.successor}, {"successor": heir})
            return _details(tx, [person.model_copy(update={"successor": heir})], self._clock())[0]

    def disable(self, principal: Principal, name: str, *, successor: str = "", exact: bool = False) -> Departure:
        """Ends somebody's sessions and tokens, and what came of these; nobody can sign in as them until `enable`.

        Their environments go to `successor`, else to the successor in their record, else by the rule of the service:
        `group` (the local group that they are in, if it is exactly one), `admin` (whoever disables them; also if
        there is no such group), or `keep`. Deployments that they asked for go on, for these are the environments'.
        Somebody who is disabled already stays so; what they still have goes the same way. A person of the built-in
        provider is disabled there last: if that fails, they are out of here all the same.

        Raises `Forbidden`, `NotFound`, `NotAllowedNow` for oneself, for the last admin who can get in, and, unless
        `exact`, for a name that somebody else has at the built-in provider; `BackendUnavailable` when that could not
        be told.
        """
        check_service(principal, Action.PERSON_MANAGE)
        if not exact:
            self._check_meant(name)
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.PERSON_MANAGE)
            person = known_person(tx, principal, name)
            if person.name == principal.owner:
                raise NotAllowedNow("You can't disable yourself.", hint="Another admin can.")
            if tx.people.way_in(person.name, now) is None:
                raise NotAllowedNow(
                    f"{person.name} is the last admin who can sign in, and there is no local admin token.",
                    hint="Give somebody else the role first: `calvinverse role grant NAME admin`.",
                )
            heir, why = self._heir(tx, principal, person, successor)
            found = [one for one in tx.environments.all(owner=person.name) if one.managed_by is None] if heir else []
            moved = [one.name for one in found]
            for environment in found:
                give(tx, environment, heir, principal.owner, now, f"{person.name} was disabled; {why}")
            accounts = tx.people.answering_for(person.name) if heir else []
            for account in accounts:
                tx.people.change(account, responsible=heir)
            if person.disabled_at is None:
                tx.people.change(person.name, disabled_at=now, disabled_by=principal.owner)
            ended = tx.tokens.revoke_all(person.name, now)
            self._retiming.page(tx)
            after = {
                "disabled": True,
                "owner": heir or person.name,
                "environments": moved[:_SHOWN],
                "ended": len(ended),
            }
            note(tx, person, {"disabled": person.disabled_at is not None}, after)
            note_transfers(tx, principal, found, f"{person.name} was disabled; {why}")
            current = tx.people.get(person.name) or person
            details = _details(tx, [current], now)[0]
        self._tokens.tell_revoked(frozenset(ended))
        try:
            self._tell_provider(person, disabled=True)
        except CalvinverseError as error:
            raise BackendUnavailable(
                f"{person.name} is disabled here, but not at the built-in provider: {error.message}",
                hint="Run the same again once OpenBao answers.",
            ) from error
        return Departure(details, heir, why, len(moved), tuple(moved[:_SHOWN]), len(ended), tuple(accounts))

    def enable(self, principal: Principal, name: str, *, exact: bool = False) -> PersonDetails:
        """Lets somebody sign in again; what ended and what others got stays so. At the built-in provider first.

        Raises `Forbidden`, `NotFound`, `NotAllowedNow` as `disable` does for a name, `BackendError`.
        """
        check_service(principal, Action.PERSON_MANAGE)
        if not exact:
            self._check_meant(name)
        with self._storage.read() as tx:
            found = known_person(tx, principal, name)
        self._tell_provider(found, disabled=False)
        with self._storage.write() as tx:
            may(tx, principal, Action.PERSON_MANAGE)
            person = known_person(tx, principal, name)
            tx.people.change(person.name, disabled_at=None, disabled_by="")
            note(tx, person, {"disabled": person.disabled_at is not None}, {"disabled": False})
            enabled = person.model_copy(update={"disabled_at": None, "disabled_by": ""})
            return _details(tx, [enabled], self._clock())[0]

    def depart(self, principal: Principal, issuer: str, subject: str) -> None:
        """Disables whoever has that identity, as `disable` does, unless nobody has or they are disabled already."""
        person = self._of_identity(issuer, subject)
        if person is not None and person.disabled_at is None:
            self.disable(principal, person.name, exact=True)

    def come_back(self, principal: Principal, issuer: str, subject: str) -> None:
        """Enables whoever has that identity and is disabled."""
        person = self._of_identity(issuer, subject)
        if person is not None and person.disabled_at is not None:
            self.enable(principal, person.name, exact=True)

    def _tell_provider(self, person: Person, *, disabled: bool) -> None:
        if self._local is None or person.issuer != self._local.issuer:
            return
        there = self._local.all()
        found = at_provider(person, self._local.issuer, there)
        if isinstance(found, LocalPerson) and found.disabled is not disabled:
            (self._local.disable if disabled else self._local.enable)(found.user_name)

    def _check_meant(self, name: str) -> None:
        """Raises `NotAllowedNow` if the built-in provider calls somebody else so; not when it can't be asked."""
        if self._local is None:
            return
        try:
            namesake = self._local.named(name)
        except (NotFound, BackendError):
            return
        with self._storage.read() as tx:
            person = tx.people.get(name)
            if person is not None:
                check_one(tx, person, self._local.issuer, namesake)

    def _of_identity(self, issuer: str, subject: str) -> Person | None:
        with self._storage.read() as tx:
            return tx.people.by_identity(issuer, subject)

    def _heir(self, tx: Transaction, principal: Principal, person: Person, named: str) -> tuple[str, str]:
        """Who gets the environments, and because of what."""
        if named.strip():
            return _other(person, known_subject(tx, principal, named)), f"{principal.owner} named them"
        if person.successor:
            try:
                return _other(person, known_subject(tx, principal, person.successor)), "the successor in their record"
            except CalvinverseError:  # gone or disabled since
                pass
        if self._departed_owners == "keep":
            return "", "the rule keeps them with their owner"
        groups = [found.group for found in tx.groups.of(person.name) if found.source == "local"]
        if self._departed_owners == "group" and len(groups) == 1:
            return group_subject(groups[0]), "the rule gives them to the owner's group"
        keeper = tx.people.get(principal.owner)
        if keeper is None or keeper.disabled_at is not None:
            return "", "there is nobody to get them"
        return keeper.name, "the rule gives them to the admin who disabled the owner"


def _other(person: Person, heir: str) -> str:
    if heir == person.name:
        raise NotAllowedNow(f"{heir} can't be their own successor.", hint="Name somebody else.")
    return heir


def note(tx: Transaction, person: Person, before: dict[str, object], after: dict[str, object]) -> None:
    """Completes the entry of the audit log about somebody."""
    tx.audit.changed(before=before, after=after, object_kind="person", object_id=person.name, object_name=person.name)


def _details(tx: Transaction, people: Sequence[Person], now: datetime) -> list[PersonDetails]:
    names = [person.name for person in people]
    groups, owned = tx.groups.of_many(names), tx.people.owned(names, now)
    grants = [grant for grant in tx.service_roles.all() if grant.until is None or grant.until > now]
    found = []
    for person in people:
        theirs = groups.get(person.name, ())
        role, reasons = _role(person, theirs, grants)
        found.append(PersonDetails(person, theirs, role, reasons, owned[person.name]))
    return found


def _role(
    person: Person, groups: Sequence[Membership], grants: Sequence[ServiceRoleGrant]
) -> tuple[ServiceRole, tuple[str, ...]]:
    subjects = {person.name, EVERYONE, *(group_subject(found.group) for found in groups)}
    roles, reasons = [ServiceRole.USER], []
    if person.claim_role is not ServiceRole.USER:
        roles.append(person.claim_role)
        reasons.append(f"The provider's rules gave them {person.claim_role.value} at the last sign-in.")
    for grant in grants:
        if grant.subject in subjects:
            roles.append(grant.role)
            whom = "their group " + grant.subject.removeprefix(GROUP) if grant.subject.startswith(GROUP) else "them"
            whom = "everyone" if grant.subject == EVERYONE else whom
            end = f" until {grant.until:%Y-%m-%d %H:%M} UTC" if grant.until is not None else ""
            reasons.append(f"{grant.by} gave {whom} {grant.role.value}{end}.")
    return max(roles, key=lambda role: role.rank), tuple(reasons)
