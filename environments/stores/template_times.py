"""How long it takes to make an environment, by template."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Select, bindparam, case, cast, extract, func, select

from environments.domain.lifecycle import DeploymentKind, DeploymentState
from environments.service.storage.templates import LOOKED_AT, CreateTimes
from environments.stores.schema import deployments as table

_TOOK: dict[str, ColumnElement[float]] = {
    "sqlite": cast((func.julianday(table.c.ended_at) - func.julianday(table.c.started_at)) * 86400.0, Double),
    "postgresql": cast(extract("epoch", table.c.ended_at - table.c.started_at), Double),
}


def _times(took: ColumnElement[float]) -> Select[Any]:
    """The least time in which a half, and nine tenths, of the newest ones were done."""
    newest = (
        select(took.label("took"))
        .where(
            table.c.template == bindparam("template"),
            table.c.kind == DeploymentKind.CREATE.value,
            table.c.state == DeploymentState.SUCCEEDED.value,
            table.c.started_at.is_not(None),
            table.c.ended_at.is_not(None),
        )
        .order_by(table.c.requested_at.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    ranked = select(
        newest.c.took,
        func.row_number().over(order_by=newest.c.took).label("place"),
        func.count().over().label("made"),
    ).subquery()
    return select(
        func.coalesce(func.max(ranked.c.made), 0).label("made"),
        func.min(case((ranked.c.place * 2 >= ranked.c.made, ranked.c.took))).label("median"),
        func.min(case((ranked.c.place * 10 >= ranked.c.made * 9, ranked.c.took))).label("nine_tenths"),
    )


_TIMES = {dialect: _times(took) for dialect, took in _TOOK.items()}
"""Built once: each page of templates runs it for each of them."""


def create_times(connection: Connection, template: str) -> CreateTimes | None:
    """See `environments.service.storage.templates.Templates.create_times`."""
    row = connection.execute(_TIMES[connection.dialect.name], {"template": template}).one()
    return CreateTimes(row.made, max(0.0, row.median), max(0.0, row.nine_tenths)) if row.made else None
