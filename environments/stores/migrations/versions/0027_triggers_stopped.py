"""Why triggers are stopped is worked out when they are read."""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Drops the column."""
    op.drop_column("triggers", "stopped_reason")
