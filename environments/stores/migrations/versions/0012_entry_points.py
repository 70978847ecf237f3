"""Entry points of environments, and what the edges serve."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "entry_points",
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_entry_points_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment_id", "service", name=op.f("pk_entry_points")),
    )
    op.create_table(
        "edges",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
        sa.Column("routes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edges")),
    )
