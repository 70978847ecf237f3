"""Holds of destroys by the clock, and the leader's mark of its clocks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, false, func, select, true

from environments.domain.access import EVERYTHING, Sight
from environments.domain.holds import ClockMark, DueFacts, Hold, HoldDecision
from environments.domain.lifecycle import DeploymentKind, DeploymentState
from environments.domain.timing import Source
from environments.service.authorization import CLOCK
from environments.service.channels import Channel
from environments.service.pages import Page
from environments.stores.column_types import Moment
from environments.stores.environment_rows import COMPUTED, LEFT_TO_THE_CLOCK, NOT_HELD
from environments.stores.holds_schema import clock_marks
from environments.stores.holds_schema import holds as table
from environments.stores.locks import Locks
from environments.stores.paging import older_than, read_page
from environments.stores.schema import deployments, environments, warnings
from environments.stores.sight import visible

_AT_ONCE = 500
"""How many ids one statement has."""

_ROW = 1

_OPEN = table.c.decided_at.is_(None)

_SENT = (
    (warnings.c.environment_id == environments.c.id)
    & (warnings.c.deadline == environments.c.deadline)
    & (warnings.c.deadline_moves == environments.c.deadline_moves)
    & (warnings.c.queued_at >= environments.c.warned_at)  # not those from before a restored copy
    & (warnings.c.channel != Channel.EVENT.value)
)
"""Warnings of the deadline that a channel was to deliver to somebody."""

_FACTS = (
    environments.c.id,
    environments.c.created_at,
    environments.c.deadline,
    environments.c.warned_at,
    environments.c.hold_released,
    environments.c.deadline_because,
    environments.c.deadline_moves,
    exists().where(_SENT).correlate(environments).label("sent"),
    select(func.min(warnings.c.delivered_at, type_=Moment))
    .where(_SENT)
    .correlate(environments)
    .scalar_subquery()
    .label("delivered_at"),
)

_CHOSEN = {Source.PERSON.value, Source.PIN.value}
"""What sets the deadline of one environment, on purpose."""


class SqlHolds:
    """See `environments.service.storage.holds.Holds`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, hold: Hold) -> None:
        self._connection.execute(table.insert().values(**hold.model_dump()))

    def open(self) -> list[Hold]:
        query = select(table).where(_OPEN).order_by(table.c.opened_at, table.c.id)
        return [_hold(row) for row in self._connection.execute(self._locks.rows(query))]

    def get(self, hold_id: str) -> Hold | None:
        row = self._connection.execute(self._locks.rows(select(table).where(table.c.id == hold_id))).one_or_none()
        return None if row is None else _hold(row)

    def all(self, *, ended: bool = True, limit: int | None = None, before: str | None = None) -> Page[Hold]:
        query = select(table) if ended else select(table).where(_OPEN)
        if before is not None:
            query = query.where(older_than(self._connection, table, "opened_at", before, "hold"))
        return read_page(self._connection, query.order_by(table.c.opened_at.desc(), table.c.id.desc()), limit).each(
            _hold
        )

    def released(self, cause: str, since: datetime) -> bool:
        query = select(table.c.id).where(
            table.c.cause == cause, table.c.decision == HoldDecision.RELEASED.value, table.c.decided_at >= since
        )
        return self._connection.execute(query.limit(1)).scalar_one_or_none() is not None

    def decide(self, hold_id: str, decision: HoldDecision, by: str, at: datetime, reason: str) -> None:
        values = {"decision": decision.value, "decided_at": at, "decided_by": by, "decision_reason": reason}
        self._connection.execute(table.update().where(table.c.id == hold_id, _OPEN).values(**values))

    def hold(self, environment_ids: Sequence[str], hold_id: str, now: datetime) -> set[str]:
        held: set[str] = set()
        for start in range(0, len(environment_ids), _AT_ONCE):
            these = environments.c.id.in_(environment_ids[start : start + _AT_ONCE])
            query = select(environments.c.id).where(these, *_passed(now)).order_by(environments.c.id)
            found = list(self._connection.execute(self._locks.rows(query, skip=True)).scalars())
            values = {"hold_id": hold_id, "hold_released": False}
            self._connection.execute(environments.update().where(environments.c.id.in_(found)).values(**values))
            held |= set(found)
        return held

    def held(self, hold_id: str, *, sight: Sight = EVERYTHING, limit: int) -> list[str]:
        query = select(environments.c.id).where(_of(hold_id), *visible(sight))
        query = query.order_by(environments.c.deadline, environments.c.id).limit(limit)
        return list(self._connection.execute(query).scalars())

    def count(self, hold_id: str, *, sight: Sight = EVERYTHING) -> int:
        return self._connection.execute(select(func.count()).where(_of(hold_id), *visible(sight))).scalar_one()

    def release(self, hold_id: str) -> None:
        self._connection.execute(environments.update().where(_of(hold_id)).values(hold_released=true()))

    def let_go(self, hold_id: str) -> None:
        self._connection.execute(environments.update().where(_of(hold_id)).values(hold_id=None, hold_released=False))

    def due(self, now: datetime, limit: int | None, *, awaited_until: datetime | None = None) -> list[DueFacts]:
        query = select(*_FACTS).where(*_passed(now), _warned(awaited_until))
        return self._facts(query.order_by(environments.c.deadline, environments.c.id).limit(limit))

    def living(self) -> int:
        return self._connection.execute(select(func.count()).where(LEFT_TO_THE_CLOCK)).scalar_one()

    def destroyed(self, since: datetime) -> list[DueFacts]:
        asked = select(deployments.c.environment_id).where(
            deployments.c.requested_at >= since,
            deployments.c.kind == DeploymentKind.DESTROY.value,
            deployments.c.by_machine.is_(True),
            deployments.c.requested_by == CLOCK.owner,
        )
        return self._facts(select(*_FACTS).where(environments.c.id.in_(asked), environments.c.deadline.is_not(None)))

    def destroying(self) -> int:
        query = select(func.count()).where(
            deployments.c.state.in_((DeploymentState.QUEUED.value, DeploymentState.RUNNING.value)),
            deployments.c.kind == DeploymentKind.DESTROY.value,
            deployments.c.by_machine.is_(True),
            deployments.c.requested_by == CLOCK.owner,
        )
        return self._connection.execute(query).scalar_one()

    def distrust_warnings(self, now: datetime) -> int:
        told = environments.update().where(LEFT_TO_THE_CLOCK, environments.c.warned.is_(True))
        return self._connection.execute(told.values(warned=false(), warned_at=None, warn_at=now)).rowcount

    def mark(self) -> ClockMark | None:
        row = self._connection.execute(select(clock_marks).where(clock_marks.c.id == _ROW)).one_or_none()
        return None if row is None else ClockMark(*row[1:])

    def set_mark(self, mark: ClockMark) -> None:
        values = vars(mark)
        done = self._connection.execute(clock_marks.update().where(clock_marks.c.id == _ROW).values(**values))
        if done.rowcount == 0:
            self._connection.execute(clock_marks.insert().values(id=_ROW, **values))

    def forget(self, before: datetime) -> int:
        return self._connection.execute(table.delete().where(table.c.decided_at < before)).rowcount

    def _facts(self, query: Select[Any]) -> list[DueFacts]:
        return [_facts(row) for row in self._connection.execute(query)]


