"""Tokens for one environment's secrets: what making them leaves belongs to the inventory of who has secrets."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds it to environments whose secrets were kept before there were such tokens."""
    op.execute(
        "INSERT INTO resources (environment_id, kind, address, rank, status, detail, created_at, updated_at)"
        " SELECT e.id, 'vault.identity', 'token/' || e.name, 34, 'intended', '', min(r.created_at), min(r.updated_at)"
        " FROM environments e JOIN resources r ON r.environment_id = e.id"
        " WHERE r.kind = 'vault.secret' AND r.step IS NOT NULL AND r.status <> 'gone'"
        " AND e.destroyed_at IS NULL AND e.managed_by IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM resources o WHERE o.environment_id = e.id AND o.kind = 'vault.identity'"
        " AND o.address = 'token/' || e.name)"
        " GROUP BY e.id, e.name"
    )
