"""Service accounts in the API."""

from datetime import datetime
from typing import Annotated

from pydantic import WithJsonSchema

from environments.domain import shapes
from environments.wire.fields import Duration, Request, Text, View, Word
from environments.wire.tokens import ScopeRequest


class ServiceAccountView(View):
    """A name for a program. `responsible`: the user name or `group:NAME` that answers for it and makes its tokens.

    `tokens`: how many of its tokens are valid. `disabled_at` null: it isn't disabled.
    """

    name: str
    description: str
    responsible: str
    tokens: int
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    disabled_by: str


class ServiceAccountRequest(Request):
    """Asks for a service account; `responsible` empty: the caller."""

    name: Annotated[Word, WithJsonSchema(shapes.ACCOUNT_NAME)]
    description: Text = ""
    responsible: Word = ""


class ServiceAccountChange(Request):
    """What to change of a service account; null: as it is."""

    description: Text | None = None
    responsible: Word | None = None


class AccountTokenRequest(ScopeRequest):
    """Asks for a token of a service account; `ttl` null: for as long as a token may live."""

    note: Text = ""
    ttl: Duration | None = None
