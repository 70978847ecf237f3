"""Tokens: random, stored as hashes. A token's owner owns what is created with it.

A token that was created with another token becomes invalid together with that token. What a token may do depends on
its own limits, on those of the tokens that it comes from, and on what its owner is at the moment.
"""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from environments.domain.access import EVERYONE, GROUP, PersonKind, TokenRole
from environments.domain.deadline import parse_duration
from environments.domain.errors import InvalidInput, NotFound, Unauthenticated
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.domain.tokens import read_known_token, secret_hash, secret_prefix
from environments.service.allowances import check_tokens
from environments.service.auditing import LOCAL_ADMIN as LOCAL_ADMIN  # exported from here
from environments.service.authorization import Action, Principal, check_new_token, may
from environments.service.pages import Page
from environments.service.records import NewToken
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Storage
from environments.service.subjects import known_person
from environments.service.token_lines import LONGEST_LINE, check_line, child_of, fresh, principal_of
from environments.service.token_scopes import UNLIMITED, WantedScope, resolve, told_token
from environments.service.user_names import check_not_reserved

_USE_NOTED_EVERY = timedelta(minutes=1)


class Tokens:
    """Makes, checks and revokes tokens."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self.on_revoked: list[Callable[[frozenset[str]], None]] = []
        """Called with the ids of tokens that were just revoked, in the thread that revoked them."""

    def authenticate(self, bearer: str, address: str = "") -> Principal:
        """The principal of a token, as they stand now; `address` is where the request came from.

        Raises `Unauthenticated`, also when a token from which it descends is no longer valid, or its owner is disabled.
        """
        now = self._clock()
        hashed = secret_hash(bearer)
        with self._storage.read() as tx:
            token = tx.tokens.by_prefix(secret_prefix(bearer))
            if token is None or not hmac.compare_digest(token.hash, hashed):
                raise Unauthenticated("The token is not known here.")
            line = [token] if token.parent_id is None else tx.tokens.line(token.id, LONGEST_LINE)
            found = principal_of(tx, line, now)
        if token.last_used_at is None or now - token.last_used_at >= _USE_NOTED_EVERY:
            with self._storage.write() as tx:
                tx.tokens.used(token.id, now)
        return replace(found, address=address)

    def refreshed(self, principals: Iterable[Principal], *, whole: bool) -> dict[str, Principal | None]:
        """Token id → the principal as they stand now; None: the token is no longer valid.

        Unless `whole`, people, groups and roles are taken to be as they were: see `changes`.
        """
        now = self._clock()
        after: dict[str, Principal | None] = {}
        with self._storage.read() as tx:
            for principal in principals:
                line = tx.tokens.line(principal.token_id, LONGEST_LINE)
                try:
                    if whole or principal.role != "user":  # a service role may have an end
                        after[principal.token_id] = replace(principal_of(tx, line, now), address=principal.address)
                        continue
                    check_line(line, now)
                except Unauthenticated:
                    after[principal.token_id] = None
                else:
                    after[principal.token_id] = replace(principal, at=now)
        return after

    def changes(self) -> int:
        """How often people, groups, roles and shares have changed."""
        with self._storage.read() as tx:
            return tx.people.changes()

    def create_token(
        self,
        principal: Principal,
        owner: str,
        role: TokenRole = "user",
        *,
        note: str = "",
        ttl: str | None = None,
        scope: WantedScope = UNLIMITED,
    ) -> NewToken:
        """Creates a token; only an admin may create tokens for others, or tokens with the role admin.

        The token expires no later than the token that creates it, reaches no further, and is revoked together with it.
        Raises `Forbidden`, `InvalidInput`, `TooManyRequests`, and `Unauthenticated` when the creating token is no
        longer valid.
        """
        check_new_token(principal, owner, role)
        check_owner(owner)
        now = self._clock()
        expires = None if ttl is None else now + parse_duration(ttl)
        made = fresh(self._new_id("tok"), owner.strip(), role, note, now)
        token = made.token._replace(expires_at=expires)
        with self._storage.write() as tx:
            may(tx, principal, Action.TOKEN_CREATE)
            known = tx.people.get(token.owner)
            if known is None:
                if token.owner != principal.owner:
                    check_not_reserved(token.owner)
                tx.people.keep(token.owner, PersonKind.UNCLAIMED, now, principal.owner)
            elif known.became:
                known_person(tx, principal, token.owner)
            elif known.kind is PersonKind.SERVICE_ACCOUNT and token.owner != principal.owner:
                raise InvalidInput(
                    f"{token.owner} is a service account.",
                    hint=f"Make its token with `calvinverse account token {token.owner}`.",
                )
            check_tokens(tx, token.owner, now)
            token = token._replace(scope=resolve(tx, principal, scope))
            # Callers inside this process, such as the code that pushes shipped templates, have no token.
            line = tx.tokens.line(principal.token_id, LONGEST_LINE)
            if line:
                token = child_of(line, token, now)
            tx.audit.changed(after=told_token(token), object_kind="token", object_id=token.id, object_name=token.owner)
            tx.tokens.add(token)
        return made._replace(token=token)

    def keep_known(self, known_token: str, owner: str) -> None:
        """Adds an admin's token by what is known of it: the deployer's own, whose secret the service never sees.

        It takes the place of the one before. Raises `ValueError` for what is no known token.
        """
        prefix, hashed = read_known_token(known_token)
        with self._storage.write() as tx:
            known = tx.tokens.by_prefix(prefix)
            if known is None or known.hash != hashed:
                now = self._clock()
                tx.people.keep(owner, PersonKind.UNCLAIMED, now, "deploy")
                made = TokenRecord(
                    "tok-deployer", prefix, hashed, owner, "admin", "made by deploy", now, None, None, None
                )
                tx.tokens.add(made._replace(kind=LOCAL_ADMIN))

    def first_token(self, owner: str, note: str) -> str:
        """Creates an admin's token for the person who starts a new service; returns its secret."""
        now = self._clock()
        made = fresh(self._new_id("tok"), owner, "admin", note, now)
        with self._storage.write() as tx:
            tx.people.keep(owner, PersonKind.UNCLAIMED, now, owner)
            tx.tokens.add(made.token._replace(kind=LOCAL_ADMIN))
        return made.secret

    def list(self, principal: Principal, *, limit: int | None = None, before: str | None = None) -> Page[TokenRecord]:
        """Lists tokens, newest first: for an admin all, for a user their own.

        At most `limit`, older than the token `before`. Raises `NotFound` when there is no token `before`.
        """
        with self._storage.read() as tx:
            return tx.tokens.all(principal.theirs_only, limit=limit, before=before)

    def revoke(self, principal: Principal, token_id: str) -> TokenRecord:
        """Revokes a token and all tokens created with it, directly or not. Raises `NotFound`."""
        with self._storage.write() as tx:
            found = tx.tokens.line(token_id, 1)
            if not found or principal.theirs_only not in (None, found[0].owner):
                known = [token.id for token in tx.tokens.all(principal.theirs_only, limit=MOST_SUGGESTED_FROM)]
                raise NotFound(
                    told(f"There is no token {token_id!r}.", token_id, known),
                    hint="See the tokens with `calvinverse token list`.",
                )
            may(tx, principal, Action.TOKEN_REVOKE)
            tx.audit.changed(object_kind="token", object_id=token_id, object_name=found[0].owner)
            revoked = tx.tokens.revoke(token_id, self._clock())
            ended = frozenset(tx.tokens.made_with(token_id))
        assert revoked is not None
        self.tell_revoked(ended)
        return revoked

    def tell_revoked(self, ended: frozenset[str]) -> None:
        """Tells those who asked that these tokens were revoked, after the transaction that did it."""
        for tell in tuple(self.on_revoked):
            tell(ended)


def check_owner(owner: str) -> None:
    """Raises `InvalidInput` for what can't be an owner's name."""
    if not owner.strip():
        raise InvalidInput("The owner's name is empty.")
    if owner.strip() == EVERYONE or owner.strip().startswith(GROUP):
        raise InvalidInput(f"{owner.strip()!r} can't be the name of an owner: it means a group.")
