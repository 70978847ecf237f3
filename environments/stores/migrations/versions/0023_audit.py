"""The audit log."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Long, Moment

revision = "0023"
down_revision = "0022"

_TEXTS = (
    ("action", 80),
    ("actor", 200),
    ("actor_kind", 40),
    ("role", 20),
    ("token_id", 80),
    ("behalf", 200),
    ("address", 80),
    ("request", 300),
    ("object_kind", 40),
    ("object_id", 200),
    ("object_name", 200),
    ("template", 200),
)


def upgrade() -> None:
    """Adds the tables; of what happened before there are no entries."""
    op.create_table(
        "audit",
        sa.Column("id", Long, autoincrement=True, nullable=False),
        sa.Column("position", Long, nullable=True),
        sa.Column("previous", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=True),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("at", Moment, nullable=False),
        *(sa.Column(name, sa.String(length=longest), nullable=False) for name, longest in _TEXTS),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("position", name=op.f("uq_audit_position")),
        sqlite_autoincrement=True,
    )
    unchained = sa.text("position IS NULL")
    op.create_index("ix_audit_unchained", "audit", ["id"], sqlite_where=unchained, postgresql_where=unchained)
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_actor", "audit", ["actor", "id"])
    op.create_index("ix_audit_object_id", "audit", ["object_id", "id"])
    op.create_table(
        "audit_checkpoints",
        sa.Column("position", Long, autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("pruned", Long, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_checkpoints")),
    )
