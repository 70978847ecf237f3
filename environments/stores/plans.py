"""Saved plans."""

from datetime import datetime

from sqlalchemy import Connection, select

from environments.domain.lifecycle import ENDED_DEPLOYMENTS
from environments.domain.plan import Plan
from environments.stores.locks import Locks
from environments.stores.schema import deployments
from environments.stores.schema import plans as table

_ENDED = [state.value for state in ENDED_DEPLOYMENTS]


class SqlPlans:
    """See `environments.service.storage.plans.Plans`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, plan: Plan, sealed: bytes | None = None) -> None:
        self._connection.execute(
            table.insert().values(
                id=plan.id,
                environment_id=plan.environment_id,
                content=plan.model_dump(mode="json", exclude={"used_by"}),
                sealed=sealed,
                expires_at=plan.expires_at,
            )
        )

    def get(self, plan_id: str) -> Plan | None:
        query = select(table.c.content, table.c.used_by).where(table.c.id == plan_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else Plan.model_validate({**row.content, "used_by": row.used_by})

    def sealed(self, plan_id: str) -> bytes | None:
        query = select(table.c.sealed).where(table.c.id == plan_id)
        return self._connection.execute(query).scalar_one_or_none()

    def living(self, owner: str, now: datetime) -> list[datetime]:
        self._locks.text(f"plans of {owner}")
        query = select(table.c.expires_at).where(
            table.c.expires_at > now,
            table.c.used_by.is_(None),
            table.c.content["requested_by"].as_string() == owner,
        )
        return list(self._connection.execute(query.order_by(table.c.expires_at)).scalars())

    def use(self, plan_id: str, deployment_id: str) -> bool:
        done = self._connection.execute(
            table.update()
            .where(table.c.id == plan_id, table.c.used_by.is_(None))
            .values(used_by=deployment_id, sealed=None)
        )
        return done.rowcount == 1

    def forget(self, before: datetime) -> int:
        needed = select(deployments.c.plan_id).where(
            deployments.c.plan_id.is_not(None), deployments.c.state.not_in(_ENDED)
        )
        done = self._connection.execute(table.delete().where(table.c.expires_at < before, table.c.id.not_in(needed)))
        return done.rowcount
