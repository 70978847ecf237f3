"""The tables of people, groups, and what is shared with whom."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, false

from environments.stores.column_types import Moment, metadata

people = Table(
    "people",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("issuer", String(500)),
    Column("subject", String(255)),
    Column("display_name", String(200), nullable=False),
    Column("email", String(320), nullable=False),
    Column("claim_groups", JSON(none_as_null=True)),
    Column("claim_role", String(10), nullable=False),
    Column("signed_in_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("disabled_at", Moment),
    Column("disabled_by", String(200), nullable=False),
    Column("successor", String(210), nullable=False),
    Column("responsible", String(210), nullable=False),
    Column("became", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Index("uq_people_identity", "issuer", "subject", unique=True),
)
"""By user name, which is never given to anybody else; see `environments.domain.access.Person`."""

groups = Table(
    "groups",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("provider", String(63), nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String(200), nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("group", String(300), ForeignKey("groups.name", ondelete="CASCADE"), primary_key=True),
    Column("person", String(200), primary_key=True),
    Column("source", String(10), nullable=False),
    Column("since", Moment, nullable=False),
    Index("ix_memberships_person", "person"),
)

shares = Table(
    "shares",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("environment_id", String(40), ForeignKey("environments.id", ondelete="CASCADE"), nullable=False),
    Column("subject", String(310), nullable=False),
    Column("role", String(10), nullable=False),
    Column("reveal", Boolean, nullable=False, server_default=false()),
    Column("until", Moment),
    Column("by", String(200), nullable=False),
    Column("at", Moment, nullable=False),
    Index("uq_shares_environment_subject", "environment_id", "subject", unique=True),
    Index("ix_shares_subject", "subject", "environment_id"),
)

service_roles = Table(
    "service_roles",
    metadata,
    Column("subject", String(310), primary_key=True),
    Column("role", String(10), nullable=False),
    Column("until", Moment),
    Column("by", String(200), nullable=False),
    Column("at", Moment, nullable=False),
)

creators = Table(
    "creators",
    metadata,
    Column("template", String(63), primary_key=True),
    Column("subject", String(310), primary_key=True),
    Column("most", Integer),
    Column("by", String(200), nullable=False),
    Column("at", Moment, nullable=False),
)
"""Who may create from a template; from one without a row everybody may."""

access_changes = Table(
    "access_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
)
"""One row: how often people, groups, roles and shares have changed, so that open streams know when to look again."""
