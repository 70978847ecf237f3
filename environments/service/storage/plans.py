"""The port to the database: saved plans, and requests with an Idempotency-Key."""

from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.plan import Plan


class KnownRequest(NamedTuple):
    """What an Idempotency-Key stood for. `request_hash`: see `environments.service.idempotency`."""

    request_hash: str
    environment_id: str
    deployment_id: str


class Requests(Protocol):
    """Idempotency keys, each for one token."""

    def find(self, token_id: str, key: str) -> KnownRequest | None:
        """What the key stands for already."""
        ...

    def add(self, token_id: str, key: str, request: KnownRequest, now: datetime) -> None:
        """Remembers the key."""
        ...


class Plans(Protocol):
    """Saved plans."""

    def add(self, plan: Plan, sealed: bytes | None = None) -> None:
        """Keeps a plan; `sealed` are the encrypted secret parameters of the request."""
        ...

    def get(self, plan_id: str) -> Plan | None:
        """One plan."""
        ...

    def sealed(self, plan_id: str) -> bytes | None:
        """The encrypted secret parameters of the request."""
        ...

    def living(self, owner: str, now: datetime) -> list[datetime]:
        """When those of an owner expire that can still be applied, the next first.

        In a writing transaction one at a time looks at an owner's.
        """
        ...

    def use(self, plan_id: str, deployment_id: str) -> bool:
        """Notes the deployment that applies the plan; False if another one has it already."""
        ...

    def forget(self, before: datetime) -> int:
        """Deletes plans that expired before a moment, unless an unfinished deployment keeps to them; how many."""
        ...
