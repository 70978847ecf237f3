"""The tables of environments, and of what happens to them; `catalogue_schema` has the others.

Every change of the two files comes with a migration; a test compares them.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from environments.stores.column_types import Long, Moment, Outputs, metadata

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
"""Failed, degraded, drifted, awaiting promotion, or held, and not ended: as `Drift.found` and its like say.

JSON escapes quotes in texts, so only keys are found. (A test of lists knows all of it.)
"""

environments = Table(
    "environments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("template", String(63), nullable=False),
    Column("template_version", String(100), nullable=False),
    Column("bundle", String(80), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("sealed", LargeBinary),
    Column("state", String(20), nullable=False),
    Column("state_since", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("deadline", Moment),
    Column("maximum_deadline", Moment),
    Column("warned", Boolean, nullable=False),
    Column("warn_at", Moment),
    Column("outputs", Outputs, nullable=False),
    Column("failure", JSON),
    Column("destroy_attempts", Integer, nullable=False),
    Column("destroy_again_at", Moment),
    Column("destroyed_at", Moment),
    Column("managed_by", String(200)),
    Column("last_good", String(40)),
    Column("drift", JSON(none_as_null=True)),
    Column("observe_at", Moment),
    Column("awaiting_promotion", JSON, nullable=False, server_default="[]"),
    Column("degraded", JSON, nullable=False, server_default="[]"),
    Column("network", String(10), nullable=False, server_default="bridge"),
    Column("host_network_bundle", String(80)),
    Column("deadline_because", JSON(none_as_null=True)),
    Column("set_deadline", Moment),
    Column("set_because", JSON(none_as_null=True)),
    Column("rules", JSON, nullable=False, server_default="[]"),
    Column("rules_from", Moment),
    Column("template_rules_from", Moment),
    Column("switch_at", Moment),
    Column("switch_action", String(10)),
    Column("switches_from", Moment),
    Column("switch_again_at", Moment),
    Column("switch_attempts", Integer, nullable=False, server_default="0"),
    Column("template_maximum", Moment),
    Column("pin", JSON(none_as_null=True)),
    Column("retime_because", String(300)),
    Column("retime_kept", Boolean, nullable=False, server_default=false()),
    Column("deadline_moves", Integer, nullable=False, server_default="0"),
    Column("warned_at", Moment),
    Column("hold_id", String(40)),
    Column("hold_released", Boolean, nullable=False, server_default=false()),
    Column("attention", Boolean, Computed(_ATTENTION)),
    Index(
        "uq_environments_live_name",
        "name",
        unique=True,
        sqlite_where=text("destroyed_at IS NULL"),
        postgresql_where=text("destroyed_at IS NULL"),
    ),
    Index("ix_environments_state_deadline", "state", "deadline"),
    Index("ix_environments_state_observe_at", "state", "observe_at"),
    Index("ix_environments_deadline", "deadline"),
    Index("ix_environments_warn_at", "warn_at"),
    Index("ix_environments_switch_at", "switch_at"),
    Index("ix_environments_switch_again_at", "switch_again_at"),
    Index(
        "ix_environments_retime",
        "id",
        sqlite_where=text("retime_because IS NOT NULL"),
        postgresql_where=text("retime_because IS NOT NULL"),
    ),
    Index("ix_environments_created_at", "created_at", "id"),
    Index("ix_environments_name", "name"),
    Index("ix_environments_owner", "owner"),
    Index("ix_environments_hold_id", "hold_id"),
    # All that overviews count by: rows are large.
    Index(
        "ix_environments_live",
        "attention",
        "state",
        "owner",
        "template",
        "name",
        "deadline",
        "id",
        sqlite_where=text("destroyed_at IS NULL"),
        postgresql_where=text("destroyed_at IS NULL"),
    ),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column(
        "environment_id",
        String(40),
        ForeignKey("environments.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", String(200), nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("bundle", String(80), nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("superseded", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("worker", String(100)),
    Column("lease_until", Double, nullable=False),
    Column("failure", JSON),
    Column("template", String(63), nullable=False, server_default=""),
    Column("parameters", JSON, nullable=False, server_default="{}"),
    Column("plan_id", String(40)),
    Column("rollback_to", String(40)),
    Column("by_machine", Boolean, nullable=False, server_default=false()),
    Column("template_limit", Integer),
    Column("cancel_requested_at", Moment),
    Column("cancel_requested_by", String(200)),
    Column("cancel_forced", Boolean, nullable=False, server_default=false()),
    Column("run_again", JSON, nullable=False, server_default="{}"),
    Column("because", JSON(none_as_null=True)),
    Column("hops", Integer, nullable=False, server_default="0"),
    Index("ix_deployments_environment_id", "environment_id", "requested_at"),
    Index("ix_deployments_state", "state", "kind"),
    Index("ix_deployments_requested_at", "requested_at"),
    Index(
        "ix_deployments_template",
        "template",
        "requested_at",
        sqlite_where=text("kind = 'create' AND state = 'succeeded'"),
        postgresql_where=text("kind = 'create' AND state = 'succeeded'"),
    ),
    Index(
        "uq_deployments_running",
        "environment_id",
        unique=True,
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

owner_turns = Table(
    "owner_turns",
    metadata,
    Column("lane", String(10), primary_key=True),
    Column("owner", String(200), primary_key=True),
    Column("turn", Integer, nullable=False),
)
"""The order in which owners last started a deployment, by lane: the smallest turn has waited longest."""

plans = Table(
    "plans",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("environment_id", String(40), nullable=False),
    Column("content", JSON, nullable=False),
    Column("sealed", LargeBinary),
    Column("expires_at", Moment, nullable=False),
    Column("used_by", String(40)),
    Index("ix_plans_expires_at", "expires_at"),
)
"""Saved plans; `sealed` are the encrypted secret parameters of the request. One of a create has no environment yet."""

workers = Table(
    "workers",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("host", String(200), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(100), nullable=False),
    Column("slots", JSON, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("lease_until", Double, nullable=False),
)
"""Each start of a worker that wrote a heartbeat lately; `lease_until` by the database's clock."""

