"""The tables of holds. Every change of this file comes with a migration; a test compares the two."""

from sqlalchemy import Column, Double, Index, Integer, String, Table, Text, text

from environments.stores.column_types import Moment, metadata

holds = Table(
    "holds",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("cause", String(200), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision", String(20)),
    Column("decided_at", Moment),
    Column("decided_by", String(200), nullable=False),
    Column("decision_reason", Text, nullable=False),
    Index(
        "uq_holds_open_kind",
        "kind",
        unique=True,
        sqlite_where=text("decided_at IS NULL"),
        postgresql_where=text("decided_at IS NULL"),
    ),
    Index("ix_holds_opened_at", "opened_at", "id"),
)
"""Pauses of destroys by the clock. Environments name the hold that holds their deadline."""

clock_marks = Table(
    "clock_marks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("boot", String(80), nullable=False),
    Column("steady", Double, nullable=False),
    Column("at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("beats", Integer, nullable=False),
    Column("database", String(120), nullable=False),
    Column("restored_at", Moment),
)
"""One row: what the leader last wrote about its clocks and about this database."""
