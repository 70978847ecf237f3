"""How many triggers led to a deployment stands with it, as previews ask for some without a firing of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Adds the column, with what the firings of deployments say."""
    op.add_column("deployments", sa.Column("hops", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE deployments SET hops = (SELECT MAX(hops) + 1 FROM firings WHERE deployment_id = deployments.id) "
        "WHERE id IN (SELECT deployment_id FROM firings WHERE deployment_id IS NOT NULL)"
    )
    op.drop_index("ix_firings_deployment_id", "firings")
