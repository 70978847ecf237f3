"""People, groups, roles and shares; tokens say what they are and what they are limited to."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0022"
down_revision = "0021"

_OWNERS = (("environments", "owner", "1 = 1"), ("tokens", "owner", "1 = 1"), ("policies", "name", "scope = 'owner'"))
"""Where early versions keep names of owners: table, column, which rows."""

_ADMINS = ("made by deploy", "made by the first start")
"""Notes of the tokens with which somebody gets in before there are people."""


def upgrade() -> None:
    """Adds the tables; each owner so far keeps the name as an unclaimed one, so that nobody else can get it."""
    _tables()
    op.add_column("tokens", sa.Column("kind", sa.String(20), nullable=False, server_default="token"))
    op.add_column("tokens", sa.Column("scope", sa.JSON(none_as_null=True)))
    op.add_column("tokens", sa.Column("idle_seconds", sa.Integer()))
    op.add_column("tokens", sa.Column("address", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_tokens_owner", "tokens", ["owner"])
    op.create_index("ix_environments_owner", "environments", ["owner"])
    op.execute("INSERT INTO access_changes (id, count) VALUES (1, 0)")
    for note in _ADMINS:
        op.execute(
            sa.text(
                "UPDATE tokens SET kind = 'local_admin' WHERE role = 'admin' AND parent_id IS NULL AND note = :note"
            ).bindparams(note=note)
        )
    _keep_owners()


def _keep_owners() -> None:
    bind = op.get_bind()
    found: set[str] = set()
    for table, column, which in _OWNERS:
        names = bind.execute(sa.text(f"SELECT DISTINCT {column} FROM {table} WHERE {which}")).scalars().all()  # noqa: S608
        for name in names:
            kept = name
            if name == "everyone" or name.startswith("group:"):  # these have a meaning of their own now
                kept = f"owner {name}"
                bind.execute(
                    sa.text(f"UPDATE {table} SET {column} = :kept WHERE {which} AND {column} = :name"),  # noqa: S608
                    {"kept": kept[:200], "name": name},
                )
            found.add(kept[:200])
    people = sa.table("people", *(sa.column(name) for name in _PLAIN), sa.column("created_at", Moment))
    now = datetime.now(UTC)
    for name in sorted(found):
        row = dict.fromkeys(_PLAIN, "") | {"name": name, "kind": "unclaimed", "claim_role": "user", "created_at": now}
        bind.execute(people.insert().values(**row))


_PLAIN = (
    "name", "kind", "display_name", "email", "claim_role", "created_by", "disabled_by", "successor", "responsible",
    "became", "note",
)  # fmt: skip


def _tables() -> None:
    op.create_table(
        "people",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("issuer", sa.String(500)),
        sa.Column("subject", sa.String(255)),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("claim_groups", sa.JSON(none_as_null=True)),
        sa.Column("claim_role", sa.String(10), nullable=False),
        sa.Column("signed_in_at", Moment),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("disabled_at", Moment),
        sa.Column("disabled_by", sa.String(200), nullable=False),
        sa.Column("successor", sa.String(210), nullable=False),
        sa.Column("responsible", sa.String(210), nullable=False),
        sa.Column("became", sa.String(200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_people")),
    )
    op.create_index("uq_people_identity", "people", ["issuer", "subject"], unique=True)
    op.create_table(
        "groups",
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("provider", sa.String(63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_groups")),
    )
    op.create_table(
        "memberships",
        sa.Column("group", sa.String(300), nullable=False),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("source", sa.String(10), nullable=False),
        sa.Column("since", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["group"], ["groups.name"], name=op.f("fk_memberships_group_groups"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group", "person", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_person", "memberships", ["person"])
    op.create_table(
        "shares",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("environment_id", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(310), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("reveal", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("until", Moment),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_shares_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
    )
    op.create_index("uq_shares_environment_subject", "shares", ["environment_id", "subject"], unique=True)
    op.create_index("ix_shares_subject", "shares", ["subject", "environment_id"])
    op.create_table(
        "service_roles",
        sa.Column("subject", sa.String(310), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("until", Moment),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_service_roles")),
    )
    op.create_table(
        "creators",
        sa.Column("template", sa.String(63), nullable=False),
        sa.Column("subject", sa.String(310), nullable=False),
        sa.Column("most", sa.Integer()),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("template", "subject", name=op.f("pk_creators")),
    )
    op.create_table(
        "access_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_changes")),
    )
