"""OpenID providers in memory: what they say of whoever signs in is the test's choice."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from environments.domain.claim_rules import Condition, Judgement, RoleRule, groups_of, judge
from environments.domain.errors import CalvinverseError, NotFound, SignInRefused
from environments.service.sign_in_ports import CiEntry, Claims, IdentityProvider, PublicClient

GROUPS = "groups"


class MemoryProvider:
    """See `environments.service.sign_in_ports.IdentityProvider`. `signs_in` is what the next code and token are of."""

    def __init__(
        self,
        name: str = "corp",
        title: str = "Example Corp",
        *,
        conditions: Sequence[Condition] = (),
        rules: Sequence[RoleRule] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        site: str = "",
    ) -> None:
        self.name = name
        self.title = title
        self.issuer = f"https://{name}.example.net"
        self.public_client = "calvinverse-cli"
        self.scopes = ("openid", "profile", "email", "groups")
        self.site = site or self.issuer
        """Where its authorization endpoint is."""
        self.conditions = conditions
        self.rules = rules
        self.away: CalvinverseError | None = None
        """Raised by every call while it is set."""
        self._clock = clock
        self._codes: dict[str, tuple[dict[str, Any], dict[str, str]]] = {}
        self._tokens: dict[str, dict[str, Any]] = {}

    def signs_in(self, subject: str, asked: Mapping[str, str], **claims: Any) -> str:
        """A code for somebody, for an authorization that was asked with these parameters."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = ({"sub": subject, **claims}, dict(asked))
        return code

    def identity_token(self, subject: str, **claims: Any) -> str:
        """An identity token for the public client."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = {"sub": subject, **claims}
        return token

    def authorization_address(self, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        self._check()
        asked = {"redirect_uri": redirect, "state": state, "nonce": nonce, "challenge": _challenge(verifier)}
        return f"{self.site}/authorize?{urlencode(asked)}"

    def redeem(self, code: str, *, redirect: str, verifier: str, nonce: str) -> Claims:
        self._check()
        claims, asked = self._codes.pop(code, ({}, {}))
        wanted = {"redirect_uri": redirect, "challenge": _challenge(verifier)}
        if not claims or any(asked.get(name) != value for name, value in wanted.items()):
            raise SignInRefused("The provider doesn't accept the code.")
        if asked.get("nonce") != nonce:
            raise SignInRefused("The identity token is of another sign-in.")
        return self._claims(claims, secrets.token_urlsafe(16))

    def verify(self, identity_token: str, *, nonce: str | None) -> Claims:
        self._check()
        claims = self._tokens.get(identity_token)
        if claims is None or (nonce is not None and claims.get("nonce", nonce) != nonce):
            raise SignInRefused("The identity token isn't one of this provider.")
        return self._claims(claims, identity_token)

    def judge(self, claims: Claims) -> Judgement:
        return judge(claims.raw, self.conditions, self.rules, GROUPS)

    def public(self) -> PublicClient | None:
        self._check()
        return PublicClient(self.public_client, f"{self.site}/authorize", f"{self.site}/token", self.scopes)

    def _check(self) -> None:
        if self.away is not None:
            raise self.away

    def _claims(self, raw: Mapping[str, Any], token: str) -> Claims:
        now = self._clock()
        return Claims(
            issuer=self.issuer,
            subject=raw["sub"],
            username=raw.get("preferred_username", ""),
            display_name=raw.get("name", ""),
            email=raw.get("email", "") if raw.get("email_verified") else "",
            groups=groups_of(raw, GROUPS),
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
            token_hash=sha256(token.encode()).hexdigest(),
            raw=raw,
        )


class MemoryProviders:
    """See `environments.service.sign_in_ports.IdentityProviders` and `CiIssuers`, of which there are none."""

    def __init__(self, *providers: MemoryProvider) -> None:
        self.providers = list(providers)

    def all(self) -> Sequence[IdentityProvider]:
        return list(self.providers)

    def named(self, name: str) -> IdentityProvider:
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise NotFound("There is no identity provider of this name.")

    def fault(self) -> str:
        return ""

    def entries(self) -> Sequence[CiEntry]:
        return []

    def verify_program(self, entry: str, token: str) -> Mapping[str, object]:
        raise SignInRefused("There is no CI system of this name.")


def _challenge(verifier: str) -> str:
    return sha256(verifier.encode()).hexdigest()
