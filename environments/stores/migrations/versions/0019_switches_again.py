"""Stops and starts that failed and are tried again."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Adds the columns. What failed before isn't tried again."""
    op.add_column("environments", sa.Column("switch_again_at", Moment, nullable=True))
    op.add_column("environments", sa.Column("switch_attempts", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_environments_switch_again_at", "environments", ["switch_again_at"])
