"""Why ready environments don't work as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds the column; nothing is known to be wrong until somebody has looked."""
    op.add_column("environments", sa.Column("degraded", sa.JSON(), nullable=False, server_default="[]"))
