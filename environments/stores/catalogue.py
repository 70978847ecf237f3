"""Templates and their bundles, images, tokens, and idempotency keys."""

import base64
import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, literal, or_, select

from environments.domain.access import TokenScope
from environments.domain.template import Bundle
from environments.service.pages import Page
from environments.service.storage.plans import KnownRequest
from environments.service.storage.templates import CreateTimes, DeletedTemplate, PublishedImage, PushedTemplate
from environments.service.storage.tokens import TokenRecord
from environments.stores.catalogue_schema import bundles, deleted_templates, idempotency, images, templates, tokens
from environments.stores.locks import Locks
from environments.stores.paging import older_than, read_page
from environments.stores.template_times import create_times


class SqlTemplates:
    """See `environments.service.storage.templates.Templates`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def push(self, name: str, bundle: Bundle, by: str, now: datetime, source: dict[str, str] | None = None) -> None:
        digest = bundle.digest
        self._locks.text(f"bundle {digest}")
        if self._connection.execute(select(bundles.c.digest).where(bundles.c.digest == digest)).one_or_none() is None:
            content = {path: base64.b64encode(data).decode() for path, data in sorted(bundle.files.items())}
            self._connection.execute(bundles.insert().values(digest=digest, content=json.dumps(content).encode()))
        self._connection.execute(
            templates.insert().values(name=name, digest=digest, pushed_at=now, pushed_by=by, source=source)
        )

    def newest(self, *, after: str = "", limit: int | None = None) -> Page[PushedTemplate]:
        latest = select(func.max(templates.c.id)).where(templates.c.name > after).group_by(templates.c.name)
        query = select(templates).where(templates.c.id.in_(latest)).order_by(templates.c.name)
        return read_page(self._connection, query, limit).each(_pushed)

    def find(self, name: str, digest: str | None) -> PushedTemplate | None:
        query = select(templates).where(templates.c.name == name).order_by(templates.c.id.desc()).limit(1)
        if digest is not None:
            query = query.where(templates.c.digest == digest)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _pushed(row)

    def pushes(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PushedTemplate]:
        query = select(templates).where(templates.c.name == name).order_by(templates.c.id.desc())
        return read_page(self._connection, query.offset(skip or None), limit).each(_pushed)

    def hold(self, name: str) -> None:
        self._locks.text(f"template {name}")

    def delete(self, name: str, digest: str | None, by: str, now: datetime) -> list[str]:
        chosen = templates.c.name == name
        if digest is not None:
            chosen &= templates.c.digest == digest
        query = select(templates.c.digest).where(chosen).order_by(templates.c.id.desc())
        found = list(dict.fromkeys(self._connection.execute(query).scalars()))
        self._connection.execute(templates.delete().where(chosen))
        for gone in reversed(found):
            row = {"name": name, "digest": gone, "deleted_at": now, "deleted_by": by}
            self._connection.execute(deleted_templates.insert().values(**row))
        return found

    def deleted(self, name: str, digest: str | None) -> list[DeletedTemplate]:
        query = select(deleted_templates).where(deleted_templates.c.name == name)
        if digest is not None:
            query = query.where(deleted_templates.c.digest == digest)
        found: dict[str, DeletedTemplate] = {}
        for row in self._connection.execute(query.order_by(deleted_templates.c.id.desc())):
            found.setdefault(row.digest, DeletedTemplate(row.name, row.digest, row.deleted_at, row.deleted_by))
        return list(found.values())

    def create_times(self, name: str) -> CreateTimes | None:
        return create_times(self._connection, name)

    def bundle(self, digest: str) -> Bundle | None:
        content = self._connection.execute(
            select(bundles.c.content).where(bundles.c.digest == digest)
        ).scalar_one_or_none()
        if content is None:
            return None
        return Bundle(files={path: base64.b64decode(data) for path, data in json.loads(content).items()})


def _pushed(row: Row[Any]) -> PushedTemplate:
    return PushedTemplate(row.name, row.digest, row.pushed_at, row.pushed_by, row.source)


class SqlImages:
    """See `environments.service.storage.templates.Images`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def publish(self, image: PublishedImage) -> None:
        self._connection.execute(images.insert().values(**image._asdict()))

    def current(self, *, after: str = "", limit: int | None = None) -> Page[PublishedImage]:
        latest = select(func.max(images.c.id)).where(images.c.name > after).group_by(images.c.name)
        query = select(images).where(images.c.id.in_(latest), images.c.withdrawn_at.is_(None))
        return read_page(self._connection, query.order_by(images.c.name), limit).each(_published)

    def history(self, name: str, *, limit: int | None = None, skip: int = 0) -> Page[PublishedImage]:
        query = select(images).where(images.c.name == name).order_by(images.c.id.desc())
        return read_page(self._connection, query.offset(skip or None), limit).each(_published)

    def withdraw(self, name: str, by: str, now: datetime) -> None:
        newest = select(func.max(images.c.id)).where(images.c.name == name).scalar_subquery()
        self._connection.execute(images.update().where(images.c.id == newest).values(withdrawn_at=now, withdrawn_by=by))


def _published(row: Row[Any]) -> PublishedImage:
    return PublishedImage(**{name: row._mapping[name] for name in PublishedImage._fields})


