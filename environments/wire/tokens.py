"""Tokens in the API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import WithJsonSchema

from environments.domain import shapes
from environments.wire.fields import Duration, Request, Text, TokenId, View, Word


class TokenView(View):
    """A token without its secret part. `role`: an admin sees and does everything, a user has own environments.

    `parent_id` is the token that it was made with, and ends with.
    """

    id: TokenId
    owner: str
    role: Literal["admin", "user"]
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    parent_id: TokenId | None = None


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
