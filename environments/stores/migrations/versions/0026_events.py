"""Received events, triggers and what they did, webhooks, and previews."""

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Long, Moment

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Adds the tables, and the text of what a trigger tells by the channels of warnings."""
    op.add_column("warnings", sa.Column("notice", sa.Text(), nullable=False, server_default=""))
    _events()
    _triggers()
    _forges()
    _sources()


def _events() -> None:
    op.create_table(
        "received_events",
        sa.Column("n", Long, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("origin", sa.String(length=100), nullable=False),
        sa.Column("delivery", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("at", Moment, nullable=True),
        sa.Column("received_at", Moment, nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=True),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("done_at", Moment, nullable=True),
        sa.Column("replay_of", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_received_events")),
        sa.UniqueConstraint("id", name=op.f("uq_received_events_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_received_events_environment_id", "received_events", ["environment_id"])
    op.create_index("ix_received_events_received_at", "received_events", ["received_at"])
    op.create_index("ix_received_events_subject", "received_events", ["subject"])
    op.create_index(
        "ix_received_events_waiting",
        "received_events",
        ["n"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "deliveries",
        sa.Column("origin", sa.String(length=100), nullable=False),
        sa.Column("delivery", sa.String(length=200), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("origin", "delivery", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_at", "deliveries", ["at"])
    op.create_table(
        "refused_deliveries",
        sa.Column("webhook", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("hour", Moment, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment, nullable=False),
        sa.Column("last_address", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("webhook", "reason", "hour", name=op.f("pk_refused_deliveries")),
    )
    op.create_index("ix_refused_deliveries_hour", "refused_deliveries", ["hour"])


def _triggers() -> None:
    op.create_table(
        "triggers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=True),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("stopped_reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_triggers_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triggers")),
    )
    op.create_index("ix_triggers_created_at", "triggers", ["created_at", "id"])
    op.create_index(
        "uq_triggers_alone",
        "triggers",
        ["owner", "name"],
        unique=True,
        sqlite_where=sa.text("environment_id IS NULL"),
        postgresql_where=sa.text("environment_id IS NULL"),
    )
    op.create_index(
        "uq_triggers_on_environment",
        "triggers",
        ["environment_id", "name"],
        unique=True,
        sqlite_where=sa.text("environment_id IS NOT NULL"),
        postgresql_where=sa.text("environment_id IS NOT NULL"),
    )
    op.create_table(
        "firings",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("trigger_id", sa.String(length=200), nullable=False),
        sa.Column("trigger_name", sa.String(length=63), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=True),
        sa.Column("target", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", Moment, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=True),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("done_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["received_events.id"], name=op.f("fk_firings_event_id_received_events"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firings")),
        sa.UniqueConstraint("event_id", "trigger_id", "target", name=op.f("uq_firings_event_id")),
    )
    op.create_index("ix_firings_deployment_id", "firings", ["deployment_id"])
    op.create_index(
        "ix_firings_due_at",
        "firings",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_firings_environment_id", "firings", ["environment_id", "created_at"])
    op.create_index("ix_firings_trigger_id", "firings", ["trigger_id", "created_at"])


def _forges() -> None:
    op.create_table(
        "webhooks",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("allowed", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("rotated_at", Moment, nullable=True),
        sa.Column("last_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "previews",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("trigger_id", sa.String(length=40), nullable=False),
        sa.Column("webhook", sa.String(length=63), nullable=False),
        sa.Column("repository", sa.String(length=300), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=True),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.String(length=20), nullable=False),
        sa.Column("head_sha", sa.String(length=100), nullable=False),
        sa.Column("applied_sha", sa.String(length=100), nullable=False),
        sa.Column("pull", sa.JSON(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("end_at", Moment, nullable=True),
        sa.Column("look_at", Moment, nullable=True),
        sa.Column("looked_at", Moment, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("written", sa.JSON(), nullable=False),
        sa.Column("closed_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_previews")),
        sa.UniqueConstraint("trigger_id", "number", name=op.f("uq_previews_trigger_id")),
    )
    op.create_index("ix_previews_closed_at", "previews", ["closed_at"])
    op.create_index("ix_previews_environment_id", "previews", ["environment_id"])
    op.create_index(
        "ix_previews_look_at",
        "previews",
        ["look_at"],
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )


def _sources() -> None:
    op.create_table(
        "source_cursors",
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=500), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "key", name=op.f("pk_source_cursors")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_heartbeats_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment_id", name=op.f("pk_heartbeats")),
    )
