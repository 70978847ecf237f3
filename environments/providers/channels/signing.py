"""Signatures of webhooks, as in Standard Webhooks 1.0 (https://www.standardwebhooks.com), symmetric keys.

The signature is HMAC-SHA256 over `<id>.<timestamp>.<body>`. The id is the same in all attempts; the timestamp is that
of the attempt, so a receiver refuses old ones, and what it has seen already.
"""

import base64
import hmac
from hashlib import sha256

from environments.channel_settings import signing_key


def signature_headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a signed request. `timestamp`: seconds since 1970."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    signature = base64.b64encode(hmac.new(signing_key(secret), signed, sha256).digest()).decode()
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
