"""The port to the database: tokens."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.service.pages import Page


class TokenRecord(NamedTuple):
    """A token as stored; `hash` is SHA-256 of the whole secret, in hex.

    `parent_id` is the token that it was made with; None: it comes from the service itself, or from an older version.
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
        """A new token; one of that id is replaced."""
        ...

    def by_prefix(self, prefix: str) -> TokenRecord | None:
        """The token whose secret begins like this."""
        ...

    def all(self, owner: str | None, *, limit: int | None = None, before: str | None = None) -> Page[TokenRecord]:
        """Newest first; at most `limit`, older than the one with the id `before`.

        Raises `NotFound` when there is none of that id.
        """
        ...

    def living(self, owner: str, now: datetime) -> list[TokenRecord]:
        """Those of an owner that are neither revoked nor expired, the longest unused first.

        In a writing transaction one at a time looks at an owner's.
        """
        ...

    def line(self, token_id: str, longest: int) -> list[TokenRecord]:
        """The token, the one that it was made with, and so on; at most `longest`."""
        ...

    def used(self, token_id: str, now: datetime) -> None:
        """Notes the use."""
        ...

    def made_with(self, token_id: str) -> list[str]:
        """The ids of the token and of all that were made with it, and so on; of what isn't there, only its own."""
        ...

    def revoke(self, token_id: str, now: datetime) -> TokenRecord | None:
        """The revoked token; None if there is none of that id. All that were made with it, and so on, are revoked too.

        One that was revoked before keeps the moment.
        """
        ...
