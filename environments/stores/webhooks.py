"""Webhooks."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select

from environments.domain.errors import NameTaken
from environments.domain.webhook_use import WebhookUse
from environments.service.pages import Page
from environments.service.storage.webhooks import Webhook
from environments.stores.events_schema import webhook_users
from environments.stores.events_schema import webhooks as table
from environments.stores.once import insert_once
from environments.stores.paging import read_page


class SqlWebhooks:
    """See `environments.service.storage.webhooks.Webhooks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, webhook: Webhook, users: Collection[str] = ()) -> None:
        row = asdict(webhook) | {"allowed": list(webhook.allowed), "repositories": list(webhook.repositories)}
        if not insert_once(self._connection, table, [row]):
            raise NameTaken(f"There is a webhook {webhook.name!r} already.", hint="Choose another name, or delete it.")
        self.set_users(webhook.name, users)

    def get(self, name: str) -> Webhook | None:
        row = self._connection.execute(select(table).where(table.c.name == name)).one_or_none()
        return None if row is None else _webhook(row)

    def all(self, *, after: str = "", limit: int | None = None) -> Page[Webhook]:
        query = select(table).where(table.c.name > after).order_by(table.c.name)
        return read_page(self._connection, query, limit).each(_webhook)

    def change(self, name: str, **values: Any) -> None:
        written = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        self._connection.execute(table.update().where(table.c.name == name).values(**written))

    def use(self, name: str) -> WebhookUse | None:
        return self.uses([name]).get(name)

    def uses(self, names: Collection[str] | None = None) -> Mapping[str, WebhookUse]:
        query = (
            select(table.c.name, table.c.repositories, webhook_users.c.subject)
            .outerjoin(webhook_users, webhook_users.c.webhook == table.c.name)
            .order_by(table.c.name, webhook_users.c.subject)
        )
        if names is not None:
            query = query.where(table.c.name.in_(sorted(names)))
        found: dict[str, WebhookUse] = {}
        for row in self._connection.execute(query):
            users = found[row.name].users if row.name in found else ()
            one = () if row.subject is None else (row.subject,)
            found[row.name] = WebhookUse(users=(*users, *one), repositories=tuple(row.repositories))
        return found

    def set_users(self, name: str, users: Collection[str]) -> None:
        self._connection.execute(webhook_users.delete().where(webhook_users.c.webhook == name))
        if users:
            rows = [{"webhook": name, "subject": subject} for subject in sorted(set(users))]
            self._connection.execute(webhook_users.insert(), rows)

    def remove(self, name: str) -> bool:
        self.set_users(name, ())
        return self._connection.execute(table.delete().where(table.c.name == name)).rowcount > 0


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**{**row._mapping, "allowed": tuple(row.allowed), "repositories": tuple(row.repositories)})
