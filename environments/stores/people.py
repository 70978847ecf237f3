"""People and groups: see `environments.service.storage.people`."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError

from environments.domain.access import (
    EVERYONE,
    Group,
    Membership,
    Person,
    PersonKind,
    ServiceRole,
    group_subject,
)
from environments.domain.errors import NameTaken
from environments.service.pages import Page
from environments.service.storage.people import Owned, Standing, WayIn
from environments.stores.belongings import belongings, group_belongings, hand_over, owned, way_in
from environments.stores.environment_rows import plain
from environments.stores.events_schema import webhook_users
from environments.stores.locks import Locks
from environments.stores.paging import read_page
from environments.stores.people_schema import (
    access_changes,
    creators,
    groups,
    memberships,
    people,
    service_roles,
    shares,
)

# Each request asks these; making a query takes longer than its answer.
_PERSON = select(people).where(people.c.name == bindparam("name"))
_GROUPS_OF = select(memberships.c.group).where(memberships.c.person == bindparam("name"))
_ROLES_OF = select(service_roles.c.role).where(
    service_roles.c.subject.in_(bindparam("subjects", expanding=True)),
    or_(service_roles.c.until.is_(None), service_roles.c.until > bindparam("now")),
)


class AccessChanges:
    """Counts transactions that change people, groups, roles or shares: written last, because all of them meet there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._noted = False

    def note(self) -> None:
        """This transaction changes something."""
        self._noted = True

    def flush(self) -> None:
        """Writes it down; before the events."""
        if self._noted:
            self._connection.execute(access_changes.update().values(count=access_changes.c.count + 1))
            self._noted = False


class SqlPeople:
    """See `environments.service.storage.people.People`."""

    def __init__(self, connection: Connection, locks: Locks, changes: AccessChanges) -> None:
        self._connection = connection
        self._locks = locks
        self._changes = changes

    def add(self, person: Person) -> None:
        self._locks.text(f"person {person.name}")
        fields = {name: getattr(person, name) for name in Person.model_fields}
        known = select(people.c.name).where(people.c.name == person.name)
        if person.issuer is not None and person.subject is not None:
            same = (people.c.issuer == person.issuer) & (people.c.subject == person.subject)
            known = select(people.c.name).where(or_(people.c.name == person.name, same))
        if self._connection.execute(known.limit(1)).one_or_none() is not None:
            raise _taken(person.name)
        try:
            self._connection.execute(people.insert().values(**plain(fields)))
        except IntegrityError as error:
            raise _taken(person.name) from error
        self._changes.note()

    def keep(self, name: str, kind: PersonKind, now: datetime, by: str) -> None:
        self._locks.text(f"person {name}")
        if self.get(name) is None:
            self.add(Person(name=name, kind=kind, created_at=now, created_by=by))

    def give_back(self, name: str) -> None:
        reserved = (people.c.kind == PersonKind.PERSON.value) & people.c.subject.is_(None)
        self._connection.execute(people.delete().where(people.c.name == name, reserved))
        self._changes.note()

    def get(self, name: str) -> Person | None:
        return self._one(people.c.name == name)

    def by_identity(self, issuer: str, subject: str) -> Person | None:
        self._locks.text(f"identity {issuer} {subject}")
        return self._one((people.c.issuer == issuer) & (people.c.subject == subject))

    def _one(self, which: Any) -> Person | None:
        row = self._connection.execute(self._locks.rows(select(people).where(which))).one_or_none()
        return None if row is None else _person(row)

    def taken(self, names: Collection[str]) -> frozenset[str]:
        found = select(people.c.name).where(people.c.name.in_(sorted(names)))
        return frozenset(self._connection.execute(found).scalars())

    def change(self, name: str, **values: Any) -> None:
        self._connection.execute(people.update().where(people.c.name == name).values(**plain(values)))
        self._changes.note()

    def all(
        self, *, kind: PersonKind | None = None, after: str = "", limit: int | None = None, disabled: bool | None = None
    ) -> Page[Person]:
        query = select(people).where(people.c.name > after).order_by(people.c.name)
        if kind is not None:
            query = query.where(people.c.kind == kind.value)
        if disabled is not None:
            query = query.where(people.c.disabled_at.is_not(None) if disabled else people.c.disabled_at.is_(None))
        return read_page(self._connection, query, limit).each(_person)

    def names(self, limit: int) -> list[str]:
        return list(self._connection.execute(select(people.c.name).order_by(people.c.name).limit(limit)).scalars())

    def standing(self, name: str, now: datetime) -> Standing:
        row = self._connection.execute(_PERSON, {"name": name}).one_or_none()
        person = None if row is None else _person(row)
        known = frozenset(self._connection.execute(_GROUPS_OF, {"name": name}).scalars())
        subjects = [name, EVERYONE, *map(group_subject, sorted(known))]
        given = self._connection.execute(_ROLES_OF, {"subjects": subjects, "now": now}).scalars()
        roles = [ServiceRole(role) for role in given]
        by_claim = ServiceRole.USER if person is None else person.claim_role
        return Standing(person, known, max([*roles, by_claim], key=lambda role: role.rank))

    def move_issuer(self, old: str, new: str) -> int:
        known = select(people.c.subject).where(people.c.issuer == new)
        clash = select(people.c.name).where(people.c.issuer == old, people.c.subject.in_(known)).limit(1)
        taken = self._connection.execute(clash).scalar_one_or_none()
        if taken is not None:
            raise NameTaken(
                f"{taken} has signed in with the new issuer already.",
                hint=f"Give their things to one of the two names first: `calvinverse user assign {taken} PERSON`.",
            )
        done = self._connection.execute(people.update().where(people.c.issuer == old).values(issuer=new))
        self._changes.note()
        return done.rowcount

    def hand_over(self, old: str, new: str) -> Mapping[str, int]:
        counts = hand_over(self._connection, old, new)
        self._changes.note()
        return counts

    def belongings(self, name: str) -> Mapping[str, int]:
        return belongings(self._connection, name)

    def owned(self, names: Collection[str], now: datetime) -> Mapping[str, Owned]:
        return owned(self._connection, names, now)

    def answering_for(self, responsible: str) -> list[str]:
        query = select(people.c.name).where(people.c.responsible == responsible).order_by(people.c.name)
        return list(self._connection.execute(query).scalars())

    def way_in(self, besides: str, now: datetime) -> WayIn | None:
        return way_in(self._connection, besides, now)

    def changes(self) -> int:
        return self._connection.execute(select(access_changes.c.count)).scalar_one_or_none() or 0


