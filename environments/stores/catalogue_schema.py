"""The tables of templates, images and tokens, and of the requests that a key repeats.

Every change of this file comes with a migration; a test compares the two.
"""

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from environments.stores.column_types import Moment, metadata

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
    Column("kind", String(20), nullable=False, server_default="token"),
    Column("scope", JSON(none_as_null=True)),
    Column("idle_seconds", Integer),
    Column("address", String(64), nullable=False, server_default=""),
    Column("made_by", String(200), nullable=False, server_default=""),
    UniqueConstraint("prefix"),
    Index("ix_tokens_parent_id", "parent_id"),
    Index("ix_tokens_owner", "owner"),
    Index("ix_tokens_made_by", "made_by"),
)
"""`parent_id`: the token that it was made with, and with which it ends. `idle_seconds`: it ends unused by then."""

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
