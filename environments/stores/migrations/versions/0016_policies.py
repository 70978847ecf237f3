"""Policies, holiday calendars, pins, and environments whose deadline has to be computed again."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Adds them. The maximum of an environment that is there is its template's."""
    for column in (
        sa.Column("template_maximum", Moment, nullable=True),
        sa.Column("pin", sa.JSON, nullable=True),
        sa.Column("retime_because", sa.String(length=300), nullable=True),
    ):
        op.add_column("environments", column)
    op.execute("UPDATE environments SET template_maximum = maximum_deadline")
    there = sa.text("retime_because IS NOT NULL")
    op.create_index(op.f("ix_environments_retime"), "environments", ["id"], sqlite_where=there, postgresql_where=there)
    op.create_table(
        "policies",
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=True),
        sa.Column("maximum_since", Moment, nullable=True),
        sa.Column("set_by", sa.String(length=200), nullable=False),
        sa.Column("set_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("pk_policies")),
    )
    op.create_table(
        "calendars",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("days", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.String(length=200), nullable=False),
        sa.Column("set_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_calendars")),
    )
    op.create_table(
        "zone_database",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zone_database")),
    )
