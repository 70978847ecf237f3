"""The tables of signing in. Every change of this file comes with a migration; a test compares the two."""

from sqlalchemy import JSON, Column, Index, Integer, String, Table, UniqueConstraint

from environments.stores.column_types import Moment, metadata

used_identity_tokens = Table(
    "used_identity_tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("expires_at", Moment, nullable=False),
    Index("ix_used_identity_tokens_expires_at", "expires_at"),
)
"""Identity tokens that a session was given for: each is good once."""

device_grants = Table(
    "device_grants",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("device_hash", String(64), nullable=False),
    Column("user_hash", String(64), nullable=False),
    Column("machine", String(200), nullable=False),
    Column("address", String(64), nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("interval", Integer, nullable=False),
    Column("polled_at", Moment),
    Column("state", String(10), nullable=False),
    Column("person", String(200), nullable=False),
    Column("decided_at", Moment),
    Column("until", Moment),
    UniqueConstraint("device_hash"),
    UniqueConstraint("user_hash"),
    Index("ix_device_grants_expires_at", "expires_at"),
)

claim_reports = Table(
    "claim_reports",
    metadata,
    Column("person", String(200), primary_key=True),
    Column("report", JSON, nullable=False),
    Column("at", Moment, nullable=False),
)
"""What claims came with each person's last sign-in, and what the rules made of them."""
