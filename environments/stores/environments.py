"""Queries on environments."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.exc import IntegrityError

from environments.domain.access import EVERYTHING, Sight
from environments.domain.environment import DegradedReason, Environment
from environments.domain.errors import NameTaken, NotFound, StorageError, UnknownEnvironment
from environments.domain.lifecycle import SWITCHES, DeploymentState, ResourceStatus, State
from environments.service.authorization import CLOCK
from environments.service.pages import Page
from environments.service.selection import Order, Place, Selection
from environments.service.storage.environments import Counted, Watched
from environments.stores.environment_lists import ordered, selected
from environments.stores.environment_rows import (
    COMPUTED,
    LEFT,
    LEFT_BY_MOMENT,
    LEFT_TO_THE_CLOCK,
    NOT_HELD,
    PLAIN_STATE,
    RECORD,
    UNREAD,
    Otherwise,
    environment_of,
    nothing,
    plain,
    stand_in,
)
from environments.stores.known_rows import KnownRows
from environments.stores.locks import Locks
from environments.stores.paging import older_than, read_page
from environments.stores.schema import deployments, resources
from environments.stores.schema import environments as table
from environments.stores.sight import visible

_log = structlog.get_logger()

_LIVE_NAME = "uq_environments_live_name"

_SWITCHED = [State.READY.value, State.STOPPED.value, State.FAILED.value]
_UNFINISHED = [DeploymentState.QUEUED.value, DeploymentState.RUNNING.value]
_SWITCHABLE = (
    table.c.managed_by.is_(None)
    & PLAIN_STATE.in_(_SWITCHED)
    & ~select(deployments.c.id)
    .where(deployments.c.environment_id == table.c.id, deployments.c.state.in_(_UNFINISHED))
    .exists()
)
"""What the calendar may stop or start now: no deployment of it is queued or running."""

observed_abandoned = (table.c.state == State.ABANDONED.value) & table.c.observe_at.is_not(None)
"""Abandoned, and something of it may be left: its name stays reserved."""

_LONGEST_WHY = 300
"""Characters of why a deadline is computed again."""

_AT_ONCE = 500
"""How many ids one query has."""


class SqlEnvironments:
    """See `environments.service.storage.environments.Environments`."""

    def __init__(self, connection: Connection, known: KnownRows, locks: Locks) -> None:
        self._connection = connection
        self._known = known
        self._locks = locks

    def add(self, environment: Environment, sealed: bytes | None = None) -> None:
        row = plain({name: getattr(environment, name) for name in Environment.model_fields})
        if environment.destroyed_at is None:
            # Held to the end of the transaction: the unique index doesn't cover names of abandoned environments.
            self._locks.text(f"name {environment.name}")
            self.check_free(environment.name)
        try:
            self._connection.execute(table.insert().values(**row, sealed=sealed))
        except IntegrityError as error:
            if not _is_of_name(error):
                raise
            raise _taken(environment.name) from error

    def check_free(self, name: str) -> None:
        living = table.c.destroyed_at.is_(None)
        query = select(living).where(table.c.name == name, living | observed_abandoned).order_by(living.desc()).limit(1)
        found = self._connection.execute(query).scalar_one_or_none()
        if found is not None:
            raise _taken(name) if found else _reserved(name)

    def get(self, environment_id: str) -> Environment | None:
        return self._one(select(*RECORD).where(table.c.id == environment_id))

    def named(self, name: str, *, sight: Sight = EVERYTHING) -> Environment | None:
        query = select(*RECORD).where(table.c.name == name, *visible(sight))
        live_first = (table.c.destroyed_at.is_not(None), table.c.created_at.desc(), table.c.id.desc())
        return self._one(query.order_by(*live_first).limit(1))

    def _one(self, query: Select[Any]) -> Environment | None:
        try:
            row = self._connection.execute(self._locks.rows(query)).one_or_none()
            return None if row is None else environment_of(row)
        except ValueError as error:
            raise StorageError(
                "What is stored of this environment can't be read.",
                hint="Restore a copy of the database, or mend the row of it in the table `environments`.",
            ) from error

    def all(
        self,
        *,
        sight: Sight = EVERYTHING,
        owner: str | None = None,
        ended: bool = False,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[Environment]:
        return self.selected(sight, Selection(owner=owner, ended=ended), limit=limit, before=before)

    def selected(
        self,
        sight: Sight,
        which: Selection,
        *,
        order: Order = Order.CREATED,
        descending: bool = True,
        after: Place | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[Environment]:
        query = UNREAD[self._connection.dialect.name].where(*selected(sight, which))
        if before is not None:
            query = query.where(self._older_than(before, *selected(sight, replace(which, ended=True))))
        query = ordered(query, order, after, descending=descending)
        rows = read_page(self._connection, query, limit).each(tuple)
        return Page(self._known.environments(rows, self._read), more=rows.more)

    def counted(self, sight: Sight, which: Selection) -> Counted:
        by = (table.c.attention, table.c.state)
        query = select(*by, func.count()).where(*selected(sight, which)).group_by(*by)
        states, attention = Counter[State](), 0
        for needs_it, state, count in self._connection.execute(query):
            states[State(state)] += count
            attention += count if needs_it else 0
        return Counted(states, attention)

    def _older_than(self, environment_id: str, *among: ColumnElement[bool]) -> ColumnElement[bool]:
        try:
            return older_than(self._connection, table, "created_at", environment_id, "environment", *among)
        except NotFound as error:
            raise UnknownEnvironment(error.message) from None

    def of_ids(self, environment_ids: Sequence[str]) -> list[Environment]:
        found: list[Environment] = []
        for start in range(0, len(environment_ids), _AT_ONCE):
            some = table.c.id.in_(environment_ids[start : start + _AT_ONCE])
            rows = self._connection.execute(UNREAD[self._connection.dialect.name].where(some)).all()
            found += self._known.environments([tuple(row) for row in rows], self._readable)
        return found

    def _readable(self, ids: Sequence[str]) -> list[Environment]:
        return self._each(select(*RECORD).where(table.c.id.in_(ids)), nothing) if ids else []

    def _read(self, ids: Sequence[str]) -> list[Environment]:
        found: list[Environment] = []
        for start in range(0, len(ids), _AT_ONCE):
            query = select(*RECORD).where(table.c.id.in_(ids[start : start + _AT_ONCE]))
            found += self._each(query, stand_in)
        return found

    def _each(self, query: Select[Any], otherwise: Otherwise) -> list[Environment]:
        """The environments of a query on `RECORD`; for a row that can't be read, the result of `otherwise`."""
        try:
            return [environment_of(row) for row in self._connection.execute(query)]
        except ValueError:
            ids = self._connection.execute(query.with_only_columns(table.c.id)).scalars().all()
        found = []
        for environment_id in ids:
            try:
                row = self._connection.execute(select(*RECORD).where(table.c.id == environment_id)).one()
                found.append(environment_of(row))
            except ValueError:
                _log.warning("environment.unreadable", environment=environment_id)
                if (other := otherwise(self._connection, environment_id)) is not None:
                    found.append(other)
        return found

    def names(self, *, sight: Sight = EVERYTHING, limit: int) -> list[str]:
        query = select(table.c.name).where(table.c.destroyed_at.is_(None), *visible(sight))
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
        return list(self._connection.execute(query).scalars())

    def made_from(self, template: str, digest: str | None, *, sight: Sight) -> tuple[list[str], int]:
        users = [table.c.destroyed_at.is_(None), table.c.template == template]
        if digest is not None:
            users.append(table.c.bundle == digest)
        seen = select(table.c.name).where(*users, *visible(sight)).order_by(table.c.name)
        count = select(func.count()).select_from(table).where(*users)
        return list(self._connection.execute(seen).scalars()), int(self._connection.execute(count).scalar_one())

    def at_versions(self, template: str, *, sight: Sight) -> dict[str, int]:
        made = (table.c.destroyed_at.is_(None), table.c.template == template, *visible(sight))
        query = select(table.c.bundle, func.count()).where(*made).group_by(table.c.bundle)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def visible(self, sight: Sight, environment_ids: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        ids = sorted(environment_ids)
        for start in range(0, len(ids), _AT_ONCE):
            query = select(table.c.id).where(table.c.id.in_(ids[start : start + _AT_ONCE]), *visible(sight))
            found.update(self._connection.execute(query).scalars())
        return frozenset(found)

    def change(self, environment_id: str, **values: Any) -> None:
        if "state" in values:
            raise TypeError("only `set_state` writes the state")
        self._write(environment_id, values)

    def set_state(self, environment_id: str, state: State, since: datetime, **values: Any) -> None:
        self._write(environment_id, {**values, "state": state, "state_since": since})

    def name_and_state(self, environment_id: str) -> tuple[str, State | None]:
        query = select(table.c.name, table.c.state).where(table.c.id == environment_id)
        row = self._connection.execute(self._locks.rows(query)).one()
        return row.name, next((state for state in State if state.value == row.state), None)

    def _write(self, environment_id: str, values: Mapping[str, Any]) -> None:
        self._connection.execute(table.update().where(table.c.id == environment_id).values(**plain(values)))

    def sealed(self, environment_id: str) -> bytes | None:
        query = select(table.c.sealed).where(table.c.id == environment_id)
        return self._connection.execute(query).scalar_one_or_none()

    def mark_to_retime(
        self, why: str, *, owner: str | None = None, template: str | None = None, environment_id: str | None = None
    ) -> None:
        living = _living(owner, template)
        if environment_id is not None:
            living.append(table.c.id == environment_id)
        self._connection.execute(
            table.update().where(*living).values(retime_because=why[:_LONGEST_WHY], retime_kept=False)
        )

    def to_retime(self, limit: int) -> list[tuple[Environment, str]]:
        marked = table.c.retime_because.is_not(None) & ~table.c.retime_kept
        query = select(table.c.id, table.c.retime_because).where(marked).order_by(table.c.id).limit(limit)
        whys = {row.id: row.retime_because for row in self._connection.execute(self._locks.rows(query, skip=True))}
        found = self._each(select(*RECORD).where(table.c.id.in_(list(whys))), nothing) if whys else []
        readable = {environment.id for environment in found}
        for unreadable in whys.keys() - readable:  # else it would be asked for again and again
            self.keep_mark(unreadable)
        return [(environment, whys[environment.id]) for environment in found]

    def retimed(self, environment_id: str) -> None:
        self._connection.execute(
            table.update().where(table.c.id == environment_id).values(retime_because=None, retime_kept=False)
        )

    def keep_mark(self, environment_id: str) -> None:
        self._write(environment_id, {"retime_kept": True})

    def retime_kept(self) -> None:
        self._connection.execute(table.update().where(table.c.retime_kept).values(retime_kept=False))

    def living(
        self, *, owner: str | None = None, template: str | None = None, after: str = "", limit: int
    ) -> list[Environment]:
        query = select(*RECORD).where(*_living(owner, template), table.c.id > after)
        return self._each(query.order_by(table.c.id).limit(limit), nothing)

    def count_unended(self, owner: str, template: str) -> int:
        theirs = (table.c.owner == owner, table.c.template == template)
        query = select(func.count()).select_from(table).where(table.c.destroyed_at.is_(None), *theirs)
        return int(self._connection.execute(query).scalar_one())

    def count_living(self, *, owner: str | None = None, template: str | None = None) -> int:
        query = select(func.count()).select_from(table).where(*_living(owner, template))
        return int(self._connection.execute(query).scalar_one())

    def due(self, now: datetime, ids: Sequence[str]) -> list[Environment]:
        passed = LEFT_TO_THE_CLOCK & COMPUTED & (table.c.deadline <= now) & NOT_HELD
        query = select(*RECORD).where(table.c.id.in_(ids), passed).order_by(table.c.deadline, table.c.id)
        # Rows that another transaction changes are skipped: the scheduler asks again within a second.
        return self._each(self._locks.rows(query, skip=True), nothing)

    def to_destroy_again(self, now: datetime, limit: int) -> list[Environment]:
        again = COMPUTED & (table.c.state == State.DESTROY_FAILED.value) & (table.c.destroy_again_at <= now)
        query = select(*RECORD).where(table.c.managed_by.is_(None), again)
        query = query.order_by(table.c.destroy_again_at, table.c.id).limit(limit)
        return self._each(self._locks.rows(query, skip=True), nothing)

    def to_warn(self, now: datetime, limit: int) -> list[Environment]:
        due = (LEFT_BY_MOMENT, COMPUTED, table.c.warn_at <= now)
        earliest = func.coalesce(table.c.deadline, table.c.warn_at)  # by no index: that of warnings has the few
        return self._each(select(*RECORD).where(*due).order_by(earliest).limit(limit), nothing)

    def to_switch(self, now: datetime, limit: int, *, not_since: datetime | None = None) -> list[Environment]:
        found = select(*RECORD).where(_SWITCHABLE, COMPUTED, table.c.switch_at <= now)
        if not_since is not None:
            found = found.where(~_switched_between(not_since, now))
        query = found.order_by(table.c.switch_at).limit(limit)
        return self._each(self._locks.rows(query, skip=True), nothing)

    def to_switch_again(self, now: datetime, limit: int) -> list[Environment]:
        failed = PLAIN_STATE.in_([State.FAILED.value]) & (table.c.switch_again_at <= now)
        found = select(*RECORD).where(_SWITCHABLE, COMPUTED, failed)
        query = found.order_by(table.c.switch_again_at).limit(limit)
        return self._each(self._locks.rows(query, skip=True), nothing)

    def to_observe(self, now: datetime, state: State, limit: int) -> list[Environment]:
        found = select(*RECORD).where(
            table.c.managed_by.is_(None), table.c.state == state.value, table.c.observe_at <= now
        )
        query = found.order_by(table.c.observe_at).limit(limit)
        return self._each(self._locks.rows(query, skip=True), nothing)

    def watched(self, kind: str, *, since: datetime | None = None) -> list[Watched]:
        ready = table.c.state == State.READY.value
        which = ready if since is None else table.c.state_since >= since
        columns = (table.c.id, table.c.name, table.c.state, table.c.state_since, table.c.degraded)
        rows = self._connection.execute(select(*columns).where(table.c.managed_by.is_(None), which)).all()
        made: dict[str, dict[str, str | None]] = {}
        ended: dict[str, dict[str, bool | None]] = {}
        named = (resources.c.environment_id, resources.c.address, resources.c.step, resources.c.finished)
        found = select(*named).select_from(resources.join(table, resources.c.environment_id == table.c.id))
        here = (resources.c.kind == kind, resources.c.status == ResourceStatus.PRESENT.value)
        for of, address, step, finished in self._connection.execute(
            found.where(*here, table.c.managed_by.is_(None), ready, which)
        ):
            made.setdefault(of, {})[address] = step
            ended.setdefault(of, {})[address] = None if finished is None else bool(finished)
        return [
            Watched(
                row.id,
                row.name,
                State(row.state),
                row.state_since,
                tuple(DegradedReason.model_validate(reason) for reason in row.degraded),
                made.get(row.id, {}),
                ended.get(row.id, {}),
            )
            for row in rows
        ]

    def next_moment(self, after: datetime) -> datetime | None:
        failed = table.c.state == State.DESTROY_FAILED.value
        queries = [select(func.min(table.c.destroy_again_at)).where(failed, table.c.destroy_again_at > after)]
        # Each query walks an index from that moment on, and ends at the first row; that of deadlines has one for each
        # state, for what has ended keeps its deadline.
        first = select(table.c.deadline).where(table.c.deadline > after, LEFT_TO_THE_CLOCK)
        queries += [first.where(table.c.state == state.value).order_by(table.c.deadline).limit(1) for state in LEFT]
        for column in (table.c.warn_at, table.c.switch_at):
            queries.append(select(column).where(column > after, LEFT_BY_MOMENT).order_by(column).limit(1))
        found = [self._connection.execute(query).scalar_one_or_none() for query in queries]
        return min((moment for moment in found if moment is not None), default=None)

    def count_by_state(self) -> dict[State, int]:
        query = select(table.c.state, func.count()).where(table.c.destroyed_at.is_(None)).group_by(table.c.state)
        return {State(state): count for state, count in self._connection.execute(query)}


def _switched_between(after: datetime, until: datetime) -> ColumnElement[bool]:
    """Whether the calendar asked for a stop or a start of it after a moment, and not after another one."""
    return (
        select(deployments.c.id)
        .where(
            deployments.c.environment_id == table.c.id,
            deployments.c.requested_at > after,
            deployments.c.requested_at <= until,
            deployments.c.kind.in_([kind.value for kind in SWITCHES]),
            deployments.c.by_machine.is_(True),
            deployments.c.requested_by == CLOCK.owner,
        )
        .exists()
    )


def _living(owner: str | None, template: str | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        table.c.destroyed_at.is_(None),
        LEFT_TO_THE_CLOCK,
    ]
    if owner is not None:
        found.append(table.c.owner == owner)
    if template is not None:
        found.append(table.c.template == template)
    return found


def _taken(name: str) -> NameTaken:
    return NameTaken(f"There is an environment named {name!r} already.")


def _reserved(name: str) -> NameTaken:
    return NameTaken(
        f"The name {name!r} is reserved: an environment of that name was abandoned, and what may be left of it could "
        "read what a new one keeps there.",
        hint="Choose another name. This one becomes free when an observation finds that nothing is left: once somebody "
        "has removed the rest, abandon that environment again to have it observed at once.",
    )


def _is_of_name(error: IntegrityError) -> bool:
    """Whether the name exists already, by the constraint's name or, for SQLite, by the error's text."""
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return constraint == _LIVE_NAME or str(error.orig) == "UNIQUE constraint failed: environments.name"
