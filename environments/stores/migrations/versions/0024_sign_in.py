"""Signing in: identity tokens that were used, device grants, and reports of claims."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "used_identity_tokens",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_used_identity_tokens")),
    )
    op.create_index("ix_used_identity_tokens_expires_at", "used_identity_tokens", ["expires_at"])
    op.create_table(
        "device_grants",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("device_hash", sa.String(length=64), nullable=False),
        sa.Column("user_hash", sa.String(length=64), nullable=False),
        sa.Column("machine", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("requested_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("polled_at", Moment, nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("decided_at", Moment, nullable=True),
        sa.Column("until", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_grants")),
        sa.UniqueConstraint("device_hash", name=op.f("uq_device_grants_device_hash")),
        sa.UniqueConstraint("user_hash", name=op.f("uq_device_grants_user_hash")),
    )
    op.create_index("ix_device_grants_expires_at", "device_grants", ["expires_at"])
    op.create_table(
        "claim_reports",
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_claim_reports")),
    )
