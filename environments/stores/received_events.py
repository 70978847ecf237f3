"""Received events, deliveries, and how far sources have been read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, and_, func, or_, select

from environments.domain.access import EVERYTHING, Sight
from environments.domain.errors import NotFound
from environments.domain.received_event import BY_WEBHOOK, NewReceivedEvent, ReceivedEvent, ReceivedState
from environments.domain.trigger import FiringState
from environments.domain.webhook_use import IN_NO_NAME, WebhookUse, prefix_of
from environments.service.pages import Page
from environments.service.storage.received_events import ALL_EVENTS, EventFilter, RefusedDeliveries
from environments.stores.events_schema import (
    deliveries,
    firings,
    heartbeats,
    refused_deliveries,
    source_cursors,
)
from environments.stores.events_schema import received_events as table
from environments.stores.locks import Locks
from environments.stores.once import insert_once, insert_once_returning, put
from environments.stores.paging import read_page
from environments.stores.schema import environments
from environments.stores.sight import visible

_FORGOTTEN_AT_ONCE = 2000
"""Rows: nobody waits long for a transaction that forgets."""

_AT_ONCE = 500
"""How many ids one query has."""

MOST_COUNTED = 1000
"""Rows of refused deliveries of one hour; further webhooks and reasons are counted together."""

OTHERS = "(others)"
"""The webhook that stands for those beyond."""

_READ = [column for column in table.c if column.name != "n"]
_WAITING = table.c.state == ReceivedState.WAITING.value


class SqlReceivedEvents:
    """See `environments.service.storage.received_events.ReceivedEvents`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(
        self,
        event: NewReceivedEvent,
        event_id: str,
        now: datetime,
        *,
        refused: str = "",
        replay_of: str | None = None,
    ) -> tuple[str, bool]:
        return self.add_all([(event, event_id, refused)], now, replay_of=replay_of)[0]

    def add_all(
        self, events: Sequence[tuple[NewReceivedEvent, str, str]], now: datetime, *, replay_of: str | None = None
    ) -> list[tuple[str, bool]]:
        rows = [
            {"origin": event.origin, "delivery": event.delivery, "event_id": event_id, "at": now}
            for event, event_id, _ in events
        ]
        # In one order: two transactions with the same deliveries don't wait for each other.
        rows.sort(key=lambda row: (row["origin"], row["delivery"]))
        new = set(insert_once_returning(self._connection, deliveries, deliveries.c.event_id, rows))
        added = [
            {
                **event.model_dump(mode="json", exclude={"at"}),
                "at": event.at,
                "id": event_id,
                "received_at": now,
                "state": (ReceivedState.REFUSED if refused else ReceivedState.WAITING).value,
                "reason": refused,
                "done_at": now if refused else None,
                "replay_of": replay_of,
            }
            for event, event_id, refused in events
            if event_id in new
        ]
        if added:
            self._connection.execute(table.insert(), added)
        return [
            (event_id, True) if event_id in new else (self._first(event.origin, event.delivery), False)
            for event, event_id, _ in events
        ]

    def _first(self, origin: str, delivery: str) -> str:
        known = self.known(origin, delivery)
        assert known is not None
        return known

    def get(self, event_id: str) -> ReceivedEvent | None:
        row = self._connection.execute(select(*_READ).where(table.c.id == event_id)).one_or_none()
        return None if row is None else _event(row)

    def known(self, origin: str, delivery: str) -> str | None:
        query = select(deliveries.c.event_id).where(deliveries.c.origin == origin, deliveries.c.delivery == delivery)
        return self._connection.execute(query).scalar_one_or_none()

    def all(
        self,
        wanted: EventFilter = ALL_EVENTS,
        *,
        sight: Sight = EVERYTHING,
        usable: Mapping[str, WebhookUse] | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> Page[ReceivedEvent]:
        conditions = [*_chosen(wanted), *_in_sight(sight), *_by_webhooks(usable)]
        if wanted.subject is not None and (seen := visible(sight)):
            # What is left out for them isn't found by it either.
            conditions.append(
                or_(
                    table.c.environment_id.is_(None), table.c.environment_id.in_(select(environments.c.id).where(*seen))
                )
            )
        if before is not None:
            query = select(table.c.n).where(table.c.id == before, *conditions)
            place = self._connection.execute(query).scalar_one_or_none()
            if place is None:
                raise NotFound(f"There is no received event {before!r} to continue from.")
            conditions.append(table.c.n < place)
        query = select(*_READ).where(*conditions).order_by(table.c.n.desc())
        return read_page(self._connection, query, limit).each(_event)

    def waiting(self, limit: int) -> list[ReceivedEvent]:
        query = select(*_READ).where(_WAITING).order_by(table.c.n).limit(limit)
        if self._locks.needed:
            query = query.with_for_update(skip_locked=True)
        return [_event(row) for row in self._connection.execute(query)]

    def take(self, event_ids: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        ids = sorted(event_ids)
        for start in range(0, len(ids), _AT_ONCE):
            query = (
                select(table.c.id).where(table.c.id.in_(ids[start : start + _AT_ONCE]), _WAITING).order_by(table.c.n)
            )
            if self._locks.needed:
                query = query.with_for_update(skip_locked=True)
            found.update(self._connection.execute(query).scalars())
        return frozenset(found)

    def later(self, event: ReceivedEvent, kinds: Collection[str]) -> str | None:
        if event.at is None or not kinds:
            return None
        query = select(table.c.id).where(
            table.c.subject == event.subject,
            table.c.source == event.source.value,
            table.c.origin == event.origin,
            table.c.kind.in_(sorted(kinds)),
            table.c.at > event.at,
        )
        return self._connection.execute(query.order_by(table.c.at.desc(), table.c.n).limit(1)).scalar_one_or_none()

    def finish(self, event_ids: Collection[str], now: datetime) -> None:
        values = {"state": ReceivedState.DONE.value, "done_at": now}
        ids = list(event_ids)
        for start in range(0, len(ids), _AT_ONCE):
            some = table.c.id.in_(ids[start : start + _AT_ONCE])
            self._connection.execute(table.update().where(some, _WAITING).values(**values))

    def refuse(self, event_id: str, now: datetime, reason: str) -> None:
        values = {"state": ReceivedState.REFUSED.value, "done_at": now, "reason": reason}
        self._connection.execute(table.update().where(table.c.id == event_id, _WAITING).values(**values))

    def count_waiting(self) -> int:
        return self._connection.execute(select(func.count()).select_from(table).where(_WAITING)).scalar_one()

    def count_refused(self, webhook: str, reason: str, address: str, now: datetime, *, count: int = 1) -> None:
        hour = now.replace(minute=0, second=0, microsecond=0)
        if self._counted(webhook, reason, hour, address, now, count):
            return
        query = select(func.count()).select_from(refused_deliveries).where(refused_deliveries.c.hour == hour)
        if self._connection.execute(query).scalar_one() >= MOST_COUNTED:
            webhook, reason = OTHERS, OTHERS
        row = {"webhook": webhook, "reason": reason, "hour": hour, "last_at": now, "last_address": address}
        if not insert_once(self._connection, refused_deliveries, [{**row, "count": count}]):
            self._counted(webhook, reason, hour, address, now, count)

    def _counted(self, webhook: str, reason: str, hour: datetime, address: str, now: datetime, count: int) -> bool:
        rows = refused_deliveries
        mine = (rows.c.webhook == webhook, rows.c.reason == reason, rows.c.hour == hour)
        values = {"count": rows.c.count + count, "last_at": now, "last_address": address}
        return self._connection.execute(rows.update().where(*mine).values(**values)).rowcount > 0

    def refused(self, webhook: str | None = None, *, limit: int = 100) -> list[RefusedDeliveries]:
        query = select(refused_deliveries)
        if webhook is not None:
            query = query.where(refused_deliveries.c.webhook == webhook)
        rows = self._connection.execute(query.order_by(refused_deliveries.c.last_at.desc()).limit(limit))
        return [RefusedDeliveries(**row._mapping) for row in rows]

    def forget(self, *, events_before: datetime, deliveries_before: datetime) -> int:
        done = (
            table.c.received_at < events_before,
            ~_WAITING,
            table.c.id.not_in(select(firings.c.event_id).where(firings.c.state == FiringState.PENDING.value)),
        )
        gone = self._delete(table, table.c.n, *done)
        gone += self._delete(refused_deliveries, refused_deliveries.c.hour, refused_deliveries.c.hour < events_before)
        # A delivery has no key of its own: its moment is near enough.
        oldest = select(deliveries.c.at).where(deliveries.c.at < deliveries_before).order_by(deliveries.c.at)
        end = self._connection.execute(oldest.offset(_FORGOTTEN_AT_ONCE - 1).limit(1)).scalar_one_or_none()
        some = deliveries.c.at < deliveries_before if end is None else deliveries.c.at <= end
        return gone + self._connection.execute(deliveries.delete().where(some)).rowcount

    def _delete(self, rows: Table, key: Column[Any], *conditions: ColumnElement[bool]) -> int:
        some = select(key).where(*conditions).order_by(key).limit(_FORGOTTEN_AT_ONCE)
        return self._connection.execute(rows.delete().where(key.in_(some))).rowcount


def _chosen(wanted: EventFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.source is not None:
        found.append(table.c.source == wanted.source.value)
    if wanted.subject is not None:
        found.append(table.c.subject == wanted.subject)
    if wanted.event_id is not None:
        found.append(table.c.id == wanted.event_id)
    if wanted.state is not None:
        found.append(table.c.state == wanted.state.value)
    if wanted.environment_id is not None:
        fired = select(firings.c.event_id).where(firings.c.environment_id == wanted.environment_id)
        found.append(or_(table.c.environment_id == wanted.environment_id, table.c.id.in_(fired)))
    return found


def _in_sight(sight: Sight) -> list[ColumnElement[bool]]:
    if sight.unlimited:
        return []
    seen = select(environments.c.id).where(*visible(sight))
    mine: ColumnElement[bool] = firings.c.environment_id.in_(seen)
    if sight.subjects is not None and not sight.limited:
        mine = or_(mine, firings.c.owner.in_(sorted(sight.subjects)))
    return [table.c.id.in_(select(firings.c.event_id).where(mine))]


def _by_webhooks(usable: Mapping[str, WebhookUse] | None) -> list[ColumnElement[bool]]:
    """Those of usable webhooks, and those that came through none. `WebhookUse.covers` says the same of a repository."""
    if usable is None:
        return []
    repository = table.c.fields["repository"].as_string()
    whole = sorted(name for name, use in usable.items() if not use.repositories)
    ways: list[ColumnElement[bool]] = [
        table.c.source.not_in(sorted(source.value for source in BY_WEBHOOK)),
        table.c.origin.in_(whole),
    ]
    for name, use in sorted(usable.items()):
        if use.repositories:
            fits = or_(*(_fits(func.lower(repository), one.lower()) for one in use.repositories))
            ways.append(and_(table.c.origin == name, fits, ~repository.regexp_match(IN_NO_NAME)))
    return [or_(*ways)]


def _fits(name: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    prefix = prefix_of(pattern)
    return name == pattern if prefix is None else name.startswith(prefix, autoescape=True)


def _event(row: Row[Any]) -> ReceivedEvent:
    return ReceivedEvent.model_validate(row._mapping)


class SqlSourceCursors:
    """See `environments.service.storage.received_events.SourceCursors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, source: str, key: str) -> str | None:
        rows = source_cursors
        query = select(rows.c.value).where(rows.c.source == source, rows.c.key == key)
        return self._connection.execute(query).scalar_one_or_none()

    def all(self, source: str) -> dict[str, str]:
        query = select(source_cursors.c.key, source_cursors.c.value).where(source_cursors.c.source == source)
        return {row.key: row.value for row in self._connection.execute(query)}

    def set(self, source: str, key: str, value: str) -> None:
        put(self._connection, source_cursors, {"source": source, "key": key, "value": value})

    def remove(self, source: str, keys: Sequence[str]) -> None:
        rows = source_cursors
        for start in range(0, len(keys), _AT_ONCE):
            some = rows.c.key.in_(keys[start : start + _AT_ONCE])
            self._connection.execute(rows.delete().where(rows.c.source == source, some))


class SqlHeartbeats:
    """See `environments.service.storage.received_events.Heartbeats`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def beat(self, environment_id: str, now: datetime) -> None:
        put(self._connection, heartbeats, {"environment_id": environment_id, "at": now})

    def last(self, environment_id: str) -> datetime | None:
        query = select(heartbeats.c.at).where(heartbeats.c.environment_id == environment_id)
        return self._connection.execute(query).scalar_one_or_none()

    def all(self) -> dict[str, datetime]:
        return {row.environment_id: row.at for row in self._connection.execute(select(heartbeats))}
