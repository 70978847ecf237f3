"""Tokens: random, stored as hashes. A token's owner owns what is created with it.

A token that was created with another token becomes invalid together with that token.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import cast

from environments.domain.deadline import parse_duration
from environments.domain.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.domain.tokens import RANDOM_BYTES, secret_hash, secret_prefix, token_secret
from environments.service.allowances import check_tokens
from environments.service.authorization import Principal, Role, check_new_token, sees
from environments.service.pages import Page
from environments.service.records import NewToken
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Storage

_USE_NOTED_EVERY = timedelta(minutes=1)

LONGEST_LINE = 8
"""The longest chain of tokens in which each token was created with the one before. The last one can't create more."""

_RANKS = ("user", "admin")


class Access:
    """Makes, checks and revokes tokens."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self.on_revoked: list[Callable[[frozenset[str]], None]] = []
        """Called with the ids of tokens that were just revoked, in the thread that revoked them."""

    def authenticate(self, bearer: str) -> Principal:
        """The principal of a token.

        Raises `Unauthenticated`, also when a token from which it descends is no longer valid.
        """
        now = self._clock()
        with self._storage.read() as tx:
            token = tx.tokens.by_prefix(secret_prefix(bearer))
            line = [] if token is None or token.parent_id is None else tx.tokens.line(token.id, LONGEST_LINE)[1:]
        if token is None or not hmac.compare_digest(token.hash, secret_hash(bearer)):
            raise Unauthenticated("The token is not known here.")
        _check_good(token, "The token", now)
        for older in line:
            _check_good(older, "The token that it was made with", now)
        if (line[-1] if line else token).parent_id is not None:
            raise Unauthenticated("The token that it was created with no longer exists.")
        if token.last_used_at is None or now - token.last_used_at >= _USE_NOTED_EVERY:
            with self._storage.write() as tx:
                tx.tokens.used(token.id, now)
        role = min((one.role for one in (token, *line)), key=_RANKS.index)  # at most the rights of its creator
        return Principal(token.owner, cast(Role, role), token.id)

    def create_token(
        self, principal: Principal, owner: str, role: Role = "user", *, note: str = "", ttl: str | None = None
    ) -> NewToken:
        """Creates a token; only an admin may create tokens for others, or tokens with the role admin.

        The token expires no later than the token that creates it, and is revoked together with that token. Raises
        `Forbidden`, `InvalidInput`, `TooManyRequests`, and `Unauthenticated` when the creating token is no longer
        valid.
        """
        check_new_token(principal, owner, role)
        if not owner.strip():
            raise InvalidInput("The owner's name is empty.")
        now = self._clock()
        expires = None if ttl is None else now + parse_duration(ttl)
        secret = token_secret(secrets.token_urlsafe(RANDOM_BYTES))
        token = self._make(secret, owner.strip(), role, note, now)
        with self._storage.write() as tx:
            check_tokens(tx, token.owner, now)
            # Callers inside this process, such as the code that pushes shipped templates, have no token.
            line = tx.tokens.line(principal.token_id, LONGEST_LINE)
            if line:
                parent = line[0]
                _check_good(parent, "The token", now)
                if len(line) >= LONGEST_LINE:
                    raise Forbidden(
                        f"The token {parent.id!r} comes from {len(line) - 1} others that were created with one "
                        "another.",
                        hint="Create the token with an older one.",
                    )
                expires = min((moment for moment in (expires, parent.expires_at) if moment is not None), default=None)
                token = token._replace(parent_id=parent.id)
            token = token._replace(expires_at=expires)
            tx.tokens.add(token)
        return NewToken(token, secret)

    def keep_known(self, hashed: str, prefix: str, owner: str) -> None:
        """Adds an admin's token by its hash: the deployer's own, whose secret the service never sees."""
        with self._storage.write() as tx:
            known = tx.tokens.by_prefix(prefix)
            if known is None or known.hash != hashed:
                now = self._clock()
                tx.tokens.add(
                    TokenRecord("tok-deployer", prefix, hashed, owner, "admin", "made by deploy", now, None, None, None)
                )

    def first_token(self, owner: str, note: str) -> str:
        """Creates an admin's token for the person who starts a new service; returns its secret."""
        secret = token_secret(secrets.token_urlsafe(RANDOM_BYTES))
        with self._storage.write() as tx:
            tx.tokens.add(self._make(secret, owner, "admin", note, self._clock()))
        return secret

    def tokens(self, principal: Principal, *, limit: int | None = None, before: str | None = None) -> Page[TokenRecord]:
        """Lists tokens, newest first: for an admin all, for a user their own.

        At most `limit`, older than the token `before`. Raises `NotFound` when there is no token `before`.
        """
        with self._storage.read() as tx:
            return tx.tokens.all(principal.sees_only, limit=limit, before=before)

    def revoke(self, principal: Principal, token_id: str) -> TokenRecord:
        """Revokes a token and all tokens created with it, directly or not. Raises `NotFound`."""
        with self._storage.write() as tx:
            found = tx.tokens.line(token_id, 1)
            if not found or not sees(principal, found[0].owner):
                known = [token.id for token in tx.tokens.all(principal.sees_only, limit=MOST_SUGGESTED_FROM)]
                raise NotFound(
                    told(f"There is no token {token_id!r}.", token_id, known),
                    hint="See the tokens with `calvinverse token list`.",
                )
            revoked = tx.tokens.revoke(token_id, self._clock())
            ended = frozenset(tx.tokens.made_with(token_id))
        assert revoked is not None
        for tell in tuple(self.on_revoked):
            tell(ended)
        return revoked

    def ended(self, token_ids: Iterable[str]) -> frozenset[str]:
        """The tokens among these that are no longer valid: revoked, expired, deleted, or created with such a token."""
        now = self._clock()
        bad: set[str] = set()
        with self._storage.read() as tx:
            for token_id in token_ids:
                line = tx.tokens.line(token_id, LONGEST_LINE)
                if not line or any(
                    one.revoked_at is not None or (one.expires_at is not None and one.expires_at <= now) for one in line
                ):
                    bad.add(token_id)
        return frozenset(bad)

    def _make(self, secret: str, owner: str, role: str, note: str, now: datetime) -> TokenRecord:
        return TokenRecord(
            id=self._new_id("tok"),
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


def _check_good(token: TokenRecord, which: str, now: datetime) -> None:
    if token.revoked_at is not None:
        raise Unauthenticated(f"{which} has been revoked.")
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthenticated(f"{which} has expired.")
