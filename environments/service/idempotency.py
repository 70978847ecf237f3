"""Idempotency-Keys: a request that is sent twice is carried out once. What is stored doesn't reveal the request.

A request may contain short secrets such as a PIN, which a plain hash would reveal. So an HMAC is stored, with a key
that isn't in the database.
"""

import hmac
import json
from datetime import datetime
from hashlib import sha256

from environments.domain.environment import Environment
from environments.domain.errors import IdempotencyMismatch, UnknownEnvironment
from environments.service.authorization import Principal, sees
from environments.service.enqueue import Sealer
from environments.service.records import Accepted
from environments.service.storage.plans import KnownRequest
from environments.service.storage.transaction import Transaction

LABEL = "calvinverse: requests with an Idempotency-Key"
"""The label with which the HMAC's key is derived from the service's key."""


class Once:
    """A request with an Idempotency-Key, which belongs to the principal's token. Without a key nothing is stored."""

    def __init__(self, principal: Principal, key: str | None, body: str, sealer: Sealer, *, now: datetime) -> None:
        self._principal = principal
        self._key = key
        self._now = now
        self._hash = "" if key is None else _hash(sealer.derive(LABEL), principal.token_id, key, body)

    def known(self, tx: Transaction) -> Accepted | None:
        """The result of the same earlier request; None if the request is new.

        Raises `IdempotencyMismatch`, and `UnknownEnvironment` when the environment that it created no longer exists.
        """
        known = None if self._key is None else tx.requests.find(self._principal.token_id, self._key)
        if known is None:
            return None
        if not hmac.compare_digest(known.request_hash, self._hash):
            raise IdempotencyMismatch(f"The Idempotency-Key {self._key!r} was used for another request.")
        environment = tx.environments.get(known.environment_id)
        if environment is None or not sees(tx, self._principal, environment):
            raise UnknownEnvironment("The environment that was created with this Idempotency-Key no longer exists.")
        return Accepted(environment, known.deployment_id)

    def remember(self, tx: Transaction, environment: Environment, deployment_id: str) -> None:
        """Stores the result of the request."""
        if self._key is not None:
            request = KnownRequest(self._hash, environment.id, deployment_id)
            tx.requests.add(self._principal.token_id, self._key, request, self._now)


def _hash(key: bytes, token_id: str, idempotency_key: str, body: str) -> str:
    """The hash covers the token and the Idempotency-Key too, so equal requests of two people have different hashes."""
    text = json.dumps([token_id, idempotency_key, body])
    return hmac.new(key, text.encode(), sha256).hexdigest()
