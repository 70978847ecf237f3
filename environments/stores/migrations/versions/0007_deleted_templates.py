"""Which versions of templates were taken out of the catalogue, by whom and when."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "deleted_templates",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("deleted_at", Moment, nullable=False),
        sa.Column("deleted_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_templates")),
    )
    op.create_index("ix_deleted_templates_name", "deleted_templates", ["name", "id"], unique=False)
