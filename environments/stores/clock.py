"""The database's clock, which alone decides about leases, whatever the workers' clocks say."""

from sqlalchemy import ColumnElement, Connection, Double, cast, extract, func, literal_column

NOW: dict[str, ColumnElement[float]] = {
    "sqlite": cast(literal_column("(julianday('now') - 2440587.5) * 86400.0"), Double),
    "postgresql": cast(extract("epoch", func.clock_timestamp()), Double),
}
"""The present moment in seconds, by dialect."""


def database_clock(connection: Connection) -> ColumnElement[float]:
    """The present moment in seconds, by the database's clock."""
    return NOW[connection.dialect.name]
