"""The form of a token, and the parts of it that are stored."""

import hashlib

PREFIX = 12
"""Characters of a secret that are stored in the clear, to find its row."""

RANDOM_BYTES = 32
"""Bytes of randomness in a secret: nobody guesses 256 bits."""


def token_secret(random: str) -> str:
    """A token's secret from `RANDOM_BYTES` random bytes as URL-safe text; recognisable by its beginning."""
    return f"cv_{random}"


def secret_hash(secret: str) -> str:
    """SHA-256 in hex: enough where there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_prefix(secret: str) -> str:
    """The beginning of a secret by which its row is found."""
    return secret[:PREFIX]


def known_token(secret: str) -> str:
    """What a service needs to know to let this token in: prefix and hash, with a colon between."""
    return f"{secret_prefix(secret)}:{secret_hash(secret)}"
