"""The tables of the audit log. Every change of this file comes with a migration; a test compares the two."""

from sqlalchemy import Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from environments.stores.column_types import Long, Moment, metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Long, primary_key=True, autoincrement=True),
    Column("position", Long),
    Column("previous", String(64)),
    Column("hash", String(64)),
    Column("seal", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("action", String(80), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("actor_kind", String(40), nullable=False),
    Column("role", String(20), nullable=False),
    Column("token_id", String(80), nullable=False),
    Column("behalf", String(200), nullable=False),
    Column("address", String(80), nullable=False),
    Column("request", String(300), nullable=False),
    Column("object_kind", String(40), nullable=False),
    Column("object_id", String(200), nullable=False),
    Column("object_name", String(200), nullable=False),
    Column("template", String(200), nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("outcome", String(20), nullable=False),
    Column("code", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("count", Integer, nullable=False),
    UniqueConstraint("position"),
    Index("ix_audit_unchained", "id", sqlite_where=text("position IS NULL"), postgresql_where=text("position IS NULL")),
    Index("ix_audit_at", "at"),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_object_id", "object_id", "id"),
    sqlite_autoincrement=True,
)
"""Entries. `seal` covers an entry from when it is written; `hash` also its place in the chain, once it has one.

`before` and `after` are the text of a JSON object, as it is sealed. Ids are never used twice.
"""

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("position", Long, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("pruned", Long, nullable=False),
    Column("at", Moment, nullable=False),
    Column("seal", String(64), nullable=False),
)
"""One row once entries were pruned: the last one that was."""
