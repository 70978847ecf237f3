"""How often a deadline has moved: warnings and their links are for one deadline as it was set at one time."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Adds the columns. Warnings that are there stay those of their deadline until it moves."""
    for table in ("environments", "warnings"):
        op.add_column(table, sa.Column("deadline_moves", sa.Integer(), nullable=False, server_default="0"))
