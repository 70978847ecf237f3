"""The queue of deployments: claims under leases, judged by the database's own clock, and fenced writes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    and_,
    bindparam,
    cast,
    exists,
    extract,
    func,
    literal_column,
    or_,
    select,
)

from environments.domain.environment import Deployment, Environment, Failure
from environments.domain.errors import LeaseLost, Superseded
from environments.domain.lifecycle import (
    ENDED_DEPLOYMENTS,
    DeploymentKind,
    DeploymentState,
)
from environments.service.storage import Claim
from environments.stores.environments import plain
from environments.stores.schema import deployments as table
from environments.stores.schema import environments

_RECORD = [table.c[name] for name in Deployment.model_fields]
_QUEUED, _RUNNING = DeploymentState.QUEUED.value, DeploymentState.RUNNING.value

_NOW: dict[str, ColumnElement[float]] = {
    "sqlite": cast(literal_column("(julianday('now') - 2440587.5) * 86400.0"), Double),
    "postgresql": cast(extract("epoch", func.clock_timestamp()), Double),
}
"""The database's clock, in seconds, by dialect."""


def database_clock(connection: Connection) -> ColumnElement[float]:
    """The present moment in seconds, as the database tells it: leases are judged by one clock."""
    return _NOW[connection.dialect.name]


# These run before each effect and in each write of a deployment. Building a statement takes longer than running it, so
# they are built once.
_HELD = and_(
    table.c.id == bindparam("deployment"),
    table.c.worker == bindparam("holder"),
    table.c.epoch == bindparam("held_epoch"),
    table.c.state == _RUNNING,
)
_FENCE = select(table.c.id).where(_HELD).with_for_update()
_CHECK = {dialect: select(table.c.superseded).where(_HELD, table.c.lease_until >= now) for dialect, now in _NOW.items()}


