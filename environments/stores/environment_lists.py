"""Lists of environments as conditions and orders of queries."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, tuple_

from environments.domain.access import Sight
from environments.service.selection import BY_URGENCY, Order, Place, Selection
from environments.stores.schema import environments as table
from environments.stores.sight import visible

_NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Sorts behind every deadline."""

_ORDERS: dict[Order, ColumnElement[Any]] = {
    Order.CREATED: table.c.created_at,
    Order.NAME: table.c.name,
    Order.DEADLINE: func.coalesce(table.c.deadline, literal(_NEVER, table.c.deadline.type)),
    Order.STATE: case(
        *((table.c.state == state.value, rank) for rank, state in enumerate(BY_URGENCY)), else_=len(BY_URGENCY)
    ),
}


def selected(sight: Sight, which: Selection) -> list[ColumnElement[bool]]:
    """What a selection means: all that is in sight, and no more."""
    found = visible(sight)
    if which.owner is not None:
        found.append(table.c.owner == which.owner)
    if which.owners is not None:
        found.append(table.c.owner.in_(sorted(which.owners)))
    if which.not_owners:
        found.append(table.c.owner.not_in(sorted(which.not_owners)))
    if not which.ended:
        found.append(table.c.destroyed_at.is_(None))
    if which.ids is not None:
        found.append(table.c.id.in_(sorted(which.ids)))
    if which.states:
        found.append(table.c.state.in_(sorted(state.value for state in which.states)))
    if which.template is not None:
        found.append(table.c.template == which.template)
    if which.name:
        found.append(table.c.name.contains(which.name, autoescape=True))
    if which.due is not None:
        found.append(and_(table.c.deadline.is_not(None), table.c.deadline < which.due))
    if which.attention:
        found += [table.c.destroyed_at.is_(None), table.c.attention]
    return found


def ordered(query: Select[Any], order: Order, after: Place | None, *, descending: bool) -> Select[Any]:
    """A query in an order, behind a place."""
    by = _ORDERS[order]
    if after is not None:
        value = _NEVER if after.value is None else after.value
        here, there = tuple_(by, table.c.id), tuple_(literal(value, by.type), literal(after.id))
        query = query.where(here < there if descending else here > there)
    keys = (by, table.c.id)
    return query.order_by(None).order_by(*(key.desc() if descending else key.asc() for key in keys))
