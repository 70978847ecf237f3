"""Which environments a principal sees, as a condition of a query: the only place that says it in SQL.

`environments.domain.access.Sight.sees` says the same of a record.
"""

from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, or_, select

from environments.domain.access import Sight
from environments.stores.people_schema import shares
from environments.stores.schema import environments


def visible(sight: Sight) -> list[ColumnElement[bool]]:
    """Conditions on the table of environments; none: all are visible."""
    found: list[ColumnElement[bool]] = []
    if sight.templates is not None:
        found.append(environments.c.template.in_(sorted(sight.templates)))
    if sight.environments is not None:
        found.append(environments.c.id.in_(sorted(sight.environments)))
    if sight.subjects is not None:
        subjects = sorted(sight.subjects)
        shared = select(shares.c.environment_id).where(shares.c.subject.in_(subjects), *lasting(sight.now))
        found.append(or_(environments.c.owner.in_(subjects), environments.c.id.in_(shared)))
    return found


def lasting(now: datetime | BindParameter[datetime] | None) -> list[ColumnElement[bool]]:
    """Conditions on the table of shares: those that hold at a moment, as `Share.holds` says."""
    endless = shares.c.until.is_(None)
    return [endless if now is None else or_(endless, shares.c.until > now)]
