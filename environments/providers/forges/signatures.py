"""Signatures of deliveries, checked over the raw body and in constant time, whether they fit or not."""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from re import compile as pattern

from environments.channel_settings import signing_key

_HEX = pattern("[0-9a-f]{64}")
_LONGEST = 2000
"""Characters of a header with signatures."""

_MOST = 10
"""Signatures of a header that are looked at."""


def fits_hex(signature: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether it is the HMAC-SHA256 of the body, in hex, with one of the secrets."""
    wanted = signature.encode() if _HEX.fullmatch(signature) else b""
    found = False
    for secret in secrets:
        made = hmac.new(secret.encode(), body, sha256).hexdigest().encode()
        found |= hmac.compare_digest(made, wanted)
    return found


def fits_token(token: str, secrets: Sequence[str]) -> bool:
    """Whether it is one of the secrets itself."""
    given = sha256(token.encode(errors="replace")).digest()
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(sha256(secret.encode()).digest(), given)
    return found


def fits_standard(signatures: str, id: str, timestamp: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of the signatures is that of Standard Webhooks, over id, timestamp and body, with one of the secrets.

    A secret of another kind fits nothing.
    """
    given = [
        one.removeprefix("v1,").encode(errors="replace")
        for one in signatures[:_LONGEST].split(" ")[:_MOST]
        if one.startswith("v1,")
    ]
    signed = b".".join((id.encode(errors="replace"), timestamp.encode(errors="replace"), body))
    found = False
    for secret in secrets:
        try:
            key = signing_key(secret)
        except ValueError:
            continue
        made = base64.b64encode(hmac.new(key, signed, sha256).digest())
        for one in given:
            found |= hmac.compare_digest(made, one)
    return found