def _line() -> Select[Any]:
    """The token of the parameter `token`, the one that it was made with, and so on, at most `longest`."""
    line = (
        select(tokens.c.id, tokens.c.parent_id, literal(1).label("place"))
        .where(tokens.c.id == bindparam("token"))
        .cte("line", recursive=True)
    )
    older = tokens.alias("older")
    line = line.union_all(
        select(older.c.id, older.c.parent_id, line.c.place + 1).where(
            older.c.id == line.c.parent_id, line.c.place < bindparam("longest")
        )
    )
    return select(tokens).join(line, line.c.id == tokens.c.id).order_by(line.c.place)


_LINE = _line()
"""Built once: nearly every request runs it, and building it takes longer than running it."""


def _made_with(token_id: str) -> Select[Any]:
    """The ids of a token and of all that were made with it, and so on."""
    ended = select(tokens.c.id).where(tokens.c.id == token_id).cte("ended", recursive=True)
    younger = tokens.alias("younger")
    # UNION and not UNION ALL, so that the query ends even if there were a cycle.
    ended = ended.union(select(younger.c.id).where(younger.c.parent_id == ended.c.id))
    return select(ended.c.id)


def _token(row: Row[Any]) -> TokenRecord:
    found = TokenRecord(**row._mapping)
    return found if found.scope is None else found._replace(scope=TokenScope.model_validate(found.scope))


_BY_PREFIX = select(tokens).where(tokens.c.prefix == bindparam("prefix"))
"""Each request asks this; making a query takes longer than its answer."""


class SqlTokens:
    """See `environments.service.storage.tokens.Tokens`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def add(self, token: TokenRecord) -> None:
        self._locks.text(f"token {token.id}")
        self._connection.execute(tokens.delete().where(tokens.c.id == token.id))
        scope = None if token.scope is None else token.scope.model_dump(mode="json")
        self._connection.execute(tokens.insert().values(**token._asdict() | {"scope": scope}))

    def by_prefix(self, prefix: str) -> TokenRecord | None:
        row = self._connection.execute(_BY_PREFIX, {"prefix": prefix}).one_or_none()
        return None if row is None else _token(row)

    def all(self, owner: str | None, *, limit: int | None = None, before: str | None = None) -> Page[TokenRecord]:
        query = select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id.desc())
        seen = [] if owner is None else [tokens.c.owner == owner]
        query = query.where(*seen)
        if before is not None:
            query = query.where(older_than(self._connection, tokens, "created_at", before, "token", *seen))
        return read_page(self._connection, query, limit).each(_token)

    def living(self, owner: str, now: datetime) -> list[TokenRecord]:
        self._locks.text(f"tokens of {owner}")
        query = select(tokens).where(
            tokens.c.owner == owner,
            tokens.c.revoked_at.is_(None),
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        )
        query = query.order_by(func.coalesce(tokens.c.last_used_at, tokens.c.created_at), tokens.c.id)
        return [_token(row) for row in self._connection.execute(query)]

    def line(self, token_id: str, longest: int) -> list[TokenRecord]:
        found = self._connection.execute(_LINE, {"token": token_id, "longest": longest})
        return [_token(row) for row in found]

    def of(self, owner: str, kind: str) -> list[TokenRecord]:
        query = select(tokens).where(tokens.c.owner == owner, tokens.c.kind == kind)
        query = query.order_by(tokens.c.created_at.desc(), tokens.c.id.desc())
        return [_token(row) for row in self._connection.execute(query)]

    def revoke_all(self, owner: str, now: datetime) -> list[str]:
        own = select(tokens.c.id).where(
            or_(tokens.c.owner == owner, tokens.c.made_by == owner), tokens.c.revoked_at.is_(None)
        )
        ended: set[str] = set()
        for token_id in self._connection.execute(own).scalars().all():
            ended.update(self.made_with(token_id))
            self.revoke(token_id, now)
        return sorted(ended)

    def used(self, token_id: str, now: datetime) -> None:
        self._connection.execute(tokens.update().where(tokens.c.id == token_id).values(last_used_at=now))

    def made_with(self, token_id: str) -> list[str]:
        return list(self._connection.execute(_made_with(token_id)).scalars()) or [token_id]

    def revoke(self, token_id: str, now: datetime) -> TokenRecord | None:
        self._connection.execute(
            tokens.update()
            .where(tokens.c.id.in_(_made_with(token_id)))
            .values(revoked_at=func.coalesce(tokens.c.revoked_at, now))
        )
        row = self._connection.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
        return None if row is None else _token(row)


class SqlRequests:
    """See `environments.service.storage.plans.Requests`."""

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._locks = locks

    def find(self, token_id: str, key: str) -> KnownRequest | None:
        self._locks.text(f"{token_id} {key}")
        query = select(idempotency).where(idempotency.c.token_id == token_id, idempotency.c.key == key)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else KnownRequest(row.request_hash, row.environment_id, row.deployment_id)

    def add(self, token_id: str, key: str, request: KnownRequest, now: datetime) -> None:
        self._connection.execute(
            idempotency.insert().values(token_id=token_id, key=key, created_at=now, **request._asdict())
        )
