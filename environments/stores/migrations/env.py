"""Alembic's entry: migrations run on the connection that the service has open already."""

from alembic import context

from environments.stores import (  # noqa: F401 - their tables register themselves
    audit_schema,
    catalogue_schema,
    events_schema,
    holds_schema,
    people_schema,
    schema,
    sign_in_schema,
)
from environments.stores.column_types import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