def _passed(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return LEFT_TO_THE_CLOCK, COMPUTED, environments.c.deadline <= now, NOT_HELD


def _warned(awaited_until: datetime | None) -> ColumnElement[bool]:
    """Whether no warning of its deadline is still to be delivered, or none that may be awaited any longer."""
    waiting: ColumnElement[bool] = (
        (warnings.c.environment_id == environments.c.id)
        & (warnings.c.deadline == environments.c.deadline)
        & (warnings.c.deadline_moves == environments.c.deadline_moves)
        & warnings.c.next_try.is_not(None)
    )
    queued: ColumnElement[bool] = environments.c.warn_at.is_(None)
    if awaited_until is not None:
        waiting &= warnings.c.awaited_since.is_(None) | (warnings.c.awaited_since > awaited_until)
        queued |= environments.c.warn_at <= awaited_until
    return queued & ~exists().where(waiting)


def _of(hold_id: str) -> Any:
    return LEFT_TO_THE_CLOCK & (environments.c.hold_id == hold_id) & environments.c.hold_released.is_(False)


def _hold(row: Row[Any]) -> Hold:
    return Hold.model_validate(row._mapping)


def _facts(row: Row[Any]) -> DueFacts:
    because = row.deadline_because
    source = because.get("source") if isinstance(because, dict) else None
    return DueFacts(
        row.id,
        row.created_at,
        row.deadline,
        row.delivered_at if row.sent else row.warned_at,
        bool(row.hold_released),
        _cause(because),
        edited=row.deadline_moves > 0 and source not in _CHOSEN,
    )


def _cause(because: Any) -> str:
    """What set a deadline, in a few words, whatever is stored of it."""
    if not isinstance(because, dict):
        return "an unknown source"
    source, by, rule = (str(because.get(name) or "") for name in ("source", "by", "rule"))
    return " ".join(filter(None, [source.replace("_", " ") or "an unknown source", f"of {by}" if by else "", rule]))
