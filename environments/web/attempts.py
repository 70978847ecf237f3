"""Attempts to sign in: each has a cookie of its own, so that several tabs don't disturb one another.

The cookie is sealed and ends after 10 minutes. It belongs to one `state` and one browser: an answer of the provider
that comes to another browser finds no cookie, and signs nobody in (RFC 6749, 10.12).
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken

KEY_LABEL = "calvinverse: attempts to sign in"
"""The label with which the key is derived from the service's own."""

SECONDS = 600
"""How long an attempt may take."""

MOST = 5
"""Attempts of one browser at a time: browsers send all of their cookies with each request."""

_PREFIX = "__Host-signin-"


@dataclass(frozen=True)
class Attempt:
    """What an attempt to sign in needs when the provider has answered. `back`: the page to go on with.

    `dry_run`: the claims are shown, and nobody is signed in.
    """

    state: str
    nonce: str
    verifier: str
    provider: str
    back: str
    dry_run: bool = False


def new_attempt(provider: str, back: str, *, dry_run: bool = False) -> Attempt:
    """An attempt with fresh state, nonce and verifier, 256 random bits each (RFC 7636, 4.1)."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Attempt(state, nonce, verifier, provider, back, dry_run)


class Attempts:
    """Seals attempts into cookies, and opens them."""

    def __init__(self, key: Callable[[], bytes], clock: Callable[[], datetime]) -> None:
        self._key = key
        self._clock = clock

    def seal(self, attempt: Attempt) -> tuple[str, str]:
        """Name and value of its cookie."""
        text = json.dumps(asdict(attempt)).encode()
        return name_of(attempt.state), self._fernet().encrypt_at_time(text, self._now()).decode()

    def open(self, state: str, cookies: Mapping[str, str]) -> Attempt | None:
        """The attempt of a state in this browser; None if it has none, or it has ended."""
        if not state:
            return None
        try:
            text = self._fernet().decrypt_at_time(cookies.get(name_of(state), ""), SECONDS, self._now())
        except InvalidToken:
            return None
        attempt = Attempt(**json.loads(text))
        return attempt if secrets.compare_digest(attempt.state.encode(), state.encode()) else None

    def too_many(self, cookies: Mapping[str, str]) -> list[str]:
        """Names of the oldest cookies, to be removed before another attempt begins."""
        ages = sorted((self._made_at(value), name) for name, value in cookies.items() if name.startswith(_PREFIX))
        return [name for _, name in ages[: max(0, len(ages) - MOST + 1)]]

    def _made_at(self, value: str) -> int:
        try:
            return self._fernet().extract_timestamp(value)
        except InvalidToken:
            return 0

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._key()))


def name_of(state: str) -> str:
    """The name of the cookie of an attempt."""
    return f"{_PREFIX}{sha256(state.encode()).hexdigest()[:16]}"
