"""What a provider says of itself (OpenID Connect Discovery 1.0), and its keys; both are kept for some time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from environments.addresses import exposes_tokens
from environments.domain.errors import BackendError, BackendUnavailable, CalvinverseError
from environments.providers.oidc.fetching import WRONG_HINT, Fetcher
from environments.providers.oidc.keys import SignatureKey, pick, read_keys

log = structlog.get_logger()

T = TypeVar("T")

_AGE = timedelta(minutes=10)
"""How old what is kept may be before it is fetched again."""

_OLDEST = timedelta(hours=1)
"""How old it may be while the provider is away."""

_PAUSE = timedelta(seconds=30)
"""Between two looks for an unknown key: whoever sends made-up tokens causes no more calls."""

_PAUSE_AFTER_FAILURE = timedelta(seconds=5)
"""How long a failed call counts for everybody else who asks, while nothing is kept; else `_PAUSE`."""


@dataclass(frozen=True)
class SignInAddresses:
    """Where people sign in; `basic`: the endpoint for codes takes id and secret as basic authentication."""

    authorization_endpoint: str
    token_endpoint: str
    basic: bool


class _Kept(Generic[T]):
    """Something that is fetched, and kept for some time. One thread fetches, all others wait for it."""

    def __init__(self, fetch: Callable[[], T], clock: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._guard = threading.Lock()
        self._value: tuple[datetime, T] | None = None
        self._failure: tuple[datetime, CalvinverseError] | None = None

    def get(self, age: timedelta = _AGE) -> T:
        """What is kept, fetched again if it is older than `age`. Raises what fetching raised."""
        with self._guard:
            now = self._clock()
            if self._value is not None and timedelta(0) <= now - self._value[0] < age:
                return self._value[1]
            pause = _PAUSE_AFTER_FAILURE if self._value is None else _PAUSE
            if self._failure is None or not timedelta(0) <= now - self._failure[0] < pause:
                try:
                    self._value, self._failure = (now, self._fetch()), None
                    return self._value[1]
                except (BackendError, BackendUnavailable) as error:
                    self._failure = (now, error)
            failure = self._failure[1]
            if self._value is not None and isinstance(failure, BackendUnavailable) and now - self._value[0] < _OLDEST:
                log.warning("sign_in.provider_away", reason=failure.message)
                return self._value[1]
            raise type(failure)(failure.message, hint=failure.hint, details=failure.details)


class ProviderDocuments:
    """Metadata and keys of one provider. Safe to use from several threads."""

    def __init__(self, title: str, issuer: str, fetcher: Fetcher, clock: Callable[[], datetime]) -> None:
        self._title = title
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._metadata = _Kept(self._fetch_metadata, clock)
        self._keys = _Kept(self._fetch_keys, clock)

    def sign_in_addresses(self) -> SignInAddresses:
        """What a provider of people has, and an issuer for programs needn't. Raises `BackendUnavailable`,
        `BackendError`."""
        found = self._metadata.get()
        challenges = found.get("code_challenge_methods_supported")
        if isinstance(challenges, list) and "S256" not in challenges:
            raise BackendError(f"{self._title} doesn't take PKCE with S256.", hint=WRONG_HINT)
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if not isinstance(methods, list) or not {"client_secret_basic", "client_secret_post"} & set(map(str, methods)):
            raise BackendError(f"{self._title} takes no client with a secret.", hint=WRONG_HINT)
        authorization = found.get("authorization_endpoint")
        if not isinstance(authorization, str) or not _leads_a_browser(authorization):
            raise BackendError(f"{self._title} names no usable address to sign in at.", hint=WRONG_HINT)
        token_endpoint = self._fetcher.check(found.get("token_endpoint"), "codes")
        return SignInAddresses(authorization, token_endpoint, "client_secret_basic" in methods)

    def key(self, kid: str | None, algorithm: str) -> SignatureKey | None:
        """See `environments.providers.oidc.tokens.KeySource`."""
        return pick(self._keys.get(), kid, algorithm) or pick(self._keys.get(age=_PAUSE), kid, algorithm)

    def _fetch_metadata(self) -> dict[str, object]:
        answer = self._fetcher.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        found = answer.content
        if answer.status != 200 or not isinstance(found, dict):
            raise BackendError(f"{self._title} answered {answer.status} with no metadata.", hint=WRONG_HINT)
        if found.get("issuer") != self._issuer:
            raise BackendError(
                f"{self._title} says that its issuer is another than {self._issuer}.",
                hint="An admin has to set the issuer exactly as the provider writes it, with or without a slash.",
            )
        return found

    def _fetch_keys(self) -> tuple[SignatureKey, ...]:
        address = self._fetcher.check(self._metadata.get().get("jwks_uri"), "keys")
        answer = self._fetcher.get(address)
        try:
            if answer.status != 200:
                raise ValueError
            return read_keys(answer.content)
        except ValueError:
            raise BackendError(f"{self._title} answered {answer.status} with no keys.", hint=WRONG_HINT) from None


def _leads_a_browser(address: str) -> bool:
    return (
        address.startswith(("https://", "http://"))
        and not exposes_tokens(address)
        and address.isprintable()
        and address.isascii()
        and not {" ", "#", '"', "<", ">", "\\"} & set(address)
    )
