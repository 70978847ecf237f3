"""The port to the database: tokens."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.access import TokenScope
from environments.service.pages import Page


class TokenRecord(NamedTuple):
    """A stored token; `hash` is the SHA-256 of the whole secret, in hex.

    `role` is the most that it may: see `environments.domain.access.TokenRole`. `parent_id` is the token that it was
    created with; None: the service itself created it, or an older version did. `kind` is `token`, `session` or
    `local_admin`; `address` is where it was made from, `made_by` whoever made one of a service account. With
    `idle_seconds` it also ends when it isn't used for long.
    """

    id: str
    prefix: str
    hash: str
    owner: str
    role: str
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    parent_id: str | None = None
    kind: str = "token"
    scope: TokenScope | None = None
    idle_seconds: int | None = None
    address: str = ""
    made_by: str = ""

    def ended(self, now: datetime) -> str:
        """How it has ended by then, to follow its name; empty if it is valid."""
        if self.revoked_at is not None:
            return "has been revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "has expired"
        if self.idle_seconds is not None:
            used = self.last_used_at or self.created_at
            if (now - used).total_seconds() >= self.idle_seconds:
                return "has ended, because it was not used for long"
        return ""


class Tokens(Protocol):
    """Tokens of the API."""

    def add(self, token: TokenRecord) -> None:
        """Adds a token, in place of one with the same id."""
        ...

    def by_prefix(self, prefix: str) -> TokenRecord | None:
        """The token whose secret begins with this prefix."""
        ...

    def all(self, owner: str | None, *, limit: int | None = None, before: str | None = None) -> Page[TokenRecord]:
        """Tokens, newest first: at most `limit`, older than the one with the id `before`.

        Raises `NotFound` when there is no token `before`.
        """
        ...

    def living(self, owner: str, now: datetime) -> list[TokenRecord]:
        """An owner's tokens that are neither revoked nor expired, the longest unused first.

        In a writing transaction this locks the owner's tokens: one transaction at a time can read them.
        """
        ...

    def line(self, token_id: str, longest: int) -> list[TokenRecord]:
        """The token, the one that it was created with, and so on; at most `longest`."""
        ...

    def of(self, owner: str, kind: str) -> list[TokenRecord]:
        """An owner's tokens of one kind, newest first, those that have ended too."""
        ...

    def revoke_all(self, owner: str, now: datetime) -> list[str]:
        """Revokes the owner's tokens, those of service accounts that they made, and all that were made with these.

        Returns the ids of all of them.
        """
        ...

    def used(self, token_id: str, now: datetime) -> None:
        """Records when the token was used."""
        ...

    def made_with(self, token_id: str) -> list[str]:
        """The ids of the token and of all its descendants; for a missing token, only its own id."""
        ...

    def revoke(self, token_id: str, now: datetime) -> TokenRecord | None:
        """Revokes a token and all its descendants. Returns the token; None if there is none of that id.

        A token that is revoked already keeps its time of revocation.
        """
        ...
