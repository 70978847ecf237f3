"""The people of the built-in provider, in OpenBao.

A user of the login makes an entity with the first login, and the entity's id is the subject for ever. Who is in the
group of people may sign in. A one-time password doesn't suffice for that: its person is in the group only after having
chosen a password, so OpenBao itself gives no code for it.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from environments.domain.errors import BackendError, NameTaken, NotAllowedNow, NotFound
from environments.domain.suggesting import told
from environments.providers.openbao_people.ports import Entity, PeopleCalls
from environments.service.built_in_provider import PROVIDER_PATH
from environments.service.local_people import LocalPerson, OneTimePassword

EVERYBODY = ""
"""The group of all who may sign in."""

ONE_TIME_LIFE = timedelta(days=7)
"""How long a one-time password may be used."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_PIECES, _PIECE = 4, 5
"""20 characters of these are 99 bits."""

NAME, EMAIL, UNTIL, CREATED = "name", "email", "one_time_until", "created_at"
"""Keys of an entity's metadata. With `UNTIL` the password is for one time."""


class OpenBaoLocalPeople:
    """Implements `LocalPeople`."""

    def __init__(
        self,
        calls: PeopleCalls,
        external_address: str,
        clock: Callable[[], datetime],
        password: Callable[[], str] | None = None,
    ) -> None:
        self._calls = calls
        self._external_address = external_address.rstrip("/")
        self._clock = clock
        self._password = password or one_time_password
        self._lock = threading.Lock()
        """Members of a group are read and written as a whole."""

    @property
    def issuer(self) -> str:
        return f"{self._external_address}{PROVIDER_PATH}"

    @property
    def address(self) -> str:
        return self._external_address

    def all(self) -> Sequence[LocalPerson]:
        groups, users = self._calls.groups(), self._calls.users()
        entities = self._calls.entities(users)
        return [_person(user, entities.get(user), groups) for user in users]

    def named(self, user_name: str) -> LocalPerson:
        self._require(user_name)
        return _person(user_name, self._entity_of(user_name), self._calls.groups())

    def create(self, user_name: str, *, display_name: str, email: str, groups: Sequence[str]) -> OneTimePassword:
        with self._lock:
            if user_name in self._calls.users():
                raise NameTaken(
                    f"There is a person {user_name!r} already.",
                    hint=f"Choose another name, or give a new password with `calvinverse user reset {user_name}`.",
                )
            if self._entity_of(user_name) is not None:
                raise NameTaken(
                    f"There was a person {user_name!r} before, and a new one would be taken for that person.",
                    hint="Choose another name.",
                )
            kept = {NAME: display_name, EMAIL: email, CREATED: self._clock().isoformat()}
            return self._renew(user_name, {key: value for key, value in kept.items() if value}, groups)

    def disable(self, user_name: str) -> LocalPerson:
        return self._switch(user_name, disabled=True)

    def enable(self, user_name: str) -> LocalPerson:
        return self._switch(user_name, disabled=False)

    def reset(self, user_name: str) -> OneTimePassword:
        self._require(user_name)
        with self._lock:
            entity = self._entity_of(user_name)
            if entity is not None and entity.disabled:
                raise NotAllowedNow(
                    f"{user_name!r} is disabled, and so can't be given a password.",
                    hint=f"First run `calvinverse user enable {user_name}`.",
                )
            return self._renew(user_name, {} if entity is None else entity.metadata, None)

    def set_groups(self, user_name: str, groups: Sequence[str]) -> LocalPerson:
        self._require(user_name)
        with self._lock:
            entity = self._entity_of(user_name)
            if entity is None:
                raise NotFound(f"{user_name!r} has no password yet.", hint=f"Run `calvinverse user reset {user_name}`.")
            self._join(entity.id, groups)
        return self.named(user_name)

    def chosen(self, user_name: str, entity: Entity, password: str) -> None:
        """Keeps a password that the person has chosen; from now on it suffices to sign in. Raises `BackendError`."""
        with self._lock:
            self._calls.set_user(user_name, password)
            self._calls.change_entity(entity.id, metadata=_without(entity.metadata, UNTIL))
            members = self._calls.groups().get(EVERYBODY, ())
            if entity.id not in members:
                self._calls.set_members(EVERYBODY, (*members, entity.id))

    def _renew(self, user: str, metadata: Mapping[str, str], groups: Sequence[str] | None) -> OneTimePassword:
        """A new one-time password. `groups` None: they stay as they are."""
        password, until = self._password(), self._clock() + ONE_TIME_LIFE
        entity = self._entity_of(user)
        if entity is not None:
            self._leave(entity.id)  # first: until there is a chosen password, OpenBao gives no code
        self._calls.set_user(user, password)
        login = self._calls.log_in(user, password)
        if login is None:
            raise BackendError(f"OpenBao refuses the new password of {user!r}.", hint="Try again.")
        metadata = {**metadata, UNTIL: until.isoformat()}
        self._calls.change_entity(login.entity, metadata=metadata)
        self._calls.end_logins(user)
        if groups is not None:
            self._join(login.entity, groups)
        person = _person(user, Entity(login.entity, metadata, disabled=False), self._calls.groups())
        return OneTimePassword(person, password, until, self.address)

    def _switch(self, user: str, *, disabled: bool) -> LocalPerson:
        self._require(user)
        entity = self._entity_of(user)
        if entity is None:
            raise NotFound(f"Nobody has signed in as {user!r}.", hint=f"Run `calvinverse user reset {user}`.")
        self._calls.change_entity(entity.id, disabled=disabled)
        if disabled:
            self._calls.end_logins(user)
        return _person(user, replace(entity, disabled=disabled), self._calls.groups())

    def _join(self, entity: str, groups: Sequence[str]) -> None:
        """Puts a person into these groups alone; that of all people is another matter."""
        present = self._calls.groups()
        for group in sorted({*present, *groups} - {EVERYBODY}):
            members = present.get(group, ())
            if (entity in members) != (group in groups):
                self._calls.set_members(group, _changed(members, entity, present=group in groups))

    def _leave(self, entity: str) -> None:
        members = self._calls.groups().get(EVERYBODY, ())
        if entity in members:
            self._calls.set_members(EVERYBODY, _changed(members, entity, present=False))

    def _entity_of(self, user: str) -> Entity | None:
        return self._calls.entities([user]).get(user)

    def _require(self, user: str) -> None:
        known = self._calls.users()
        if user not in known:
            raise NotFound(
                told(f"The built-in provider has no person {user!r}.", user, known),
                hint="See them with `calvinverse user list`.",
            )


def one_time_password() -> str:
    """20 random characters that can't be mistaken for one another, in groups."""
    pieces = ("".join(secrets.choice(_ALPHABET) for _ in range(_PIECE)) for _ in range(_PIECES))
    return "-".join(pieces)


def moment(text: str | None) -> datetime | None:
    """A moment in an entity's metadata; None for what isn't one."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _without(metadata: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name != key}


def _changed(members: Iterable[str], entity: str, *, present: bool) -> tuple[str, ...]:
    others = tuple(member for member in members if member != entity)
    return (*others, entity) if present else others


def _person(user: str, entity: Entity | None, groups: Mapping[str, Iterable[str]]) -> LocalPerson:
    if entity is None:
        return LocalPerson(user, "", must_change=True)
    return LocalPerson(
        user_name=user,
        subject=entity.id,
        display_name=entity.metadata.get(NAME, ""),
        email=entity.metadata.get(EMAIL, ""),
        groups=tuple(sorted(name for name, ids in groups.items() if name and entity.id in ids)),
        disabled=entity.disabled,
        must_change=UNTIL in entity.metadata,
        password_until=moment(entity.metadata.get(UNTIL)),
        created_at=moment(entity.metadata.get(CREATED)),
    )
