"""What environments hold: it is theirs even where a mark is lost, and it is all that their jobs can read."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_PLACES = (
    ("vault.folder", "'secret/environments/' || e.name || '/'", 12),
    ("consul.kv", "'environments/' || e.name || '/'", 10),
)
"""Kind, address and rank of what jobs in a Nomad namespace can read, whichever steps the environment has."""


def upgrade() -> None:
    """Adds the column, and the folders of environments with jobs to the inventory.

    What a step has made is held, and all of what has been ready or was given up: there, at worst, more is looked for.
    A name that was given up and is in use again stays with both environments.
    """
    op.add_column("resources", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE resources SET held = true WHERE status = 'present' OR environment_id IN"
        " (SELECT id FROM environments WHERE last_good IS NOT NULL OR state = 'abandoned')"
    )
    for kind, address, rank in _PLACES:
        op.execute(
            "INSERT INTO resources"  # noqa: S608 - nothing in it comes from outside
            " (environment_id, kind, address, rank, status, detail, created_at, updated_at, held)"
            f" SELECT e.id, '{kind}', {address}, {rank},"
            " CASE WHEN e.state = 'abandoned' THEN 'abandoned' ELSE 'present' END, '', r.created_at, r.updated_at, true"
            " FROM environments e JOIN resources r ON r.environment_id = e.id"
            " WHERE r.kind = 'nomad.namespace' AND r.held AND (r.status <> 'gone' OR e.state = 'abandoned')"
            " AND e.managed_by IS NULL"
            " AND (e.destroyed_at IS NULL OR (e.state = 'abandoned' AND e.observe_at IS NOT NULL))"
            f" AND NOT EXISTS (SELECT 1 FROM resources o WHERE o.environment_id = e.id AND o.kind = '{kind}'"
            f" AND o.address = {address})"
        )