module_states = Table(
    "module_states",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE"), nullable=False),
    Column("step", String(63), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("deployment_id", String(40), nullable=False),
    Column("worker", String(100), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("written_at", Moment, nullable=False),
    Column("refused", Text),
    Index("ix_module_states_environment_id", "environment_id", "step", "id"),
)
"""Every version of the state of an OpenTofu module, encrypted by it. `refused`: why it is kept aside."""

module_locks = Table(
    "module_locks",
    metadata,
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True),
    Column("step", String(63), primary_key=True),
    Column("lock_id", String(200), nullable=False),
    Column("info", JSON, nullable=False),
    Column("deployment_id", String(40), nullable=False),
    Column("worker", String(100), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("locked_at", Moment, nullable=False),
)
"""Locks on those states, each held under the lease of a deployment."""

module_kits = Table(
    "module_kits",
    metadata,
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True),
    Column("step", String(63), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("written_at", Moment, nullable=False),
)
"""Files and variables that an OpenTofu module was last run with, encrypted with its environment's key: for destroy."""

steps = Table(
    "steps",
    metadata,
    Column(
        "deployment_id",
        String(40),
        ForeignKey("deployments.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("name", String(63), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("uses", String(63), nullable=False),
    Column("needs", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("outputs", Outputs, nullable=False),
    Column("inputs", String(64), nullable=False, server_default=""),
    Column("failure", JSON),
)

resources = Table(
    "resources",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "environment_id",
        String(40),
        ForeignKey("environments.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("kind", String(63), nullable=False),
    Column("address", Text, nullable=False),
    Column("step", String(63)),
    Column("rank", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("finished", JSON(none_as_null=True)),
    UniqueConstraint("environment_id", "kind", "address"),
)
"""`finished`: what the inputs of something that ends by itself were when it last ran to its end; see `Inventory`."""

events = Table(
    "events",
    metadata,
    Column("id", Long, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("type", String(40), nullable=False),
    Column(
        "environment_id",
        String(40),
        ForeignKey("environments.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("deployment_id", String(40)),
    Column("step", String(63)),
    Column("message", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_events_environment_id", "environment_id", "id"),
    Index("ix_events_at", "at"),
    # Most events are log lines: what happened to an environment is found without reading them.
    Index(
        "ix_events_told",
        "environment_id",
        "id",
        sqlite_where=text("type != 'log'"),
        postgresql_where=text("type != 'log'"),
    ),
    sqlite_autoincrement=True,
)
"""Ids are never reused (autoincrement), so a reader can continue after the last one that it saw."""

warnings = Table(
    "warnings",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE"), nullable=False),
    Column("deadline", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("channel", String(20), nullable=False),
    Column("recipient", String(320), nullable=False),
    Column("queued_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try", Moment),
    Column("delivered_at", Moment),
    Column("fault", Text, nullable=False),
    Column("awaited_since", Moment),
    Column("link_used_at", Moment),
    Column("deadline_moves", Integer, nullable=False, server_default="0"),
    Column("notice", Text, nullable=False, server_default=""),
    UniqueConstraint("environment_id", "deadline", "due_at", "channel", "recipient"),
    Index("ix_warnings_next_try", "next_try"),
)
"""The outbox of warnings: see `environments.service.storage.warnings`."""

entry_points = Table(
    "entry_points",
    metadata,
    Column(
        "environment_id",
        String(40),
        ForeignKey("environments.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("service", String(63), primary_key=True),
)
"""Services that the edges make reachable."""

edges = Table(
    "edges",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("seen_at", Moment, nullable=False),
    Column("routes", JSON, nullable=False),
)
"""What each edge serves, as it said last."""
