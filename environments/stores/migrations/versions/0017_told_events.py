"""An index on events that aren't log lines: what happened to an environment is read from them, newest first."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Adds it."""
    told = sa.text("type != 'log'")
    op.create_index("ix_events_told", "events", ["environment_id", "id"], sqlite_where=told, postgresql_where=told)
