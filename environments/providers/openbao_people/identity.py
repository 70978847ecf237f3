"""The built-in provider as one of the identity providers: what the service itself asks goes to OpenBao directly."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pydantic import SecretStr

from environments.domain.claim_rules import Judgement
from environments.domain.errors import BackendError, BackendUnavailable, NotConnected
from environments.identity_settings import BUILT_IN, ProviderSettings
from environments.providers.local_cluster.trust.names import OPENBAO_PEOPLE
from environments.providers.oidc.fetching import BackChannel
from environments.providers.oidc.provider import OidcProvider
from environments.providers.openbao_people.ports import OidcClient, PeopleCalls
from environments.service.sign_in_ports import Claims, IdentityProvider, PublicClient

TITLE = "OpenBao"

_LOOK_EVERY = 60.0
_LOOK_AGAIN = 5.0
"""Seconds after which the clients are read again, and after which when that has failed."""


class OpenBaoIdentity:
    """Implements `IdentityProvider`. Of groups it passes on those of people: not what else OpenBao groups."""

    def __init__(self, provider: OidcProvider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def title(self) -> str:
        return self._provider.title

    @property
    def issuer(self) -> str:
        return self._provider.issuer

    @property
    def public_client(self) -> str:
        return self._provider.public_client

    @property
    def scopes(self) -> tuple[str, ...]:
        return self._provider.scopes

    def authorization_address(self, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        return self._provider.authorization_address(redirect=redirect, state=state, nonce=nonce, verifier=verifier)

    def redeem(self, code: str, *, redirect: str, verifier: str, nonce: str) -> Claims:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        return _of_people(self._provider.redeem(code, redirect=redirect, verifier=verifier, nonce=nonce))

    def verify(self, identity_token: str, *, nonce: str | None) -> Claims:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        return _of_people(self._provider.verify(identity_token, nonce=nonce))

    def judge(self, claims: Claims) -> Judgement:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        return self._provider.judge(claims)

    def public(self) -> PublicClient | None:
        """See `environments.service.sign_in_ports.IdentityProvider`."""
        return self._provider.public()


class BuiltInIdentity:
    """Finds the built-in provider: it is there when OpenBao is set up with the issuer that this service has.

    Clients and the secret are read from OpenBao, and kept in memory for a minute.
    """

    def __init__(
        self,
        calls: PeopleCalls,
        issuer: str,
        back_channel: Callable[[], BackChannel],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = calls
        self._issuer = issuer
        self._back_channel = back_channel
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._look_at = float("-inf")
        self._found: tuple[OidcClient, OidcClient, BackChannel, OpenBaoIdentity] | None = None

    def current(self) -> IdentityProvider | None:
        """The provider; None while there is none. While OpenBao is away, the one from before."""
        with self._lock:
            if self._monotonic() >= self._look_at:
                try:
                    self._found = self._look()
                    self._look_at = self._monotonic() + _LOOK_EVERY
                except (BackendError, NotConnected) as error:
                    if not isinstance(error, BackendUnavailable):
                        self._found = None
                    self._look_at = self._monotonic() + _LOOK_AGAIN
            return None if self._found is None else self._found[-1]

    def _look(self) -> tuple[OidcClient, OidcClient, BackChannel, OpenBaoIdentity] | None:
        if self._calls.issuer() != self._issuer:
            return None
        web, cli, channel = self._calls.web_client(), self._calls.cli_client(), self._back_channel()
        if self._found is not None and self._found[:3] == (web, cli, channel):
            return self._found
        settings = ProviderSettings(
            name=BUILT_IN,
            title=TITLE,
            issuer=self._issuer,
            client_id=web.id,
            client_secret=SecretStr(web.secret),
            public_client_id=cli.id,
            scopes=("openid", "profile", "email", "groups"),
            username_claims=("username",),
            algorithms=("RS256",),
        )
        return web, cli, channel, OpenBaoIdentity(OidcProvider(settings, self._clock, channel))


def _of_people(claims: Claims) -> Claims:
    if claims.groups is None:
        return claims
    prefix = f"{OPENBAO_PEOPLE}/"
    return replace(claims, groups=tuple(name.removeprefix(prefix) for name in claims.groups if name.startswith(prefix)))
