"""People who sign in with the built-in provider: an admin makes them, and they choose their passwords.

They are kept by the provider. The service keeps the user name from the beginning, and whose it is; what else it knows
of a person begins with the first sign-in.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from environments.domain.errors import BackendError, CalvinverseError, InvalidInput, NotFound, StorageError
from environments.service.authorization import Action, Principal, check_service, entry_of
from environments.service.local_names import at_provider, check_one, keep_name, recognise
from environments.service.pages import Page, ended_in_time, shown_size
from environments.service.storage.audit import AuditEntry
from environments.service.storage.transaction import Storage
from environments.service.user_names import check_user_name

_USER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_GROUP = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[A-Za-z0-9.-]{1,180}")
_LONGEST_DISPLAY_NAME = 200
_MOST_GROUPS = 50


@dataclass(frozen=True)
class LocalPerson:
    """A person as the provider knows one.

    `subject` is what identity tokens name, empty when nobody has ever signed in with the name. `groups` arrive as the
    claim of groups. `must_change`: the password is for one time, until `password_until`.
    """

    user_name: str
    subject: str
    display_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    disabled: bool = False
    must_change: bool = False
    password_until: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class OneTimePassword:
    """Shown once. The person signs in at `address` with it and chooses a password before `until`."""

    person: LocalPerson
    password: str = field(repr=False)
    until: datetime
    address: str


class LocalPeople(Protocol):
    """The people of the built-in provider. All raise `BackendError`, and with a user name `NotFound`."""

    @property
    def issuer(self) -> str:
        """What identity tokens of these people name as their issuer."""
        ...

    @property
    def address(self) -> str:
        """Where they sign in."""
        ...

    def all(self) -> Sequence[LocalPerson]:
        """Everybody, by user name."""
        ...

    def named(self, user_name: str) -> LocalPerson:
        """One person."""
        ...

    def create(self, user_name: str, *, display_name: str, email: str, groups: Sequence[str]) -> OneTimePassword:
        """A new person.

        Raises `NameTaken` also for the name of somebody who was deleted: the new person would be taken for that one.
        """
        ...

    def disable(self, user_name: str) -> LocalPerson:
        """From now on the person can't sign in, and logins and codes that are under way end."""
        ...

    def enable(self, user_name: str) -> LocalPerson:
        """The person can sign in again, with the same password."""
        ...

    def reset(self, user_name: str) -> OneTimePassword:
        """Replaces the password; logins and codes that are under way end."""
        ...

    def set_groups(self, user_name: str, groups: Sequence[str]) -> LocalPerson:
        """Replaces the groups; they count from the next sign-in on."""
        ...


