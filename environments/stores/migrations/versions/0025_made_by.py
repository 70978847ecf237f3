"""Tokens know who made them, so that those of service accounts end with the person who made them."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Adds the column; of tokens from before nobody knows it."""
    op.add_column("tokens", sa.Column("made_by", sa.String(200), nullable=False, server_default=""))
    op.create_index("ix_tokens_made_by", "tokens", ["made_by"])
