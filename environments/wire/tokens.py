"""Tokens in the API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import WithJsonSchema

from environments.domain import shapes
from environments.domain.access import TokenRole, TokenScope
from environments.wire.fields import Duration, Request, Text, TokenId, View, Word


class TokenView(View):
    """A token without its secret part. `role`: the most that it may; `own`: what its owner's roles are when it is used.

    `kind` is `token`, `session` or `local_admin`; `scope` null: it isn't limited. `parent_id` is the token that it
    was made with, and ends with.
    """

    id: TokenId
    owner: str
    role: TokenRole
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    parent_id: TokenId | None = None
    kind: str = "token"
    scope: TokenScope | None = None


class NewToken(View):
    """A token just made; `secret` is shown this once."""

    token: TokenView
    secret: str


class TokenRequest(Request):
    """Asks for a token for `owner`; `ttl` None: until it is revoked."""

    owner: Annotated[Word, WithJsonSchema(shapes.OWNER)]
    role: Literal["admin", "user"] = "user"
    note: Text = ""
    ttl: Duration | None = None
