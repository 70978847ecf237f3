"""The tables of policies and holiday calendars.

Every change of this file comes with a migration; a test compares the two.
"""

from sqlalchemy import JSON, Column, Integer, String, Table

from environments.stores.column_types import Moment, metadata

policies = Table(
    "policies",
    metadata,
    Column("scope", String(20), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("rules", JSON, nullable=False),
    Column("maximum", Integer),
    Column("maximum_since", Moment),
    Column("set_by", String(200), nullable=False),
    Column("set_at", Moment, nullable=False),
)
"""Rules and a maximum lifetime (in seconds) for all environments of an owner or of a template."""

calendars = Table(
    "calendars",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("days", JSON, nullable=False),
    Column("set_by", String(200), nullable=False),
    Column("set_at", Moment, nullable=False),
)
"""Holiday calendars."""

zone_database = Table(
    "zone_database",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", String(100), nullable=False),
)
"""One row: the version of the zone database that deadlines were last computed with."""
