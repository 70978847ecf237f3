"""Policies, holiday calendars, and the zone database that deadlines were computed with."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from environments.domain.timing import HolidayCalendar, Policy, Scope
from environments.service.pages import Page
from environments.stores.environment_rows import plain
from environments.stores.locks import Locks
from environments.stores.paging import read_page
from environments.stores.timing_schema import calendars, policies, zone_database


class SqlPolicies:
    """See `environments.service.storage.calendar.Policies`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def share(self) -> None:
        self._locks.calendar(alone=False)

    def alone(self) -> None:
        self._locks.calendar(alone=True)

    def get(self, scope: Scope, name: str) -> Policy | None:
        query = select(policies).where(policies.c.scope == scope.value, policies.c.name == name)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _policy(row)

    def of(self, owner: str, template: str) -> Sequence[Policy]:
        for_owner = (policies.c.scope == Scope.OWNER.value) & (policies.c.name == owner)
        for_template = (policies.c.scope == Scope.TEMPLATE.value) & (policies.c.name == template)
        query = select(policies).where(for_owner | for_template).order_by(policies.c.scope)
        return [_policy(row) for row in self._connection.execute(query)]

    def all(self, *, owner: str | None = None, limit: int | None = None, skip: int = 0) -> Page[Policy]:
        query = select(policies)
        if owner is not None:
            query = query.where((policies.c.scope != Scope.OWNER.value) | (policies.c.name == owner))
        query = query.order_by(policies.c.scope, policies.c.name).offset(skip or None)
        return read_page(self._connection, query, limit).each(_policy)

    def put(self, policy: Policy) -> None:
        self.remove(policy.scope, policy.name)
        fields = {name: getattr(policy, name) for name in Policy.model_fields if name != "maximum"}
        seconds = None if policy.maximum is None else int(policy.maximum.total_seconds())
        self._connection.execute(policies.insert().values(**plain(fields), maximum=seconds))

    def remove(self, scope: Scope, name: str) -> None:
        self._connection.execute(policies.delete().where(policies.c.scope == scope.value, policies.c.name == name))


class SqlCalendars:
    """See `environments.service.storage.calendar.Calendars`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> HolidayCalendar | None:
        row = self._connection.execute(select(calendars).where(calendars.c.name == name)).one_or_none()
        return None if row is None else _calendar(row)

    def all(self, *, after: str = "", limit: int | None = None) -> Page[HolidayCalendar]:
        query = select(calendars).where(calendars.c.name > after).order_by(calendars.c.name)
        return read_page(self._connection, query, limit).each(_calendar)

    def names(self, limit: int) -> list[str]:
        return list(
            self._connection.execute(select(calendars.c.name).order_by(calendars.c.name).limit(limit)).scalars()
        )

    def put(self, calendar: HolidayCalendar) -> None:
        self.remove(calendar.name)
        self._connection.execute(
            calendars.insert().values(
                name=calendar.name,
                days=[holiday.model_dump(mode="json") for holiday in calendar.days],
                set_by=calendar.set_by,
                set_at=calendar.set_at,
            )
        )

    def remove(self, name: str) -> None:
        self._connection.execute(calendars.delete().where(calendars.c.name == name))

    def zones(self) -> str | None:
        return self._connection.execute(select(zone_database.c.version)).scalar_one_or_none()

    def set_zones(self, version: str) -> None:
        self._connection.execute(zone_database.delete())
        self._connection.execute(zone_database.insert().values(id=1, version=version))


def _policy(row: Row[Any]) -> Policy:
    return Policy.model_validate(row._mapping)


def _calendar(row: Row[Any]) -> HolidayCalendar:
    return HolidayCalendar.model_validate(row._mapping)
