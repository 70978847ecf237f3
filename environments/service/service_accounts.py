"""Service accounts: names for programs, with tokens that are limited and end. Somebody answers for each of them."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from environments.domain.access import EVERYONE, GROUP, Person, PersonKind
from environments.domain.deadline import format_duration, parse_duration
from environments.domain.errors import Forbidden, InvalidInput, InvalidLifetime, NotAllowedNow, NotFound
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.service.allowances import check_tokens
from environments.service.authorization import Action, Principal, may, within_scope
from environments.service.pages import Page, ended_in_time, shown_size
from environments.service.records import NewToken
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Storage, Transaction
from environments.service.token_lines import LONGEST_LINE, child_of, fresh
from environments.service.token_scopes import WantedScope, resolve, told_token
from environments.service.user_names import check_account_name

KIND = "service_account"
"""The kind of the tokens that are made here, and of an account in the audit log."""

CI_KIND = "ci"
"""The kind of the tokens that a CI system's tokens are exchanged for."""

LONGEST_TOKEN = timedelta(days=90)
"""How long a token lives at most, unless a setting says something else."""

_SIGNED_IN = "session"
"""Whoever makes a token while signed in makes it as a person: it doesn't end with their session."""

MOST_ACCOUNTS = 50
"""Accounts for which one person or group may be responsible: their names are never given to anybody else."""

_LISTED = 1000
"""Accounts that are read at once."""


class ServiceAccount(NamedTuple):
    """An account, and how many of its tokens are valid."""

    person: Person
    tokens: int


