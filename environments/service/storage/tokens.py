"""The port to the database: tokens."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.service.pages import Page


class TokenRecord(NamedTuple):
    """A stored token; `hash` is the SHA-256 of the whole secret, in hex.

    `parent_id` is the token that it was created with; None: the service itself created it, or an older version did.
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
