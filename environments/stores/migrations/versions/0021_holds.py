"""Holds of destroys by the clock."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Adds the tables and columns. When an environment was warned isn't known of warnings that were sent before."""
    op.create_table(
        "holds",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("opened_at", Moment, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=True),
        sa.Column("decided_at", Moment, nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(
        "uq_holds_open_kind",
        "holds",
        ["kind"],
        unique=True,
        sqlite_where=sa.text("decided_at IS NULL"),
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.create_index("ix_holds_opened_at", "holds", ["opened_at", "id"])
    op.create_table(
        "clock_marks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("boot", sa.String(length=80), nullable=False),
        sa.Column("steady", sa.Double(), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("database", sa.String(length=120), nullable=False),
        sa.Column("restored_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_marks")),
    )
    op.add_column("environments", sa.Column("warned_at", Moment, nullable=True))
    op.add_column("environments", sa.Column("hold_id", sa.String(length=40), nullable=True))
    op.add_column("environments", sa.Column("hold_released", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_environments_hold_id", "environments", ["hold_id"])
    op.create_index("ix_deployments_requested_at", "deployments", ["requested_at"])
