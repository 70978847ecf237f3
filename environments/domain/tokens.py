"""The form of a token, and the parts of it that are stored."""

import hashlib
import re

from environments.domain.errors import Unauthenticated

PREFIX = 12
"""Characters of a secret that are stored in the clear, to find its row."""

RANDOM_BYTES = 32
"""Bytes of randomness in a secret: nobody guesses 256 bits."""

_SECRET = re.compile(r"cv_[A-Za-z0-9_-]{43}")
_KNOWN = re.compile(rf"([^:\s]{{{PREFIX}}}):([0-9a-f]{{64}})")


def token_secret(random: str) -> str:
    """A token's secret from `RANDOM_BYTES` random bytes as URL-safe text; recognisable by its beginning."""
    return f"cv_{random}"


def is_token_secret(text: str) -> bool:
    """Whether it has the form of what `token_secret` makes."""
    return _SECRET.fullmatch(text) is not None


def secret_hash(secret: str) -> str:
    """SHA-256 in hex: enough where there is nothing to guess. Raises `Unauthenticated` for an empty secret."""
    if not secret:
        raise Unauthenticated("An empty token is none.")
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_prefix(secret: str) -> str:
    """The beginning of a secret by which its row is found."""
    return secret[:PREFIX]


def known_token(secret: str) -> str:
    """What a service needs to know to let this token in: prefix and hash, with a colon between.

    Raises `Unauthenticated` for an empty secret.
    """
    return f"{secret_prefix(secret)}:{secret_hash(secret)}"


def read_known_token(text: str) -> tuple[str, str]:
    """The prefix and the hash of a known token. Raises `ValueError` for anything else, and for the empty token's."""
    found = _KNOWN.fullmatch(text)
    if found is None or found[2] == hashlib.sha256(b"").hexdigest():
        raise ValueError("it isn't the first characters of a token, a colon and its SHA-256")
    return found[1], found[2]
