"""What sets the deadline of an environment: lifetimes, people, and rules of the calendar."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the columns. Deadlines that are there stay, as set by somebody unknown."""
    for column in (
        sa.Column("deadline_because", sa.JSON, nullable=True),
        sa.Column("set_deadline", Moment, nullable=True),
        sa.Column("set_because", sa.JSON, nullable=True),
        sa.Column("rules", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("rules_from", Moment, nullable=True),
        sa.Column("template_rules_from", Moment, nullable=True),
    ):
        op.add_column("environments", column)
    op.execute("UPDATE environments SET set_deadline = deadline")
