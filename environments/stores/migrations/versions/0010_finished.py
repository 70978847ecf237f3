"""What ends by itself, such as a batch job: with which inputs it was done, and that a person wants it done again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds the columns. Of resources that are there already nobody wrote down whether they ran to their end: NULL."""
    op.add_column("resources", sa.Column("finished", sa.JSON(), nullable=True))
    op.add_column("deployments", sa.Column("run_again", sa.JSON(), nullable=False, server_default="{}"))
