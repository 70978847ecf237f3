"""Tokens in the API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.access import TokenRole, TokenScope
from environments.wire.fields import Duration, Label, Name, Request, Text, TokenId, View, Word


class TokenView(View):
    """A token without its secret part. `role`: the most that it may; `own`: what its owner's roles are when it is used.

    `kind` is `token`, `session`, `local_admin`, `service_account`, or `ci` for one that a CI system's token was
    exchanged for; `scope` null: it isn't limited. `parent_id` is the token that it was made with, and ends with.
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


class ScopeRequest(Request):
    """What a token is to be limited to; null: no limit of that kind. `environments` are names or ids.

    With `actions`, the token does these, and reads the environments that it reaches. Without them, a token that is
    limited to templates or environments does there what its owner may, and nothing else.
    """

    actions: Annotated[tuple[Word, ...], Field(max_length=100)] | None = None
    templates: Annotated[tuple[Label, ...], Field(max_length=100)] | None = None
    environments: Annotated[tuple[Name, ...], Field(max_length=100)] | None = None


class TokenRequest(ScopeRequest):
    """Asks for a token for `owner`; `ttl` null: until it is revoked."""

    owner: Annotated[Word, WithJsonSchema(shapes.OWNER)]
    role: Literal["admin", "auditor", "user"] = "user"
    note: Text = ""
    ttl: Duration | None = None
