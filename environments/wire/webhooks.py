"""Webhooks in the API."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field

from environments.domain.allowed_addresses import MOST_ALLOWED
from environments.domain.webhook_use import LONGEST_PATTERN, MOST_PATTERNS, MOST_USERS
from environments.wire.access import Subject
from environments.wire.fields import Duration, Label, NoNul, Request, View, Word

Kind = Literal["github", "gitlab", "gitea", "forgejo", "generic"]

KINDS: tuple[str, ...] = get_args(Kind)
"""By their names."""

Repository = Annotated[str, Field(max_length=LONGEST_PATTERN), NoNul]
"""`owner/name`, or `owner/*` for all of an owner."""

Token = Annotated[str, Field(max_length=4096)]


class RefusedView(View):
    """How many deliveries were refused or left for one reason within the hour that begins at `hour`."""

    reason: str
    said: str
    hour: datetime
    count: int
    last_at: datetime
    last_address: str


class WebhookView(View):
    """A named address that takes deliveries. `deliveries`: where they are sent to; `address`: the forge's.

    `allowed`: what the service may call for it although it is near. `last_at`: when it last took a signed delivery.
    `users`: who may name it in triggers beside admins; `repositories`: for which ones, none: for all.
    """

    name: str
    kind: str
    deliveries: str
    address: str
    allowed: tuple[str, ...]
    created_by: str
    created_at: datetime
    rotated_at: datetime | None
    last_at: datetime | None
    users: tuple[str, ...]
    repositories: tuple[str, ...]


class WebhookDetails(WebhookView):
    """A webhook with what was refused or left of its deliveries, newest first.

    `unknown`: what came for webhooks that there aren't, or that were removed meanwhile.
    """

    refused: tuple[RefusedView, ...]
    unknown: tuple[RefusedView, ...]


class WebhookRequest(Request):
    """Asks for a webhook. `address`: of the forge, such as `https://forge.example`; empty: the public one, or none.

    `token`: with which the service asks the forge, and comments there. `allowed`: addresses (`host:port`) that the
    service may call for it although they are on its machine, or a part of the cluster. `users` may name it in triggers
    beside admins, for all repositories unless some are given.
    """

    name: Label
    kind: Kind
    address: Word = ""
    token: Token = Field(default="", repr=False)
    allowed: tuple[Word, ...] = Field(default=(), max_length=MOST_ALLOWED)
    users: tuple[Subject, ...] = Field(default=(), max_length=MOST_USERS)
    repositories: tuple[Repository, ...] = Field(default=(), max_length=MOST_PATTERNS)


class WebhookUseRequest(Request):
    """Who may name a webhook in triggers beside admins, and for which repositories; null: as before.

    No `repositories`: every one.
    """

    users: tuple[Subject, ...] | None = Field(default=None, max_length=MOST_USERS)
    repositories: tuple[Repository, ...] | None = Field(default=None, max_length=MOST_PATTERNS)


class NewWebhookSecret(View):
    """A webhook with a new secret, which only this answer holds. `previous_until`: how long the old one is valid."""

    webhook: WebhookView
    secret: str = Field(repr=False)
    previous_until: datetime | None = None


class RotateRequest(Request):
    """Asks for a new secret. `overlap`: how long the old one stays valid; null: a day."""

    overlap: Duration | None = None


class ForgeTokenRequest(Request):
    """Another token for the forge; empty: none."""

    token: Token = Field(default="", repr=False)


class ForgeCheckView(View):
    """What the forge says: whose account the token is of; empty where the forge doesn't tell."""

    account: str


class DeliveryView(View):
    """What became of a delivery: the id of the event, or why it was left."""

    event: str = ""
    ignored: str = ""
