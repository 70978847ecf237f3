"""Who may use which webhook, and for which repositories."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Adds both. Everyone may go on using the webhooks that there are, for every repository."""
    op.add_column("webhooks", sa.Column("repositories", sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "webhook_users",
        sa.Column("webhook", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=310), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook"], ["webhooks.name"], name=op.f("fk_webhook_users_webhook_webhooks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("webhook", "subject", name=op.f("pk_webhook_users")),
    )
    op.create_index("ix_webhook_users_subject", "webhook_users", ["subject"])
    op.execute("INSERT INTO webhook_users (webhook, subject) SELECT name, 'everyone' FROM webhooks")
