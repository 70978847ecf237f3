"""The port to the database: what signing in needs beside people and tokens."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class GrantState(StrEnum):
    """How far a device grant has come; `used`: its session was given out, and nothing follows."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class DeviceGrant(NamedTuple):
    """A machine's request to be signed in (RFC 8628). Of its two codes only hashes (SHA-256, hex) are stored.

    `machine` is what the machine calls itself. `person`, `decided_at` and `until` are set once somebody has decided;
    `until` is when the approver's own session ends, at the latest.
    """

    id: str
    device_hash: str
    user_hash: str
    machine: str
    address: str
    requested_at: datetime
    expires_at: datetime
    interval: int
    polled_at: datetime | None = None
    state: GrantState = GrantState.PENDING
    person: str = ""
    decided_at: datetime | None = None
    until: datetime | None = None


class SignIns(Protocol):
    """Identity tokens that were used, device grants, and what claims came last."""

    def use(self, token_hash: str, expires_at: datetime, now: datetime) -> bool:
        """Remembers an identity token until it expires; False if it was used before. Forgets expired ones."""
        ...

    def add_grant(self, grant: DeviceGrant) -> None:
        """Adds a device grant, and forgets those that expired a day before it was requested."""
        ...

    def grants_of(self, address: str, now: datetime) -> int:
        """How many grants that haven't expired were requested from an address."""
        ...

    def grant_by_device(self, device_hash: str) -> DeviceGrant | None:
        """The grant of a device code. In a writing transaction nobody else can change it until that ends."""
        ...

    def grant_by_user(self, user_hash: str) -> DeviceGrant | None:
        """The grant of a user code; likewise."""
        ...

    def change_grant(self, grant_id: str, **values: Any) -> None:
        """Writes the named columns of a grant."""
        ...

    def deny_grants(self, person: str, now: datetime) -> None:
        """Denies what the person has approved and no machine has fetched yet."""
        ...

    def keep_report(self, person: str, report: Mapping[str, Any], at: datetime) -> None:
        """Keeps what claims came with somebody's sign-in, in place of those of the one before."""
        ...

    def report(self, person: str) -> tuple[dict[str, Any], datetime] | None:
        """What came with somebody's last sign-in, and when that was."""
        ...