class ServiceAccounts:
    """Makes accounts and their tokens; `revoked` is told the ids of tokens that have just ended."""

    def __init__(
        self,
        storage: Storage,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        revoked: Callable[[frozenset[str]], None],
        longest: timedelta = LONGEST_TOKEN,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._revoked = revoked
        self._longest = longest

    def create(
        self, principal: Principal, name: str, *, description: str = "", responsible: str = ""
    ) -> ServiceAccount:
        """A new account, whose name begins with `svc-`. `responsible`: a user name or `group:NAME`; empty: the caller.

        Raises `InvalidName`, `InvalidInput`, `NameTaken`, `Forbidden`, `NotAllowedNow`.
        """
        check_account_name(name)
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.ACCOUNT_MANAGE)
            _check_person(tx, principal)
            answers = self._responsible(tx, principal, responsible or principal.owner)
            _check_room(tx, answers)
            person = Person(
                name=name,
                kind=PersonKind.SERVICE_ACCOUNT,
                created_at=now,
                created_by=principal.owner,
                responsible=answers,
                note=description,
            )
            tx.people.add(person)
            _note(tx, name, None, {"responsible": answers, "description": description})
        return ServiceAccount(person, 0)

    def list(self, principal: Principal, *, after: str = "", limit: int | None = None) -> Page[ServiceAccount]:
        """By name, behind the name `after`: all of them for admins and auditors, else those one is responsible for."""
        now = self._clock()
        with self._storage.read() as tx:
            found = (_shown(tx, one, now) for one in islice(_all_seen(tx, principal, after), limit))
            return Page(found) if limit is None else ended_in_time(found, lambda account: shown_size(account.person))

    def show(self, principal: Principal, name: str) -> ServiceAccount:
        """One account. Raises `NotFound`."""
        with self._storage.read() as tx:
            return _shown(tx, _seen(tx, principal, name), self._clock())

    def change(
        self, principal: Principal, name: str, *, description: str | None = None, responsible: str | None = None
    ) -> ServiceAccount:
        """Another description, somebody else who answers for it.

        Raises `NotFound`, `InvalidInput`, `Forbidden`, `NotAllowedNow`.
        """
        with self._storage.write() as tx:
            person = self._managed(tx, principal, name)
            values: dict[str, str] = {}
            if description is not None:
                values["note"] = description
            if responsible is not None:
                values["responsible"] = self._responsible(tx, principal, responsible)
                if values["responsible"] != person.responsible:
                    _check_room(tx, values["responsible"])
            if values:
                tx.people.change(name, **values)
            _note(tx, name, {one: getattr(person, one) for one in values}, dict(values))
            return _shown(tx, person.model_copy(update=values), self._clock())

    def disable(self, principal: Principal, name: str) -> ServiceAccount:
        """Revokes all tokens, and lets nobody make another one. Raises `NotFound`."""
        now = self._clock()
        with self._storage.write() as tx:
            person = self._managed(tx, principal, name)
            ended = frozenset(tx.tokens.revoke_all(name, now))
            if person.disabled_at is None:
                values = {"disabled_at": now, "disabled_by": principal.owner}
                tx.people.change(name, **values)
                person = person.model_copy(update=values)
            _note(tx, name, {"disabled": False}, {"disabled": True, "revoked": len(ended)})
        self._revoked(ended)
        return ServiceAccount(person, 0)

    def enable(self, principal: Principal, name: str) -> ServiceAccount:
        """Lets tokens be made again; those from before stay revoked. Raises `NotFound`."""
        with self._storage.write() as tx:
            person = self._managed(tx, principal, name)
            values = {"disabled_at": None, "disabled_by": ""}
            tx.people.change(name, **values)
            _note(tx, name, {"disabled": person.disabled_at is not None}, {"disabled": False})
            return ServiceAccount(person.model_copy(update=values), 0)

    def create_token(
        self, principal: Principal, name: str, scope: WantedScope, *, ttl: str | None = None, note: str = ""
    ) -> NewToken:
        """A token of an account: `ttl` None: for as long as a token may live.

        Who is signed in makes it as a person; a token that was made with another token ends with that, and reaches no
        further. Raises `NotFound`, `NotAllowedNow` for a disabled account, and as `Tokens.create_token` does.
        """
        now = self._clock()
        life = self._longest if ttl is None else parse_duration(ttl)
        if life > self._longest:
            raise InvalidLifetime(
                f"A service account's token lives for {format_duration(self._longest)} at most.",
                hint="Give a shorter --ttl; the setting CALVINVERSE_ACCOUNT_TOKEN_LIFETIME says how long.",
            )
        with self._storage.write() as tx:
            self._managed(tx, principal, name, living=True)
            check_tokens(tx, name, now)
            made = fresh(self._new_id("tok"), name, "own", note, now)
            token = made.token._replace(
                expires_at=now + life,
                kind=KIND,
                scope=resolve(tx, principal, scope),
                address=principal.address,
                made_by=principal.owner,
            )
            line = tx.tokens.line(principal.token_id, LONGEST_LINE)
            if line and line[0].kind != _SIGNED_IN:
                token = child_of(line, token, now)
            tx.tokens.add(token)
            _note(tx, name, None, {"made": token.id, **told_token(token)})
        return made._replace(token=token)

    def tokens(
        self, principal: Principal, name: str, *, limit: int | None = None, before: str | None = None
    ) -> Page[TokenRecord]:
        """An account's tokens, newest first: at most `limit`, older than that with the id `before`.

        Raises `NotFound`.
        """
        with self._storage.read() as tx:
            _seen(tx, principal, name)
            return tx.tokens.all(name, limit=limit, before=before)

    def revoke_token(self, principal: Principal, name: str, token_id: str) -> TokenRecord:
        """Revokes a token of an account, and all that were made with it. Raises `NotFound`."""
        with self._storage.write() as tx:
            self._managed(tx, principal, name)
            found = tx.tokens.line(token_id, 1)
            if not found or found[0].owner != name:
                raise NotFound(
                    f"{name} has no token {token_id!r}.", hint=f"See them with `calvinverse account show {name}`."
                )
            revoked = tx.tokens.revoke(token_id, self._clock())
            ended = frozenset(tx.tokens.made_with(token_id))
            _note(tx, name, None, {"revoked": token_id})
        assert revoked is not None
        self._revoked(ended)
        return revoked

    def _managed(self, tx: Transaction, principal: Principal, name: str, *, living: bool = False) -> Person:
        """An account that the principal may manage."""
        person = _seen(tx, principal, name)
        may(tx, principal, Action.ACCOUNT_MANAGE)
        _check_person(tx, principal)
        if principal.role != "admin" and person.responsible not in principal.subjects:
            raise Forbidden(f"Only {person.responsible}, who is responsible for {name}, and admins can do this.")
        if living and person.disabled_at is not None:
            raise NotAllowedNow(f"{name} is disabled.", hint=f"Enable it first: `calvinverse account enable {name}`.")
        return person

    def _responsible(self, tx: Transaction, principal: Principal, subject: str) -> str:
        """The subject, if it may answer for an account: somebody there is, and for who isn't an admin they themselves
        or a group of theirs. Raises `InvalidInput`, `Forbidden`."""
        if subject.startswith(GROUP):
            known = tx.groups.get(subject.removeprefix(GROUP)) is not None
        else:
            person = tx.people.get(subject)
            known = person is not None and person.kind is not PersonKind.SERVICE_ACCOUNT
            known = known or subject == principal.owner
        if principal.role != "admin" and (not known or subject == EVERYONE or subject not in principal.subjects):
            raise Forbidden("You can make yourself or a group of yours responsible; an admin, anybody.")
        if not known:
            raise InvalidInput(
                f"{subject!r} can't be responsible: there is no such person or group.",
                hint="Give a user name, or group:NAME.",
            )
        return subject


