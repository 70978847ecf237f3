"""Signing in, sessions, and who one is, in the API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from environments.domain.access import TokenScope
from environments.wire.fields import NoNul, Request, Text, TokenId, View, Word

IdentityToken = Annotated[str, Field(min_length=1, max_length=64 * 1024), NoNul]


class ProviderView(View):
    """An OpenID provider. With `client_id` and both endpoints a program on a person's machine can sign in by itself.

    `trouble` says why they are missing; empty: they are there, or the provider has no client for programs.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    scopes: list[str]
    trouble: str


class ExchangeRequest(Request):
    """Asks for a session for an identity token that the provider has just given out.

    `nonce` is the one that the client sent to the provider. `machine`: how the list of sessions names it.
    """

    provider: Word
    identity_token: IdentityToken
    nonce: Word | None = None
    machine: Annotated[Text, Field(max_length=100)] = ""


class SessionView(View):
    """A session. It ends at `ends_at`, or before that when it isn't used for `idle_seconds`.

    `current`: the request came with it.
    """

    id: TokenId
    owner: str
    note: str
    address: str
    created_at: datetime
    last_used_at: datetime | None
    ends_at: datetime | None
    idle_seconds: int | None
    current: bool


class NewSessionView(View):
    """A session just begun; `secret` is shown this once."""

    secret: str
    user_name: str
    display_name: str
    session: SessionView


class EndedView(View):
    """How many sessions have ended."""

    ended: int


class DeviceRequest(Request):
    """Asks for codes for a machine without a browser; `machine` is what people see of it (RFC 8628, 3.1)."""

    machine: Annotated[Text, Field(min_length=1)]


class DeviceView(View):
    """Codes for a machine (RFC 8628, 3.2); seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class DeviceTokenRequest(Request):
    """Asks whether the machine was approved (RFC 8628, 3.4)."""

    device_code: Annotated[Word, Field(min_length=1)]
    grant_type: Literal["urn:ietf:params:oauth:grant-type:device_code"] = "urn:ietf:params:oauth:grant-type:device_code"
    client_id: Word = ""


class DeviceTokenView(View):
    """The session of an approved machine (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    user_name: str
    session: SessionView


class GroupOfView(View):
    """A group that somebody is in: by choice of an admin (`local`), or because a provider says so (`claim`)."""

    name: str
    source: Literal["local", "claim"]


class WhoView(View):
    """Who the caller is. `kind`: of the token; `provider` and `signed_in_at` are those of the sign-in.

    `scope`: what the token is limited to, environments by id; null: it isn't limited.
    """

    user_name: str
    display_name: str
    email: str
    role: Literal["admin", "auditor", "user"]
    groups: list[GroupOfView]
    kind: str
    token_id: str
    provider: str
    signed_in_at: datetime | None
    ends_at: datetime | None
    scope: TokenScope | None = None


class ClaimRuleView(View):
    """A rule of a provider: whether it matched, and why not."""

    text: str
    matched: bool
    why: str


class ClaimView(View):
    """A claim with its value as text."""

    name: str
    value: str


class ClaimReportView(View):
    """What claims came, which rules matched, and what came of it.

    One of `conditions` must match, if there are any. `groups` null: the claim of groups did not come, and groups of
    earlier sign-ins stay. `user_name` is empty for somebody who has never signed in. `refusal` is empty if they can.
    """

    provider: str
    issuer: str
    subject: str
    user_name: str
    role: Literal["admin", "auditor", "user"]
    role_kept: bool
    groups: list[str] | None
    refusal: str
    conditions: list[ClaimRuleView]
    rules: list[ClaimRuleView]
    claims: list[ClaimView]
