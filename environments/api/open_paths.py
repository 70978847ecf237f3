"""Paths of signing in that answer without a token: whoever asks there has none yet. They are limited by address."""

SIGN_IN = "/v1/auth"
"""The path above all of them."""

SIGN_IN_PATHS = frozenset(
    {f"{SIGN_IN}/{path}" for path in ("providers", "exchange", "exchange/ci", "claims", "device", "device/token")}
)