def _check_person(tx: Transaction, principal: Principal) -> None:
    """Raises `Forbidden` for a program: whoever stole its token could stay by another account."""
    person = tx.people.get(principal.owner)
    if person is not None and person.kind is PersonKind.SERVICE_ACCOUNT:
        raise Forbidden("A service account can't manage service accounts.")


def _check_room(tx: Transaction, responsible: str) -> None:
    if len(tx.people.answering_for(responsible)) >= MOST_ACCOUNTS:
        raise NotAllowedNow(
            f"{responsible} is responsible for {MOST_ACCOUNTS} service accounts; there can't be more.",
            hint="Use one of them: `calvinverse account list`. Or make a group responsible.",
        )


def _sees(principal: Principal, person: Person) -> bool:
    mine = person.name == principal.owner or person.responsible in principal.subjects
    return mine or (principal.sees_all and within_scope(principal.scope, Action.ACCOUNT_MANAGE, on_environment=False))


def _all_seen(tx: Transaction, principal: Principal, after: str) -> Iterator[Person]:
    """The accounts that the principal sees, by name, behind the name `after`; read as they are asked for."""
    more = True
    while more:
        found = tx.people.all(kind=PersonKind.SERVICE_ACCOUNT, after=after, limit=_LISTED)
        yield from (one for one in found if _sees(principal, one))
        more = found.more or len(found) == _LISTED
        after = found[-1].name if found else after


def _seen(tx: Transaction, principal: Principal, name: str) -> Person:
    person = tx.people.get(name)
    if person is None or person.kind is not PersonKind.SERVICE_ACCOUNT or not _sees(principal, person):
        found = tx.people.all(kind=PersonKind.SERVICE_ACCOUNT, limit=MOST_SUGGESTED_FROM)
        known = [one.name for one in found if _sees(principal, one)]
        raise NotFound(
            told(f"There is no service account {name!r}.", name, known),
            hint="See them with `calvinverse account list`.",
        )
    return person


def _shown(tx: Transaction, person: Person, now: datetime) -> ServiceAccount:
    return ServiceAccount(person, sum(not one.ended(now) for one in tx.tokens.living(person.name, now)))


def _note(tx: Transaction, name: str, before: dict[str, object] | None, after: dict[str, object]) -> None:
    tx.audit.changed(before=before, after=after, object_kind=KIND, object_id=name, object_name=name)