class SqlGroups:
    """See `environments.service.storage.people.Groups`."""

    def __init__(self, connection: Connection, locks: Locks, changes: AccessChanges) -> None:
        self._connection = connection
        self._locks = locks
        self._changes = changes

    def add(self, group: Group) -> None:
        self._locks.text(f"group {group.name}")
        if self.get(group.name) is not None:
            raise NameTaken(f"There is a group {group.name!r} already.", hint="Choose another name.")
        self._connection.execute(groups.insert().values(**plain(group.model_dump())))
        self._changes.note()

    def get(self, name: str) -> Group | None:
        row = self._connection.execute(select(groups).where(groups.c.name == name)).one_or_none()
        return None if row is None else Group.model_validate(row._mapping)

    def all(self, *, after: str = "", limit: int | None = None) -> Page[Group]:
        query = select(groups).where(groups.c.name > after).order_by(groups.c.name)
        return read_page(self._connection, query, limit).each(lambda row: Group.model_validate(row._mapping))

    def remove(self, name: str) -> None:
        subject = group_subject(name)
        for table in (shares, service_roles, creators, webhook_users):
            self._connection.execute(table.delete().where(table.c.subject == subject))
        self._connection.execute(memberships.delete().where(memberships.c.group == name))
        self._connection.execute(groups.delete().where(groups.c.name == name))
        self._changes.note()

    def members(self, name: str, *, after: str = "", limit: int | None = None) -> Page[Membership]:
        query = select(memberships).where(memberships.c.group == name, memberships.c.person > after)
        found = read_page(self._connection, query.order_by(memberships.c.person), limit)
        return found.each(lambda row: Membership.model_validate(row._mapping))

    def of(self, person: str) -> list[Membership]:
        query = select(memberships).where(memberships.c.person == person).order_by(memberships.c.group)
        return [Membership.model_validate(row._mapping) for row in self._connection.execute(query)]

    def of_many(self, people_names: Collection[str]) -> Mapping[str, tuple[Membership, ...]]:
        found: dict[str, tuple[Membership, ...]] = {}
        query = select(memberships).where(memberships.c.person.in_(sorted(people_names))).order_by(memberships.c.group)
        for row in self._connection.execute(query):
            found[row.person] = (*found.get(row.person, ()), Membership.model_validate(row._mapping))
        return found

    def sizes(self, names: Collection[str]) -> Mapping[str, int]:
        query = select(memberships.c.group, func.count()).where(memberships.c.group.in_(sorted(names)))
        return {row[0]: row[1] for row in self._connection.execute(query.group_by(memberships.c.group))}

    def gives(self, name: str) -> Mapping[str, int]:
        return group_belongings(self._connection, name)

    def change(self, name: str, **values: Any) -> None:
        self._connection.execute(groups.update().where(groups.c.name == name).values(**values))

    def join(self, group: str, person: str, now: datetime) -> bool:
        self._locks.text(f"group {group}")
        return self._join(group, person, "local", now)

    def leave(self, group: str, person: str) -> bool:
        mine = (memberships.c.group == group) & (memberships.c.person == person)
        done = self._connection.execute(memberships.delete().where(mine)).rowcount
        self._changes.note()
        return bool(done)

    def set_claimed(
        self, person: str, provider: str, values: Iterable[str], now: datetime
    ) -> tuple[list[str], list[str]]:
        wanted = {f"{provider}/{value}" for value in values}
        mine = memberships.c.person == person
        of_provider = select(groups.c.name).where(groups.c.provider == provider)
        query = select(memberships.c.group).where(
            mine, memberships.c.source == "claim", memberships.c.group.in_(of_provider)
        )
        known = set(self._connection.execute(query).scalars())
        gone, new = sorted(known - wanted), sorted(wanted - known)
        for name in new:
            self._locks.text(f"group {name}")
            if self.get(name) is None:
                self.add(Group(name=name, provider=provider, created_at=now))
            self._join(name, person, "claim", now)
        for name in gone:
            self._connection.execute(memberships.delete().where(mine, memberships.c.group == name))
        if gone:
            self._changes.note()
        return new, gone

    def _join(self, group: str, person: str, source: str, now: datetime) -> bool:
        known = select(memberships.c.source).where(memberships.c.group == group, memberships.c.person == person)
        if self._connection.execute(known).one_or_none() is not None:
            return False
        row = {"group": group, "person": person, "source": source, "since": now}
        self._connection.execute(memberships.insert().values(**row))
        self._changes.note()
        return True


def _person(row: Row[Any]) -> Person:
    return Person.model_validate(row._mapping)


def _taken(name: str) -> NameTaken:
    return NameTaken(f"The user name {name!r} is taken, or its identity is known.", hint="Choose another name.")
