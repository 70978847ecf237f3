"""The tables of received events, triggers, webhooks and previews.

Every change of this file comes with a migration; a test compares the two.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from environments.stores.column_types import Long, Moment, metadata

received_events = Table(
    "received_events",
    metadata,
    Column("n", Long, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False),
    Column("source", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("origin", String(100), nullable=False),
    Column("delivery", String(200), nullable=False),
    Column("subject", String(500), nullable=False),
    Column("fields", JSON, nullable=False),
    Column("at", Moment),
    Column("received_at", Moment, nullable=False),
    Column("environment_id", String(40)),
    Column("hops", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("done_at", Moment),
    Column("replay_of", String(40)),
    UniqueConstraint("id"),
    Index(
        "ix_received_events_waiting",
        "n",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_received_events_received_at", "received_at"),
    Index("ix_received_events_subject", "subject"),
    Index("ix_received_events_environment_id", "environment_id"),
    sqlite_autoincrement=True,
)
"""What happened elsewhere, in the order in which it was received."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("origin", String(100), primary_key=True),
    Column("delivery", String(200), primary_key=True),
    Column("event_id", String(40), nullable=False),
    Column("at", Moment, nullable=False),
    Index("ix_deliveries_at", "at"),
)
"""Which event each delivery became; kept longer than events, so that a late copy is known."""

refused_deliveries = Table(
    "refused_deliveries",
    metadata,
    Column("webhook", String(100), primary_key=True),
    Column("reason", String(40), primary_key=True),
    Column("hour", Moment, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("last_address", String(80), nullable=False),
    Index("ix_refused_deliveries_hour", "hour"),
)
"""How many deliveries were refused in each hour, and why."""

triggers = Table(
    "triggers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE")),
    Column("definition", JSON, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Index(
        "uq_triggers_alone",
        "owner",
        "name",
        unique=True,
        sqlite_where=text("environment_id IS NULL"),
        postgresql_where=text("environment_id IS NULL"),
    ),
    Index(
        "uq_triggers_on_environment",
        "environment_id",
        "name",
        unique=True,
        sqlite_where=text("environment_id IS NOT NULL"),
        postgresql_where=text("environment_id IS NOT NULL"),
    ),
    Index("ix_triggers_created_at", "created_at", "id"),
)
"""Triggers that stand alone or on an environment; those of templates stand in their bundles."""

firings = Table(
    "firings",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("event_id", String(40), ForeignKey("received_events.id", ondelete="CASCADE"), nullable=False),
    Column("trigger_id", String(200), nullable=False),
    Column("trigger_name", String(63), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("environment_id", String(40)),
    Column("target", String(40), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("action", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("due_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("deployment_id", String(40)),
    Column("hops", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("done_at", Moment),
    UniqueConstraint("event_id", "trigger_id", "target"),
    Index(
        "ix_firings_due_at",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("ix_firings_environment_id", "environment_id", "created_at"),
    Index("ix_firings_trigger_id", "trigger_id", "created_at"),
)
"""What triggers did because of an event, once for each event, trigger and target (the environment's id, or nothing).

`due_at`: None once it ended.
"""

webhooks = Table(
    "webhooks",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("address", String(500), nullable=False),
    Column("allowed", JSON, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("rotated_at", Moment),
    Column("last_at", Moment),
    Column("repositories", JSON, nullable=False, server_default="[]"),
)
"""Named addresses that take deliveries; their secrets are in OpenBao."""

webhook_users = Table(
    "webhook_users",
    metadata,
    Column("webhook", String(63), ForeignKey("webhooks.name", ondelete="CASCADE"), primary_key=True),
    Column("subject", String(310), primary_key=True),
    Index("ix_webhook_users_subject", "subject"),
)
"""Who may use a webhook, beside admins."""

previews = Table(
    "previews",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("trigger_id", String(40), nullable=False),
    Column("webhook", String(63), nullable=False),
    Column("repository", String(300), nullable=False),
    Column("number", Integer, nullable=False),
    Column("environment_id", String(40)),
    Column("environment", String(63), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("wanted", String(20), nullable=False),
    Column("head_sha", String(100), nullable=False),
    Column("applied_sha", String(100), nullable=False),
    Column("pull", JSON, nullable=False),
    Column("because", Text, nullable=False),
    Column("end_at", Moment),
    Column("look_at", Moment),
    Column("looked_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("fault", Text, nullable=False),
    Column("written", JSON, nullable=False),
    Column("closed_at", Moment),
    UniqueConstraint("trigger_id", "number"),
    Index(
        "ix_previews_look_at",
        "look_at",
        sqlite_where=text("look_at IS NOT NULL"),
        postgresql_where=text("look_at IS NOT NULL"),
    ),
    Index("ix_previews_environment_id", "environment_id"),
    Index("ix_previews_closed_at", "closed_at"),
)
"""Environments that triggers make of pull requests. `written` is what was written to the forge."""

source_cursors = Table(
    "source_cursors",
    metadata,
    Column("source", String(40), primary_key=True),
    Column("key", String(500), primary_key=True),
    Column("value", Text, nullable=False),
)
"""How far each source has been read."""

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Moment, nullable=False),
)
"""When each environment last said that it is in use."""
