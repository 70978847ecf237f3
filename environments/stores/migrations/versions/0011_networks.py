"""Which network the jobs of an environment get."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds the columns. Environments that are there may use their nodes' networks, until another version is applied."""
    op.add_column("environments", sa.Column("network", sa.String(10), nullable=False, server_default="bridge"))
    op.add_column("environments", sa.Column("host_network_bundle", sa.String(80), nullable=True))
    op.execute("UPDATE environments SET network = 'host', host_network_bundle = bundle WHERE destroyed_at IS NULL")
