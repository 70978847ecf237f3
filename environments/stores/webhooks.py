"""Webhooks."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select

from environments.domain.errors import NameTaken
from environments.service.pages import Page
from environments.service.storage.webhooks import Webhook
from environments.stores.events_schema import webhooks as table
from environments.stores.once import insert_once
from environments.stores.paging import read_page


class SqlWebhooks:
    """See `environments.service.storage.webhooks.Webhooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, webhook: Webhook) -> None:
        row = asdict(webhook) | {"allowed": list(webhook.allowed)}
        if not insert_once(self._connection, table, [row]):
            raise NameTaken(f"There is a webhook {webhook.name!r} already.", hint="Choose another name, or delete it.")

    def get(self, name: str) -> Webhook | None:
        row = self._connection.execute(select(table).where(table.c.name == name)).one_or_none()
        return None if row is None else _webhook(row)

    def all(self, *, after: str = "", limit: int | None = None) -> Page[Webhook]:
        query = select(table).where(table.c.name > after).order_by(table.c.name)
        return read_page(self._connection, query, limit).each(_webhook)

    def change(self, name: str, **values: Any) -> None:
        written = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        self._connection.execute(table.update().where(table.c.name == name).values(**written))

    def remove(self, name: str) -> bool:
        return self._connection.execute(table.delete().where(table.c.name == name)).rowcount > 0


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**{**row._mapping, "allowed": tuple(row.allowed)})
