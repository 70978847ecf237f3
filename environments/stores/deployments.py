"""The queue of deployments: claims under leases, by the database's clock, and fenced writes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select

from environments.domain.admission import Lane, Queue, Running, lane_of, starts
from environments.domain.environment import Deployment, Environment, Failure
from environments.domain.errors import Cancelled, LeaseLost, Superseded
from environments.domain.lifecycle import (
    ENDED_DEPLOYMENTS,
    DeploymentKind,
    DeploymentState,
)
from environments.service.pages import Page
from environments.service.storage.deployments import Claim, DeploymentRef, Span, UnreadableDeployment
from environments.stores.clock import NOW
from environments.stores.environment_rows import plain
from environments.stores.locks import POSTGRESQL, Locks
from environments.stores.paging import older_than, read_page
from environments.stores.queue import ORPHANS, SqlQueue
from environments.stores.schema import deployments as table
from environments.stores.schema import environments

_RECORD = [table.c[name] for name in Deployment.model_fields]
_REF = [table.c.id, table.c.environment_id, table.c.kind]
_QUEUED, _RUNNING = DeploymentState.QUEUED.value, DeploymentState.RUNNING.value

# These run before each effect and in each write of a deployment. Building a statement takes longer than running it, so
# they are built once.
_HELD = and_(
    table.c.id == bindparam("deployment"),
    table.c.worker == bindparam("holder"),
    table.c.epoch == bindparam("held_epoch"),
    table.c.state == _RUNNING,
)
_FENCE = select(table.c.id).where(_HELD).with_for_update()
_ITS_ENVIRONMENT = (
    select(environments.c.id)
    .where(
        environments.c.id
        == select(table.c.environment_id).where(table.c.id == bindparam("deployment")).scalar_subquery()
    )
    .with_for_update(key_share=True)
)
_CHECK = {
    dialect: select(
        table.c.superseded, table.c.cancel_requested_at, table.c.cancel_requested_by, table.c.cancel_forced
    ).where(_HELD, table.c.lease_until >= now)
    for dialect, now in NOW.items()
}


class SqlDeployments:
    """See `environments.service.storage.deployments.Deployments`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks
        self._dialect = connection.dialect.name
        self._now = NOW[self._dialect]
        self._queue = SqlQueue(connection, locks)
        self.added: dict[str, Deployment] = {}
        """What this transaction queued last, by environment."""

    def add(self, deployment: Deployment) -> None:
        row = plain({name: getattr(deployment, name) for name in Deployment.model_fields})
        self._connection.execute(table.insert().values(**row, superseded=False, lease_until=0.0))
        self.added[deployment.environment_id] = deployment

    def get(self, deployment_id: str) -> Deployment | None:
        row = self._connection.execute(select(*_RECORD).where(table.c.id == deployment_id)).one_or_none()
        return None if row is None else _deployment(row)

    def of(self, environment_id: str, *, limit: int | None = None, before: str | None = None) -> Page[Deployment]:
        its = table.c.environment_id == environment_id
        query = select(*_RECORD).where(its)
        query = query.order_by(table.c.requested_at.desc(), table.c.id.desc())
        if before is not None:
            query = query.where(older_than(self._connection, table, "requested_at", before, "deployment", its))
        return read_page(self._connection, query, limit).each(_deployment)

    def spans(self, environment_id: str) -> list[Span]:
        began = table.c.started_at
        query = (
            select(table.c.kind, table.c.state, began, table.c.ended_at, table.c.bundle)
            .where(table.c.environment_id == environment_id, began.is_not(None))
            .order_by(began, table.c.id)
        )
        return [
            Span(DeploymentKind(row.kind), DeploymentState(row.state), row.started_at, row.ended_at, row.bundle)
            for row in self._connection.execute(query)
        ]

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

    def ref(self, deployment_id: str) -> DeploymentRef:
        return _ref(self._connection.execute(select(*_REF).where(table.c.id == deployment_id)).one())

    def supersede(self, environment_id: str, now: datetime) -> list[DeploymentRef]:
        mine = and_(
            table.c.environment_id == environment_id,
            table.c.kind != DeploymentKind.DESTROY.value,
        )
        ended = self._connection.execute(
            table.update()
            .where(
                mine,
                or_(
                    table.c.state == _QUEUED,
                    and_(table.c.state == _RUNNING, table.c.lease_until < self._now),
                ),
            )
            .values(state=DeploymentState.SUPERSEDED.value, ended_at=now, superseded=True)
            .returning(*_REF)
        ).all()
        self._connection.execute(table.update().where(mine, table.c.state == _RUNNING).values(superseded=True))
        return [_ref(row) for row in ended]

    def cancel(self, deployment_id: str, by: str, now: datetime, *, force: bool) -> bool:
        first = {"cancel_requested_at": now, "cancel_requested_by": by}
        values: dict[str, Any] = {name: func.coalesce(table.c[name], value) for name, value in first.items()}
        if force:
            values["cancel_forced"] = True
        done = self._connection.execute(
            table.update().where(table.c.id == deployment_id, table.c.state == _RUNNING).values(**values)
        )
        return done.rowcount == 1

    def withdraw(self, deployment_id: str, by: str, failure: Failure, now: datetime) -> bool:
        values = plain({"state": DeploymentState.CANCELLED, "failure": failure, "ended_at": now})
        done = self._connection.execute(
            table.update()
            .where(table.c.id == deployment_id, table.c.state == _QUEUED)
            .values(**values, cancel_requested_at=now, cancel_requested_by=by)
        )
        return done.rowcount == 1

    def queue(self, lane: Lane) -> Queue:
        return self._queue.read(lane)

    def running(self) -> tuple[Running, ...]:
        return self._queue.running()

    def waiting(self, kinds: Iterable[DeploymentKind], now: datetime) -> bool:
        return any(
            (lane is Lane.DESTROY and self._queue.orphaned())
            or self._queue.overdue(lane) is not None
            or (self._queue.anything(lane) and next(starts(self._queue.heads(lane, now), now), None) is not None)
            for lane in _lanes(kinds)
        )

    def claim(self, worker: str, lease: float, kinds: Iterable[DeploymentKind], now: datetime) -> Claim | None:
        self._locks.claims()
        for lane in _lanes(kinds):
            deployment_id = self._queue.overdue(lane) or self._admit(lane, now)
            if deployment_id is not None:
                return self._hand_over(deployment_id, worker, lease, now)
        return None

    def end_superseded(self, now: datetime) -> list[DeploymentRef]:
        self._locks.claims()
        ended = self._connection.execute(
            table.update()
            .where(table.c.id.in_(self._locks.rows(ORPHANS[self._dialect], skip=True)))
            .values(state=DeploymentState.SUPERSEDED.value, ended_at=now)
            .returning(*_REF)
        )
        return [_ref(row) for row in ended]

    def _admit(self, lane: Lane, now: datetime) -> str | None:
        """The first deployment, in the order of the lane, that may start."""
        # Deployments that another transaction is ending are skipped; the next owners' come after them.
        for waiting in starts(self._queue.heads(lane, now), now):
            if self._queue.take(waiting.id):
                self._queue.count_turn(lane, waiting.owner)
                return waiting.id
        return None

    def _hand_over(self, deployment_id: str, worker: str, lease: float, now: datetime) -> Claim:
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
        try:
            return self._claim_of(deployment_id)
        except ValueError as error:
            raise UnreadableDeployment(deployment_id) from error

    def _claim_of(self, deployment_id: str) -> Claim:
        deployment = self.get(deployment_id)
        assert deployment is not None
        row = self._connection.execute(
            select(*(environments.c[name] for name in Environment.model_fields)).where(
                environments.c.id == deployment.environment_id
            )
        ).one()
        return Claim(deployment, Environment.model_validate(row._mapping))

    def set_aside(self, deployment_id: str, worker: str, wait: float, failure: Failure, now: datetime) -> bool:
        open_one = and_(table.c.id == deployment_id, table.c.state.in_([_QUEUED, _RUNNING]))
        if self.ref(deployment_id).kind is DeploymentKind.DESTROY:
            put_off = {"state": _RUNNING, "worker": worker, "lease_until": self._now + wait}
            self._connection.execute(table.update().where(open_one).values(**put_off))
            return False
        failed = plain({"state": DeploymentState.FAILED, "failure": failure, "ended_at": now})
        return self._connection.execute(table.update().where(open_one).values(**failed)).rowcount == 1

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
        found = self._connection.execute(_CHECK[self._dialect], holder).one_or_none()
        if found is None:
            raise LeaseLost("Another worker has taken over this deployment.")
        if found.superseded:
            raise Superseded("A request to destroy the environment came in.")
        if found.cancel_requested_at is not None:
            raise Cancelled(
                f"{found.cancel_requested_by} cancelled the deployment.",
                details={"forced": found.cancel_forced, "by": found.cancel_requested_by},
            )

    def fence(self, deployment_id: str, worker: str, epoch: int) -> None:
        if self._dialect == POSTGRESQL:  # the environment first, as in every transaction: see `stores.locks`
            self._connection.execute(_ITS_ENVIRONMENT, {"deployment": deployment_id})
        if self._connection.execute(_FENCE, _holder(deployment_id, worker, epoch)).one_or_none() is None:
            raise LeaseLost("Another worker has taken over this deployment.")

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
            raise LeaseLost("Another worker has taken over this deployment.")

    def count(self) -> dict[tuple[DeploymentKind, DeploymentState], int]:
        query = select(table.c.kind, table.c.state, func.count()).group_by(table.c.kind, table.c.state)
        return {
            (DeploymentKind(kind), DeploymentState(state)): count
            for kind, state, count in self._connection.execute(query)
        }


def _holder(deployment_id: str, worker: str, epoch: int) -> dict[str, Any]:
    """The parameters of `_HELD`."""
    return {"deployment": deployment_id, "holder": worker, "held_epoch": epoch}


def _lanes(kinds: Iterable[DeploymentKind]) -> list[Lane]:
    """The lanes of these kinds, in order, without duplicates."""
    return list(dict.fromkeys(lane_of(kind) for kind in kinds))


def _ref(row: Row[Any]) -> DeploymentRef:
    return DeploymentRef(row.id, row.environment_id, DeploymentKind(row.kind))


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment.model_validate(row._mapping)
