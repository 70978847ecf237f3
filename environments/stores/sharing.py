"""What is shared with whom: see `environments.service.storage.sharing`."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select

from environments.domain.access import Creator, EnvironmentRole, ServiceRole, ServiceRoleGrant, Share
from environments.service.storage.sharing import ClaimedRole, ShareStanding
from environments.stores.environment_rows import plain
from environments.stores.locks import Locks
from environments.stores.people import AccessChanges
from environments.stores.people_schema import creators, people, service_roles, shares
from environments.stores.sight import lasting

_AT_ONCE = 500
"""How many ids one query has."""


class SqlShares:
    """See `environments.service.storage.sharing.Shares`."""

    def __init__(self, connection: Connection, changes: AccessChanges) -> None:
        self._connection = connection
        self._changes = changes

    def put(self, share: Share) -> Share | None:
        before = self.remove(share.environment_id, share.subject)
        self._connection.execute(shares.insert().values(**plain(dict(share))))
        return before

    def remove(self, environment_id: str, subject: str) -> Share | None:
        chosen = (shares.c.environment_id == environment_id) & (shares.c.subject == subject)
        row = self._connection.execute(select(shares).where(chosen)).one_or_none()
        self._connection.execute(shares.delete().where(chosen))
        self._changes.note()
        return None if row is None else Share.model_validate(row._mapping)

    def of(self, environment_id: str, subjects: Iterable[str] | None = None) -> list[Share]:
        query = select(shares).where(shares.c.environment_id == environment_id).order_by(shares.c.subject)
        if subjects is not None:
            query = query.where(shares.c.subject.in_(sorted(subjects)))
        return [Share.model_validate(row._mapping) for row in self._connection.execute(query)]

    def of_many(self, environment_ids: Collection[str]) -> Mapping[str, tuple[Share, ...]]:
        found: dict[str, tuple[Share, ...]] = {}
        ids = sorted(environment_ids)
        for start in range(0, len(ids), _AT_ONCE):
            query = select(shares).where(shares.c.environment_id.in_(ids[start : start + _AT_ONCE]))
            for row in self._connection.execute(query):
                share = Share.model_validate(row._mapping)
                found[share.environment_id] = (*found.get(share.environment_id, ()), share)
        return found

    def with_subject(self, subject: str, limit: int) -> list[Share]:
        query = select(shares).where(shares.c.subject == subject).order_by(shares.c.at.desc(), shares.c.id)
        return [Share.model_validate(row._mapping) for row in self._connection.execute(query.limit(limit))]

    def ended(self, before: datetime, limit: int) -> list[Share]:
        query = select(shares).where(shares.c.until < before).order_by(shares.c.until, shares.c.id).limit(limit)
        return [Share.model_validate(row._mapping) for row in self._connection.execute(query)]

    def standings(
        self, environment_ids: Collection[str], subjects: Collection[str], now: datetime | None
    ) -> Mapping[str, ShareStanding]:
        query, roles, found = _standings(told=bool(subjects), endless=now is None), list(EnvironmentRole), {}
        given = ({"subjects": sorted(subjects)} if subjects else {}) | ({} if now is None else {"now": now})
        ids = sorted(environment_ids)
        for start in range(0, len(ids), _AT_ONCE):
            rows = self._connection.execute(query, {"ids": ids[start : start + _AT_ONCE], **given}).all()
            for environment_id, count, *mine_of in rows:
                best, reveal = mine_of or (None, False)
                found[environment_id] = ShareStanding(count, None if best is None else roles[best], bool(reveal))
        return found


@cache
def _standings(*, told: bool, endless: bool) -> Select[Any]:
    """Shares of environments of some `ids` that hold `now`, or that don't end: how many there are.

    `told`: also what they give `subjects`. (Built once: this takes longer than the query of a short page.)
    """
    mine = shares.c.subject.in_(bindparam("subjects", expanding=True))
    rank = case({role.value: role.rank for role in EnvironmentRole}, value=shares.c.role)
    reveals = mine & (shares.c.reveal | (shares.c.role == EnvironmentRole.OWNER.value))
    columns = (
        shares.c.environment_id,
        func.count(),
        func.max(case((mine, rank))),
        func.max(case((reveals, 1), else_=0)),
    )
    now = None if endless else bindparam("now", type_=shares.c.until.type)
    query = select(*columns if told else columns[:2]).where(*lasting(now)).group_by(shares.c.environment_id)
    return query.where(shares.c.environment_id.in_(bindparam("ids", expanding=True)))


class SqlServiceRoles:
    """See `environments.service.storage.sharing.ServiceRoles`."""

    def __init__(self, connection: Connection, changes: AccessChanges, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks
        self._changes = changes

    def put(self, grant: ServiceRoleGrant) -> None:
        self.remove(grant.subject)
        self._connection.execute(service_roles.insert().values(**plain(dict(grant))))

    def remove(self, subject: str) -> ServiceRoleGrant | None:
        chosen = service_roles.c.subject == subject
        row = self._connection.execute(select(service_roles).where(chosen)).one_or_none()
        self._connection.execute(service_roles.delete().where(chosen))
        self._changes.note()
        return None if row is None else ServiceRoleGrant.model_validate(row._mapping)

    def all(self) -> list[ServiceRoleGrant]:
        rows = self._connection.execute(select(service_roles).order_by(service_roles.c.subject))
        return [ServiceRoleGrant.model_validate(row._mapping) for row in rows]

    def claimed(self) -> list[ClaimedRole]:
        columns = (people.c.name, people.c.claim_role, people.c.issuer, people.c.signed_in_at)
        given = people.c.disabled_at.is_(None) & (people.c.claim_role != ServiceRole.USER.value)
        rows = self._connection.execute(select(*columns).where(given).order_by(people.c.name))
        return [ClaimedRole(row.name, ServiceRole(row.claim_role), row.issuer or "", row.signed_in_at) for row in rows]

    def alone(self) -> None:
        self._locks.text("service roles")


class SqlCreators:
    """See `environments.service.storage.sharing.Creators`."""

    def __init__(self, connection: Connection, changes: AccessChanges) -> None:
        self._connection = connection
        self._changes = changes

    def put(self, creator: Creator) -> None:
        self.remove(creator.template, creator.subject)
        self._connection.execute(creators.insert().values(**plain(dict(creator))))

    def remove(self, template: str, subject: str) -> Creator | None:
        chosen = (creators.c.template == template) & (creators.c.subject == subject)
        row = self._connection.execute(select(creators).where(chosen)).one_or_none()
        self._connection.execute(creators.delete().where(chosen))
        return None if row is None else Creator.model_validate(row._mapping)

    def of(self, template: str) -> list[Creator]:
        query = select(creators).where(creators.c.template == template).order_by(creators.c.subject)
        return [Creator.model_validate(row._mapping) for row in self._connection.execute(query)]

    def all(self) -> list[Creator]:
        rows = self._connection.execute(select(creators).order_by(creators.c.template, creators.c.subject))
        return [Creator.model_validate(row._mapping) for row in rows]
