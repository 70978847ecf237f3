"""Lines of tokens: each was made with the one before it, and may never more, or for longer, than that one."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from environments.domain.access import PersonKind, ServiceRole, TokenRole, TokenScope
from environments.domain.errors import Forbidden, Unauthenticated
from environments.domain.tokens import RANDOM_BYTES, secret_hash, secret_prefix, token_secret
from environments.service.auditing import LOCAL_ADMIN
from environments.service.authorization import ROLES, Principal
from environments.service.records import NewToken
from environments.service.storage.people import Standing
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Transaction

LONGEST_LINE = 8
"""The longest chain of tokens in which each token was created with the one before. The last one can't create more."""


def fresh(id: str, owner: str, role: TokenRole, note: str, now: datetime) -> NewToken:
    """A new random token, not stored yet, without an end and without limits."""
    secret = token_secret(secrets.token_urlsafe(RANDOM_BYTES))
    token = TokenRecord(
        id=id,
        prefix=secret_prefix(secret),
        hash=secret_hash(secret),
        owner=owner,
        role=role,
        note=note,
        created_at=now,
        expires_at=None,
        revoked_at=None,
        last_used_at=None,
    )
    return NewToken(token, secret)


def child_of(line: Sequence[TokenRecord], token: TokenRecord, now: datetime) -> TokenRecord:
    """A new token as one that is made with the first of a line: it ends no later, and is limited to no more.

    Without a scope of its own it has that of its parent. Its role is limited when it is used, by the whole line: see
    `principal_of`. Raises `Forbidden`, and `Unauthenticated` when the parent is no longer valid.
    """
    parent = line[0]
    check_good(parent, "The token", now)
    if len(line) >= LONGEST_LINE:
        raise Forbidden(
            f"The token {parent.id!r} comes from {len(line) - 1} others that were created with one another.",
            hint="Create the token with an older one.",
        )
    scope = token.scope
    if parent.scope is not None:
        scope = _filled(scope or TokenScope(), parent.scope)
        if not scope.within(parent.scope):
            raise Forbidden(
                "The token would reach further than the one that it is made with.",
                hint="Name only actions, templates and environments that your own token is for.",
            )
    ends = [moment for moment in (token.expires_at, parent.expires_at) if moment is not None]
    return token._replace(parent_id=parent.id, scope=scope, expires_at=min(ends, default=None))


def principal_of(tx: Transaction, line: Sequence[TokenRecord], now: datetime) -> Principal:
    """Whom the first token of a line stands for. Raises `Unauthenticated`."""
    check_line(line, now)
    standings = {owner: tx.people.standing(owner, now) for owner in {one.owner for one in line}}
    for standing in standings.values():
        if standing.person is not None and standing.person.disabled_at is not None:
            raise Unauthenticated(f"{standing.person.name} is disabled.", hint="Ask an admin.")
    token = line[0]
    # At most the rights of its creator.
    role = min((_role(one, standings[one.owner]) for one in line), key=lambda role: role.rank)
    groups = standings[token.owner].groups
    return Principal(token.owner, ROLES[role], token.id, groups, token.scope, kind=token.kind, at=now)


def check_line(line: Sequence[TokenRecord], now: datetime) -> None:
    """Raises `Unauthenticated` unless all tokens of a line are valid, up to one that wasn't made with another."""
    if not line:
        raise Unauthenticated("The token is not known here.")
    check_good(line[0], "The token", now)
    for older in line[1:]:
        check_good(older, "The token that it was made with", now)
    if line[-1].parent_id is not None:
        raise Unauthenticated("The token that it was created with no longer exists.")


def check_good(token: TokenRecord, which: str, now: datetime) -> None:
    """Raises `Unauthenticated` for a token that has ended; `which` is how the sentence begins."""
    ended = token.ended(now)
    if ended:
        if token.kind == "session" and which == "The token":
            raise Unauthenticated(f"The session {ended}.", hint="Sign in again with `calvinverse login`.")
        raise Unauthenticated(f"{which} {ended}.")


def _role(token: TokenRecord, standing: Standing) -> ServiceRole:
    """The most that a token lets its owner do: by its own role alone for an unclaimed owner, who has no other."""
    if token.role == "own":
        return standing.role
    role = ServiceRole(token.role)
    person = standing.person
    if person is None or person.kind is PersonKind.UNCLAIMED or token.kind == LOCAL_ADMIN:
        return role
    return min(role, standing.role, key=lambda one: one.rank)


def _filled(scope: TokenScope, parent: TokenScope) -> TokenScope:
    """The scope with the parent's limits where it names none."""
    missing = {name: getattr(parent, name) for name in TokenScope.model_fields if getattr(scope, name) is None}
    return scope.model_copy(update=missing)
