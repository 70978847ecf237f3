"""Warnings before an environment is destroyed, and how their delivery goes."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0014"
down_revision = "0013"

_environments = sa.table(
    "environments",
    sa.column("id", sa.String),
    sa.column("created_at", Moment),
    sa.column("deadline", Moment),
    sa.column("destroyed_at", Moment),
    sa.column("warned", sa.Boolean),
    sa.column("warn_at", Moment),
)


def upgrade() -> None:
    """Adds the table and the column. Who wasn't warned yet is warned when earlier versions would have."""
    op.add_column("environments", sa.Column("warn_at", Moment, nullable=True))
    op.create_index(op.f("ix_environments_warn_at"), "environments", ["warn_at"])
    op.create_table(
        "warnings",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("deadline", Moment, nullable=False),
        sa.Column("due_at", Moment, nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("queued_at", Moment, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try", Moment, nullable=True),
        sa.Column("delivered_at", Moment, nullable=True),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("awaited_since", Moment, nullable=True),
        sa.Column("link_used_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_warnings_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warnings")),
        sa.UniqueConstraint(
            "environment_id", "deadline", "due_at", "channel", "recipient", name=op.f("uq_warnings_environment_id")
        ),
    )
    op.create_index(op.f("ix_warnings_next_try"), "warnings", ["next_try"])
    table, connection = _environments, op.get_bind()
    living = (table.c.deadline.is_not(None), table.c.destroyed_at.is_(None), table.c.warned.is_(False))
    for row in connection.execute(sa.select(table.c.id, table.c.created_at, table.c.deadline).where(*living)).all():
        notice = max(min(timedelta(hours=1), (row.deadline - row.created_at) / 10), timedelta(0))
        connection.execute(table.update().where(table.c.id == row.id).values(warn_at=row.deadline - notice))
