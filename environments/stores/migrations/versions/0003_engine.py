"""What the engine needs: plans, workers, states of modules, cancels, drift, sources of templates."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from environments.stores.column_types import Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds columns and tables."""
    for column in (
        sa.Column("last_good", sa.String(length=40)),
        sa.Column("drift", sa.JSON(none_as_null=True)),
        sa.Column("observe_at", Moment),
    ):
        op.add_column("environments", column)
    new: list[sa.Column[Any]] = [
        sa.Column("template", sa.String(length=63), nullable=False, server_default=""),
        sa.Column("parameters", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("plan_id", sa.String(length=40)),
        sa.Column("rollback_to", sa.String(length=40)),
        sa.Column("by_machine", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("template_limit", sa.Integer()),
        sa.Column("cancel_requested_at", Moment),
        sa.Column("cancel_requested_by", sa.String(length=200)),
        sa.Column("cancel_forced", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]
    for added in new:
        op.add_column("deployments", added)
    op.add_column("steps", sa.Column("inputs", sa.String(length=64), nullable=False, server_default=""))
    op.drop_index("ix_environments_created_at", table_name="environments")
    op.create_index("ix_environments_created_at", "environments", ["created_at", "id"], unique=False)
    op.create_index("ix_environments_name", "environments", ["name"], unique=False)
    op.create_index("ix_environments_deadline", "environments", ["deadline"], unique=False)
    op.create_index("ix_environments_state_observe_at", "environments", ["state", "observe_at"], unique=False)
    op.drop_index("ix_deployments_state", table_name="deployments")
    op.create_index("ix_deployments_state", "deployments", ["state", "kind"], unique=False)
    op.create_index(
        "uq_deployments_running",
        "deployments",
        ["environment_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "owner_turns",
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "owner", name=op.f("pk_owner_turns")),
    )
    op.add_column("templates", sa.Column("source", sa.JSON(none_as_null=True)))
    op.create_table(
        "plans",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("used_by", sa.String(length=40)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
    )
    op.create_index("ix_plans_expires_at", "plans", ["expires_at"], unique=False)
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("slots", sa.JSON(), nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("seen_at", Moment, nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "module_states",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=63), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=False),
        sa.Column("worker", sa.String(length=100), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("written_at", Moment, nullable=False),
        sa.Column("refused", sa.Text()),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_module_states_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_module_states")),
    )
    op.create_index("ix_module_states_environment_id", "module_states", ["environment_id", "step", "id"], unique=False)
    op.create_table(
        "module_locks",
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=63), nullable=False),
        sa.Column("lock_id", sa.String(length=200), nullable=False),
        sa.Column("info", sa.JSON(), nullable=False),
        sa.Column("deployment_id", sa.String(length=40), nullable=False),
        sa.Column("worker", sa.String(length=100), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("locked_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_module_locks_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment_id", "step", name=op.f("pk_module_locks")),
    )
    op.create_table(
        "module_kits",
        sa.Column("environment_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=63), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_module_kits_environment_id_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("environment_id", "step", name=op.f("pk_module_kits")),
    )