class ManageLocalPeople:
    """For admins: `LocalPeople` with who may, and which values are valid.

    `departs` and `returns` do the same to what the service knows of the person: both get the principal, issuer and
    subject. A name means whoever has it in the service; `environments.service.local_names` says more.
    """

    def __init__(
        self,
        storage: Storage,
        people: LocalPeople,
        clock: Callable[[], datetime],
        departs: Callable[[Principal, str, str], None] = lambda principal, issuer, subject: None,
        returns: Callable[[Principal, str, str], None] = lambda principal, issuer, subject: None,
    ) -> None:
        self._storage = storage
        self._people = people
        self._clock = clock
        self._departs = departs
        self._returns = returns

    def all(self, principal: Principal, *, limit: int | None = None, after: str = "") -> Page[LocalPerson]:
        """People by user name: at most `limit`, behind the name `after`. Raises `Forbidden`, `BackendError`."""
        check_service(principal, Action.PERSON_LIST)
        behind = [person for person in self._people.all() if person.user_name > after]
        found = sorted(behind, key=lambda person: person.user_name)[:limit]
        return Page(found) if limit is None else ended_in_time(found, shown_size)

    def create(
        self,
        principal: Principal,
        user_name: str,
        *,
        display_name: str = "",
        email: str = "",
        groups: Sequence[str] = (),
    ) -> OneTimePassword:
        """The person has the user name in the service from now on.

        It is kept before the provider is asked, and given back when that refuses; when it can't be told what the
        provider did, the name stays kept, and the same can be asked again. Raises `Forbidden`, `InvalidName`,
        `InvalidInput`, `NameTaken`, `BackendError`.
        """
        check_service(principal, Action.PERSON_MANAGE)
        check_user_name(user_name)
        name = display_name.strip() or user_name
        if len(name) > _LONGEST_DISPLAY_NAME or not name.isprintable():
            raise InvalidInput(f"A name has at most {_LONGEST_DISPLAY_NAME} printable characters.")
        if email and not _EMAIL.fullmatch(email):
            raise InvalidInput(f"{email!r} is no e-mail address.", hint="Give one such as ada@example.org.")
        _check_groups(groups)
        with self._noted(principal, user_name, {"made": True, "groups": sorted(groups)}):
            with self._storage.write() as tx:
                kept = keep_name(tx, self._people.issuer, user_name, name, principal.owner, self._clock())
            try:
                made = self._people.create(user_name, display_name=name, email=email, groups=groups)
            except BackendError:
                raise
            except CalvinverseError:
                if kept:
                    with self._storage.write() as tx:
                        tx.people.give_back(user_name)
                raise
            self._recognise(made.person)
            return made

    def disable(self, principal: Principal, user_name: str) -> LocalPerson:
        """Also disables what the service knows of the person, as `environments.service.people` says.

        Raises `Forbidden`, `NotFound`, `NotAllowedNow` (oneself, or the last admin), `BackendError`.
        """
        with self._noted(principal, user_name, {"disabled": True}):
            user_name = self._meant(user_name)
            if subject := self._people.named(user_name).subject:
                self._departs(principal, self._people.issuer, subject)
            return self._people.disable(user_name)

    def enable(self, principal: Principal, user_name: str) -> LocalPerson:
        """Raises `Forbidden`, `NotFound`, `BackendError`."""
        with self._noted(principal, user_name, {"disabled": False}):
            found = self._people.enable(self._meant(user_name))
            self._returns(principal, self._people.issuer, found.subject)
            return found

    def reset(self, principal: Principal, user_name: str) -> OneTimePassword:
        """Raises `Forbidden`, `NotFound`, `NotAllowedNow`, `BackendError`."""
        with self._noted(principal, user_name, {"password": "reset"}):
            made = self._people.reset(self._meant(user_name))
            self._recognise(made.person)
            return made

    def set_groups(self, principal: Principal, user_name: str, groups: Sequence[str]) -> LocalPerson:
        """Raises `Forbidden`, `InvalidInput`, `NotFound`, `BackendError`."""
        check_service(principal, Action.PERSON_MANAGE)
        _check_groups(groups)
        with self._noted(principal, user_name, {"groups": sorted(groups)}):
            return self._people.set_groups(self._meant(user_name), groups)

    def _meant(self, name: str) -> str:
        """The provider's name of the person. Raises `NotAllowedNow` if two could be meant, `BackendError`."""
        there = self._people.all()
        with self._storage.read() as tx:
            person = tx.people.get(name)
            meant = None if person is None else at_provider(person, self._people.issuer, there)
            namesake = next((one for one in there if one.user_name == name), None)
            if person is not None and meant is not None and namesake is not None:
                check_one(tx, person, self._people.issuer, namesake)
        return meant.user_name if meant is not None else name

    def _recognise(self, person: LocalPerson) -> None:
        """The first sign-in does it too; whoever waits for a password gets it."""
        with suppress(StorageError), self._storage.write() as tx:
            recognise(tx, self._people.issuer, person)

    @contextmanager
    def _noted(self, principal: Principal, user_name: str, after: Mapping[str, Any]) -> Iterator[None]:
        """Writes to the audit log what is done at the provider, before it is: that has no part in our transactions."""
        check_service(principal, Action.PERSON_MANAGE)
        if not is_user_name(user_name):
            raise NotFound("No person of the built-in provider can have this name.")
        entry = replace(
            entry_of(principal, Action.PERSON_MANAGE), object_kind="local person", object_name=user_name, after=after
        )
        self._add(entry)
        try:
            yield
        except CalvinverseError as error:
            self._add(replace(entry, outcome="failed", code=error.code, reason=error.message))
            raise

    def _add(self, entry: AuditEntry) -> None:
        with self._storage.write() as tx:
            tx.audit.add(entry)


def is_user_name(text: str) -> bool:
    """Whether a user can have that name."""
    return _USER_NAME.fullmatch(text) is not None


def _check_groups(groups: Sequence[str]) -> None:
    if len(groups) > _MOST_GROUPS:
        raise InvalidInput(f"A person is in at most {_MOST_GROUPS} groups.")
    for group in groups:
        if not _GROUP.fullmatch(group):
            raise InvalidInput(
                f"{group!r} can't be a group.",
                hint="Use 1 to 63 lower-case letters, digits, dots, hyphens and underscores.",
            )
