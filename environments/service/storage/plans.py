"""The port to the database: saved plans, and requests with an Idempotency-Key."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.plan import Plan


class KnownRequest(NamedTuple):
    """The request that an Idempotency-Key belongs to. `request_hash`: see `environments.service.idempotency`."""

    request_hash: str
    environment_id: str
    deployment_id: str


class Requests(Protocol):
    """Idempotency-Keys, each of one token."""

    def find(self, token_id: str, key: str) -> KnownRequest | None:
        """The request that the key belongs to already."""
        ...

    def add(self, token_id: str, key: str, request: KnownRequest, now: datetime) -> None:
        """Stores the key."""
        ...


class Plans(Protocol):
    """Saved plans."""

    def add(self, plan: Plan, sealed: bytes | None = None) -> None:
        """Stores a plan; `sealed` has the encrypted secret parameters of the request."""
        ...

    def get(self, plan_id: str) -> Plan | None:
        """One plan."""
        ...

    def sealed(self, plan_id: str) -> bytes | None:
        """The encrypted secret parameters of the request."""
        ...

    def living(self, owner: str, now: datetime) -> list[datetime]:
        """When an owner's plans that can still be applied expire, the next first.

        In a writing transaction this locks the owner's plans: one transaction at a time can read them.
        """
        ...

    def use(self, plan_id: str, deployment_id: str) -> bool:
        """Records the deployment that applies the plan; False if another one has applied it already."""
        ...

    def forget(self, before: datetime) -> int:
        """Deletes plans that expired before a moment and that no unfinished deployment applies; returns how many."""
        ...
