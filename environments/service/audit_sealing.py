"""Seals of audit entries and the hashes that chain them: HMAC-SHA-256 with a key that the database doesn't hold."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

KEY_LABEL = "calvinverse audit log"
"""The key is derived from the service's sealing key by this label."""

FIELDS = (
    "id",
    "at",
    "action",
    "actor",
    "actor_kind",
    "role",
    "token_id",
    "behalf",
    "address",
    "request",
    "object_kind",
    "object_id",
    "object_name",
    "template",
    "before",
    "after",
    "outcome",
    "code",
    "reason",
    "rule",
    "count",
)
"""What a seal covers, as stored."""


def entry_seal(key: bytes, row: Mapping[str, Any]) -> str:
    """The seal of an entry (column → value as stored), in hex."""
    return _mac(key, "entry", {name: _plain(row[name]) for name in FIELDS})


def link_hash(key: bytes, entry_id: int, position: int, previous: str, seal: str) -> str:
    """The hash of an entry at its place in the chain, in hex; `previous` is the one before it, empty at first."""
    return _mac(key, "link", [entry_id, position, previous, seal])


def checkpoint_seal(key: bytes, position: int, hash: str, pruned: int, at: datetime) -> str:
    """The seal of a checkpoint, in hex."""
    return _mac(key, "checkpoint", [position, hash, pruned, _plain(at)])


def same(one: str | None, other: str) -> bool:
    """Compares two of these without telling by its time where they differ."""
    return one is not None and hmac.compare_digest(one.encode(errors="replace"), other.encode())


def _mac(key: bytes, what: str, value: Any) -> str:
    canonical = json.dumps([what, value], sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=repr)
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
