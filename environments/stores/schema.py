"""The tables. Every change of this file comes with a migration; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from environments.domain.references import from_json, to_json


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone: it is taken off when written and put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses moments without a zone: they would be read in another one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """UTC again."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Outputs(TypeDecorator[Any]):
    """JSON whose values may be references to secrets."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """References as JSON."""
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """References again."""
        return from_json(value)


Long = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit number. SQLite's integers have 64 bits, and increment by themselves only by the name INTEGER."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

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
    Index("ix_environments_created_at", "created_at", "id"),
    Index("ix_environments_name", "name"),
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
    Index("ix_deployments_environment_id", "environment_id", "requested_at"),
    Index("ix_deployments_state", "state", "kind"),
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
    sqlite_autoincrement=True,
)
"""Ids are never reused (autoincrement), so a reader can continue after the last one that it saw."""

bundles = Table(
    "bundles",
    metadata,
    Column("digest", String(80), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

templates = Table(
    "templates",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(63), nullable=False),
    Column("digest", String(80), ForeignKey("bundles.digest"), nullable=False),
    Column("pushed_at", Moment, nullable=False),
    Column("pushed_by", String(200), nullable=False),
    Column("source", JSON(none_as_null=True)),
    Index("ix_templates_name", "name", "id"),
)
"""Every push, oldest first; the newest of a name is the one that new environments get."""

deleted_templates = Table(
    "deleted_templates",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(63), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("deleted_at", Moment, nullable=False),
    Column("deleted_by", String(200), nullable=False),
    Index("ix_deleted_templates_name", "name", "id"),
)
"""Every version that was taken out of the catalogue, oldest first. Its content may be gone: this is a record."""

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(63), nullable=False),
    Column("reference", String(400), nullable=False),
    Column("channel", String(63), nullable=False),
    Column("key", String(200), nullable=False),
    Column("build", String(200), nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("published_by", String(200), nullable=False),
    Column("withdrawn_at", Moment),
    Column("withdrawn_by", String(200)),
    Index("ix_images_name", "name", "id"),
)
"""Every image that was published, oldest first; the newest of a name is the one that deployments get."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("prefix", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("role", String(10), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
    Column("parent_id", String(40)),
    UniqueConstraint("prefix"),
    Index("ix_tokens_parent_id", "parent_id"),
)
"""`parent_id`: the token that it was made with, and with which it ends."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("token_id", String(40), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("environment_id", String(40), nullable=False),
    Column("deployment_id", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
)
