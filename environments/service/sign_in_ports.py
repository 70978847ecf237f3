"""What signing in needs of OpenID providers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from environments.domain.claim_rules import Judgement


@dataclass(frozen=True)
class Claims:
    """What a verified identity token says of a person, who is known by issuer and subject alone.

    `username` and `display_name` are empty if no claim tells them. `email` is empty unless the provider has verified
    it. `groups` is None when the claim did not come, or is no list; that is not an empty list. `token_hash`: SHA-256 of
    the token in hexadecimal, by which a token that was used before is known. `raw`: all claims, for the page of claims.
    """

    issuer: str
    subject: str
    username: str
    display_name: str
    email: str
    groups: tuple[str, ...] | None
    issued_at: datetime
    expires_at: datetime
    token_hash: str
    raw: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True)
class PublicClient:
    """What a program on a person's machine needs to sign in by itself: it has no secret, and PKCE is mandatory."""

    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    scopes: tuple[str, ...]


class IdentityProvider(Protocol):
    """An OpenID provider by which people sign in."""

    @property
    def name(self) -> str:
        """By which commands, addresses and groups know it."""
        ...

    @property
    def title(self) -> str:
        """For people."""
        ...

    @property
    def issuer(self) -> str:
        """Exactly as its identity tokens name it."""
        ...

    @property
    def public_client(self) -> str:
        """The id of the client of the command line; empty: people sign in to that by the web page."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """What is asked for; `openid` is among them."""
        ...

    def authorization_address(self, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send a browser, with the challenge of the verifier (PKCE, S256), for the confidential client.

        Raises `BackendUnavailable`, `BackendError`.
        """
        ...

    def redeem(self, code: str, *, redirect: str, verifier: str, nonce: str) -> Claims:
        """The claims for a code that came back to `redirect`. If an `iss` came with it, the caller compares that
        with `issuer` before (RFC 9207).

        Raises `SignInRefused`, `BackendUnavailable`, `BackendError`.
        """
        ...

    def verify(self, identity_token: str, *, nonce: str | None) -> Claims:
        """The claims of a token that was issued to the public client at most five minutes ago, beside what the
        provider dates tokens back. Whether it was used before is for the caller to know. Without a nonce, none is
        compared.

        Raises `SignInRefused`, `BackendUnavailable`, `BackendError`.
        """
        ...

    def judge(self, claims: Claims) -> Judgement:
        """Whether this person may sign in at all, and which role on the service the provider's rules give."""
        ...

    def public(self) -> PublicClient | None:
        """For the command line; None if there is no public client. Raises `BackendUnavailable`, `BackendError`."""
        ...


class IdentityProviders(Protocol):
    """All providers, the built-in one first."""

    def all(self) -> Sequence[IdentityProvider]:
        """Those that can be used now."""
        ...

    def named(self, name: str) -> IdentityProvider:
        """Raises `NotFound`."""
        ...

    def fault(self) -> str:
        """Why the file of providers, as it is now, can't be used; empty: it can, or there is none."""
        ...


class CiEntry(Protocol):
    """An entry of the file of providers, by which tokens of a CI system are exchanged."""

    @property
    def name(self) -> str:
        """Unique among the entries."""
        ...

    @property
    def account(self) -> str:
        """The service account that the exchanged token belongs to."""
        ...

    @property
    def claims(self) -> Mapping[str, str]:
        """What a token must claim; see `environments.domain.claim_rules.judge_program`."""
        ...

    @property
    def ttl(self) -> timedelta:
        """How long the exchanged token lives."""
        ...

    @property
    def actions(self) -> tuple[str, ...] | None:
        """The actions that the exchanged token is for; None: all that the account may."""
        ...

    @property
    def templates(self) -> tuple[str, ...] | None:
        """The templates whose environments it is for; None: all."""
        ...


class CiIssuers(Protocol):
    """The CI systems whose tokens are exchanged for tokens of service accounts."""

    def entries(self) -> Sequence[CiEntry]:
        """All entries."""
        ...

    def verify_program(self, entry: str, token: str) -> Mapping[str, object]:
        """The claims of a token of the entry's issuer, for its audience, issued at most an hour ago. Neither the
        claims of the entry nor whether the token was used before are looked at: that is for the caller.

        Raises `SignInRefused`, `BackendUnavailable`, `BackendError`.
        """
        ...
