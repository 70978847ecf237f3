"""The queue as the database has it: what waits, what runs, and which owner started last."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from environments.domain.admission import KINDS, PATIENCE, Lane, Queue, Running, Waiting
from environments.domain.lifecycle import DeploymentKind, DeploymentState
from environments.stores.clock import NOW
from environments.stores.locks import Locks
from environments.stores.schema import deployments as table
from environments.stores.schema import environments
from environments.stores.schema import owner_turns as turns

_QUEUED, _RUNNING = DeploymentState.QUEUED.value, DeploymentState.RUNNING.value

_YOUNG = bindparam("young", type_=table.c.requested_at.type)
"""Requests by machines that are younger than this give way to people."""


def _of_lane(lane: Lane) -> ColumnElement[bool]:
    return or_(*(table.c.kind == kind.value for kind in KINDS[lane]))


def _template(deployment: FromClause, environment: FromClause) -> ColumnElement[str]:
    """Deployments of versions that didn't store a template have their environment's."""
    return func.coalesce(func.nullif(deployment.c.template, ""), environment.c.template)


def _all(lane: Lane, *more: ColumnElement[Any]) -> Select[Any]:
    """Everything that waits in the lane, with the columns that decide its place."""
    mine = and_(turns.c.owner == environments.c.owner, turns.c.lane == lane.value)
    limit = [table.c.template_limit.label("limit")] if lane is Lane.DEPLOY else []
    return (
        select(
            table.c.id,
            table.c.environment_id,
            environments.c.owner,
            _template(table, environments).label("template"),
            *limit,
            table.c.by_machine,
            table.c.requested_at,
            turns.c.turn,
            *more,
        )
        .select_from(table.join(environments, environments.c.id == table.c.environment_id).outerjoin(turns, mine))
        .where(table.c.state == _QUEUED, _of_lane(lane))
    )


def _heads(lane: Lane) -> Select[Any]:
    """The first deployment of each owner, for people and for machines: the next to start is one of them."""
    running = table.alias("running")
    busy = select(running.c.environment_id).where(running.c.state == _RUNNING)
    machine = and_(table.c.by_machine, table.c.requested_at > _YOUNG)
    alike = [table.c.template_limit, _template(table, environments)] if lane is Lane.DEPLOY else []
    place = func.row_number().over(
        partition_by=(environments.c.owner, machine, *alike), order_by=(table.c.requested_at, table.c.id)
    )
    ranked = _all(lane, place.label("place")).where(table.c.environment_id.not_in(busy)).subquery("ranked")
    return select(ranked).where(ranked.c.place == 1)


def _overdue(lane: Lane, now: ColumnElement[float]) -> Select[Any]:
    return (
        select(table.c.id)
        .where(table.c.state == _RUNNING, _of_lane(lane), table.c.lease_until < now, ~table.c.superseded)
        .order_by(table.c.requested_at, table.c.id)
        .limit(1)
    )


def _orphans(now: ColumnElement[float]) -> Select[Any]:
    """Superseded deployments of workers that are gone: while they count as running, no destroy starts."""
    return select(table.c.id).where(table.c.state == _RUNNING, table.c.superseded, table.c.lease_until < now)


def _running(now: ColumnElement[float]) -> Select[Any]:
    return (
        select(
            table.c.id,
            table.c.environment_id,
            table.c.kind,
            environments.c.owner,
            _template(table, environments),
            func.coalesce(table.c.worker, ""),
            table.c.lease_until - now,
        )
        .join(environments, environments.c.id == table.c.environment_id)
        .where(table.c.state == _RUNNING)
        .order_by(table.c.started_at, table.c.id)
    )


# Building a statement takes longer than running it, so they are built once.
_ALL = {lane: _all(lane) for lane in Lane}
_HEADS = {lane: _heads(lane) for lane in Lane}
_SOME_QUEUED = {lane: select(table.c.id).where(table.c.state == _QUEUED, _of_lane(lane)).limit(1) for lane in Lane}
_OVERDUE = {dialect: {lane: _overdue(lane, now) for lane in Lane} for dialect, now in NOW.items()}
ORPHANS = {dialect: _orphans(now) for dialect, now in NOW.items()}
_AN_ORPHAN = {dialect: orphans.limit(1) for dialect, orphans in ORPHANS.items()}
_ALL_RUNNING = {dialect: _running(now) for dialect, now in NOW.items()}
_NEWEST_TURN = {
    lane: select(func.coalesce(func.max(turns.c.turn), 0)).where(turns.c.lane == lane.value) for lane in Lane
}


class SqlQueue:
    """One transaction's view of the lanes."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._locks = locks

    def anything(self, lane: Lane) -> bool:
        """Whether something waits in the lane; it may not be allowed to start yet."""
        return self._connection.execute(_SOME_QUEUED[lane]).one_or_none() is not None

    def overdue(self, lane: Lane) -> str | None:
        """The oldest running deployment whose lease has expired, locked: it was admitted before, and is resumed."""
        query = self._locks.rows(_OVERDUE[self._dialect][lane], skip=True)
        found: str | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def orphaned(self) -> bool:
        """Whether a destroy waits for a superseded deployment that nobody runs any more."""
        return self._connection.execute(_AN_ORPHAN[self._dialect]).one_or_none() is not None

    def take(self, deployment_id: str) -> bool:
        """Locks a waiting deployment; False if another transaction is ending it."""
        query = select(table.c.id).where(table.c.id == deployment_id, table.c.state == _QUEUED)
        return self._connection.execute(self._locks.rows(query, skip=True)).one_or_none() is not None

    def read(self, lane: Lane) -> Queue:
        """The lane as it is."""
        return self._queue(lane, self._connection.execute(_ALL[lane]).all())

    def heads(self, lane: Lane, now: datetime) -> Queue:
        """The lane, without those that can't be the first to start."""
        return self._queue(lane, self._connection.execute(_HEADS[lane], {"young": now - PATIENCE}).all())

    def running(self) -> tuple[Running, ...]:
        """What runs, in both lanes."""
        return tuple(
            Running(deployment_id, environment_id, DeploymentKind(kind), *rest)
            for deployment_id, environment_id, kind, *rest in self._connection.execute(_ALL_RUNNING[self._dialect])
        )

    def count_turn(self, lane: Lane, owner: str) -> None:
        """Records that this owner has started a deployment. Called by one claim at a time."""
        turn = self._connection.execute(_NEWEST_TURN[lane]).scalar_one() + 1
        mine = and_(turns.c.lane == lane.value, turns.c.owner == owner)
        if self._connection.execute(turns.update().where(mine).values(turn=turn)).rowcount == 0:
            self._connection.execute(turns.insert().values(lane=lane.value, owner=owner, turn=turn))

    def _queue(self, lane: Lane, rows: Sequence[Row[Any]]) -> Queue:
        limited = lane is Lane.DEPLOY
        waiting = tuple(
            Waiting(
                row.id,
                row.environment_id,
                row.owner,
                row.template,
                row.limit if limited else None,
                row.by_machine,
                row.requested_at,
            )
            for row in rows
        )
        taken = {row.owner: row.turn for row in rows if row.turn is not None}
        return Queue(lane, waiting, self.running() if rows else (), taken)
