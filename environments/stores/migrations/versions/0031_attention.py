"""What a person should look at is a column, and overviews count environments by one index."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

_ATTENTION = """destroyed_at IS NULL AND (
    state IN ('failed', 'destroy_failed')
    OR state = 'ready' AND CAST(degraded AS TEXT) <> '[]'
    OR CAST(awaiting_promotion AS TEXT) <> '[]'
    OR drift IS NOT NULL AND (
        replace(CAST(drift AS TEXT), '"unexpected": [{', '') <> CAST(drift AS TEXT)
        OR replace(CAST(drift AS TEXT), '"changes": [{', '') <> CAST(drift AS TEXT)
    )
    OR hold_id IS NOT NULL AND NOT hold_released
)"""
_LIVE = sa.text("destroyed_at IS NULL")


def upgrade() -> None:
    """Adds the column, which the database computes, and the index."""
    stored = op.get_bind().dialect.name == "postgresql"  # SQLite can't add one that is stored
    op.add_column("environments", sa.Column("attention", sa.Boolean, sa.Computed(_ATTENTION, persisted=stored)))
    op.create_index(
        "ix_environments_live",
        "environments",
        ["attention", "state", "owner", "template", "name", "deadline", "id"],
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
