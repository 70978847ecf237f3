"""Tokens know which token made them; hashes of requests that anybody could guess are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the column; forgets every Idempotency-Key, for what was kept of requests stood for their secrets too."""
    op.add_column("tokens", sa.Column("parent_id", sa.String(length=40)))
    op.create_index("ix_tokens_parent_id", "tokens", ["parent_id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        op.execute("PRAGMA secure_delete = ON")  # else the rows stay readable in the file's free pages
        op.execute("DELETE FROM idempotency")
        op.execute("PRAGMA secure_delete = OFF")
    else:
        op.execute("TRUNCATE TABLE idempotency")