class SqlDeployments:
    """See `environments.service.storage.Deployments`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._now = _NOW[self._dialect]

    def add(self, deployment: Deployment) -> None:
        row = plain({name: getattr(deployment, name) for name in Deployment.model_fields})
        self._connection.execute(table.insert().values(**row, superseded=False, lease_until=0.0))

    def get(self, deployment_id: str) -> Deployment | None:
        row = self._connection.execute(select(*_RECORD).where(table.c.id == deployment_id)).one_or_none()
        return None if row is None else _deployment(row)

    def of(self, environment_id: str) -> list[Deployment]:
        query = select(*_RECORD).where(table.c.environment_id == environment_id).order_by(table.c.requested_at.desc())
        return [_deployment(row) for row in self._connection.execute(query)]

    def unfinished(self, environment_id: str) -> list[Deployment]:
        query = (
            select(*_RECORD)
            .where(
                table.c.environment_id == environment_id,
                table.c.state.in_([_QUEUED, _RUNNING]),
            )
            .order_by(table.c.requested_at)
        )
        return [_deployment(row) for row in self._connection.execute(query)]

    def supersede(self, environment_id: str, now: datetime) -> None:
        mine = and_(
            table.c.environment_id == environment_id,
            table.c.kind != DeploymentKind.DESTROY.value,
        )
        self._connection.execute(
            table.update()
            .where(
                mine,
                or_(
                    table.c.state == _QUEUED,
                    and_(table.c.state == _RUNNING, table.c.lease_until < self._now),
                ),
            )
            .values(state=DeploymentState.SUPERSEDED.value, ended_at=now, superseded=True)
        )
        self._connection.execute(table.update().where(mine, table.c.state == _RUNNING).values(superseded=True))

    def waiting(self, kinds: Iterable[DeploymentKind]) -> bool:
        free = or_(table.c.state == _QUEUED, and_(table.c.state == _RUNNING, table.c.lease_until < self._now))
        query = select(table.c.id).where(free, table.c.kind.in_([kind.value for kind in kinds])).limit(1)
        return self._connection.execute(query).one_or_none() is not None

    def claim(self, worker: str, lease: float, kinds: Iterable[DeploymentKind], now: datetime) -> Claim | None:
        # A worker that died while a request to destroy waited: nobody will end its deployment, so the claim does.
        self._connection.execute(
            table.update()
            .where(
                table.c.state == _RUNNING,
                table.c.superseded,
                table.c.lease_until < self._now,
            )
            .values(state=DeploymentState.SUPERSEDED.value, ended_at=now)
        )
        other = table.alias("other")
        free = or_(
            table.c.state == _QUEUED,
            and_(table.c.state == _RUNNING, table.c.lease_until < self._now),
        )
        alone = ~exists().where(
            other.c.environment_id == table.c.environment_id,
            other.c.id != table.c.id,
            other.c.state == _RUNNING,
        )
        query = (
            select(table.c.id)
            .where(free, alone, table.c.kind.in_([kind.value for kind in kinds]))
            .order_by(table.c.requested_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        deployment_id = self._connection.execute(query).scalar_one_or_none()
        if deployment_id is None:
            return None
        self._connection.execute(
            table.update()
            .where(table.c.id == deployment_id)
            .values(
                state=_RUNNING,
                worker=worker,
                epoch=table.c.epoch + 1,
                lease_until=self._now + lease,
                started_at=func.coalesce(table.c.started_at, now),
            )
        )
        deployment = self.get(deployment_id)
        assert deployment is not None
        row = self._connection.execute(
            select(*(environments.c[name] for name in Environment.model_fields)).where(
                environments.c.id == deployment.environment_id
            )
        ).one()
        return Claim(deployment, Environment.model_validate(row._mapping))

    def renew(self, deployment_id: str, worker: str, epoch: int, lease: float) -> bool:
        done = self._connection.execute(
            table.update().where(_HELD).values(lease_until=self._now + lease),
            _holder(deployment_id, worker, epoch),
        )
        return done.rowcount == 1

    def release(self, deployment_id: str, worker: str, epoch: int) -> None:
        self._connection.execute(
            table.update().where(_HELD).values(lease_until=0.0), _holder(deployment_id, worker, epoch)
        )

    def release_all(self) -> None:
        self._connection.execute(table.update().where(table.c.state == _RUNNING).values(lease_until=0.0))

    def check(self, deployment_id: str, worker: str, epoch: int) -> None:
        holder = _holder(deployment_id, worker, epoch)
        superseded = self._connection.execute(_CHECK[self._dialect], holder).scalar_one_or_none()
        if superseded is None:
            raise LeaseLost("Another worker has taken this deployment over.")
        if superseded:
            raise Superseded("A request to destroy the environment came in.")

    def fence(self, deployment_id: str, worker: str, epoch: int) -> None:
        if self._connection.execute(_FENCE, _holder(deployment_id, worker, epoch)).one_or_none() is None:
            raise LeaseLost("Another worker has taken this deployment over.")

    def end(
        self,
        deployment_id: str,
        worker: str,
        epoch: int,
        state: DeploymentState,
        failure: Failure | None,
        now: datetime,
    ) -> None:
        assert state in ENDED_DEPLOYMENTS
        done = self._connection.execute(
            table.update()
            .where(_HELD)
            .values(**plain({"state": state, "ended_at": now, "failure": failure, "lease_until": 0.0})),
            _holder(deployment_id, worker, epoch),
        )
        if done.rowcount != 1:
            raise LeaseLost("Another worker has taken this deployment over.")

    def count(self) -> dict[tuple[DeploymentKind, DeploymentState], int]:
        query = select(table.c.kind, table.c.state, func.count()).group_by(table.c.kind, table.c.state)
        return {
            (DeploymentKind(kind), DeploymentState(state)): count
            for kind, state, count in self._connection.execute(query)
        }


def _holder(deployment_id: str, worker: str, epoch: int) -> dict[str, Any]:
    """The parameters of `_HELD`."""
    return {"deployment": deployment_id, "holder": worker, "held_epoch": epoch}


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment.model_validate(row._mapping)
