"""Paths that answer without a token: of signing in, and of deliveries to webhooks, which bring signatures."""

import re

from starlette.types import Scope

SIGN_IN = "/v1/auth"
"""The path above all of them."""

SIGN_IN_PATHS = frozenset(
    {f"{SIGN_IN}/{path}" for path in ("providers", "exchange", "exchange/ci", "claims", "device", "device/token")}
)
"""Paths of signing in: whoever asks there has no token yet. They are limited by address."""

_DELIVERIES = re.compile(r"/v1/webhooks/([^/]+)/deliveries")


def webhook_of(scope: Scope) -> str | None:
    """The name of the webhook that a request delivers to; None if it is no delivery. No token is looked up for one."""
    found = _DELIVERIES.fullmatch(scope["path"]) if scope["method"] == "POST" else None
    return None if found is None else found.group(1)
