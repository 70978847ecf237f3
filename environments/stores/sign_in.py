"""Identity tokens that were used, device grants, and reports of claims."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from environments.service.storage.sign_in import DeviceGrant, GrantState
from environments.stores.locks import Locks
from environments.stores.sign_in_schema import claim_reports, device_grants, used_identity_tokens

_KEPT = timedelta(days=1)
"""How long a device grant is kept after its end."""


class SqlSignIns:
    """See `environments.service.storage.sign_in.SignIns`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def use(self, token_hash: str, expires_at: datetime, now: datetime) -> bool:
        table = used_identity_tokens
        self._locks.text(f"identity token {token_hash}")
        self._connection.execute(table.delete().where(table.c.expires_at < now, table.c.hash != token_hash))
        if self._connection.execute(select(table.c.hash).where(table.c.hash == token_hash)).first() is not None:
            return False
        self._connection.execute(table.insert().values(hash=token_hash, expires_at=expires_at))
        return True

    def add_grant(self, grant: DeviceGrant) -> None:
        table = device_grants
        self._connection.execute(table.delete().where(table.c.expires_at < grant.requested_at - _KEPT))
        self._connection.execute(table.insert().values(**grant._asdict() | {"state": grant.state.value}))

    def grants_of(self, address: str, now: datetime) -> int:
        self._locks.text(f"device grants of {address}")
        query = select(func.count()).where(device_grants.c.address == address, device_grants.c.expires_at > now)
        return self._connection.execute(query).scalar_one()

    def grant_by_device(self, device_hash: str) -> DeviceGrant | None:
        return self._grant(device_grants.c.device_hash == device_hash)

    def grant_by_user(self, user_hash: str) -> DeviceGrant | None:
        return self._grant(device_grants.c.user_hash == user_hash)

    def change_grant(self, grant_id: str, **values: Any) -> None:
        self._connection.execute(device_grants.update().where(device_grants.c.id == grant_id).values(**values))

    def deny_grants(self, person: str, now: datetime) -> None:
        table = device_grants
        approved = table.c.person == person, table.c.state == GrantState.APPROVED.value
        self._connection.execute(table.update().where(*approved).values(state=GrantState.DENIED.value, decided_at=now))

    def keep_report(self, person: str, report: Mapping[str, Any], at: datetime) -> None:
        self._locks.text(f"claims of {person}")
        values = {"report": dict(report), "at": at}
        table = claim_reports
        done = self._connection.execute(table.update().where(table.c.person == person).values(**values))
        if done.rowcount == 0:
            self._connection.execute(table.insert().values(person=person, **values))

    def report(self, person: str) -> tuple[dict[str, Any], datetime] | None:
        query = select(claim_reports.c.report, claim_reports.c.at).where(claim_reports.c.person == person)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else (row.report, row.at)

    def _grant(self, condition: Any) -> DeviceGrant | None:
        query = select(device_grants).where(condition)
        if self._locks.needed:
            query = query.with_for_update()
        row: Row[Any] | None = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        found = DeviceGrant(**row._mapping)
        return found._replace(state=GrantState(found.state))
