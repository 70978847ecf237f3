"""Creates that succeeded by their template: how long it takes to make an environment."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

_THOSE = sa.text("kind = 'create' AND state = 'succeeded'")


def upgrade() -> None:
    """Adds the index."""
    op.create_index(
        "ix_deployments_template",
        "deployments",
        ["template", "requested_at"],
        sqlite_where=_THOSE,
        postgresql_where=_THOSE,
    )
