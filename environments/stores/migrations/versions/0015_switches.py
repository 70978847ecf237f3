"""Stops and starts by the calendar, and the rule because of which a deployment was requested."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Adds the columns. No environment that is there is stopped or started until its rules change."""
    op.add_column("environments", sa.Column("switch_at", Moment, nullable=True))
    op.add_column("environments", sa.Column("switch_action", sa.String(10), nullable=True))
    op.add_column("environments", sa.Column("switches_from", Moment, nullable=True))
    op.create_index("ix_environments_switch_at", "environments", ["switch_at"])
    op.add_column("deployments", sa.Column("because", sa.JSON, nullable=True))
