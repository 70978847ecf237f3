"""Deadlines that have to be computed again, and can't be by this version of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Adds the column. What is marked is computed again first."""
    op.add_column("environments", sa.Column("retime_kept", sa.Boolean(), nullable=False, server_default=sa.false()))
