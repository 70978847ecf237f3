"""Environments with a new version that waits for a person to promote it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds the column; nothing waited for promotion until there was such a thing."""
    op.add_column("environments", sa.Column("awaiting_promotion", sa.JSON(), nullable=False, server_default="[]"))
