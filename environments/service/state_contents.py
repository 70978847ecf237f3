"""What OpenTofu sends: states, and what it says of its locks. Neither is trusted."""

import json
from collections.abc import Mapping
from typing import Any

from environments.domain.errors import InvalidInput, StateNotEncrypted

LONGEST_LOCK_ID = 200

_PLAIN = frozenset({"resources", "outputs", "check_results"})
"""Keys of a state that isn't encrypted (OpenTofu's state format, version 4)."""


def check_content(content: bytes, encrypted: bool) -> None:
    """Raises `InvalidInput` for what is no state, and, if `encrypted`, `StateNotEncrypted` for a plain one."""
    try:
        state = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not a state of OpenTofu: it is not JSON.") from error
    if not isinstance(state, dict):
        raise InvalidInput("The body is not a state of OpenTofu: it is not a JSON object.")
    if encrypted and "encrypted_data" not in state and state.keys() & _PLAIN:
        raise StateNotEncrypted("The state is not encrypted, so it was not stored.")


def lock_id_of(info: Mapping[str, Any]) -> str:
    """The lock's id. Raises `InvalidInput` if it is missing, empty or too long."""
    lock_id = info.get("ID")
    if not isinstance(lock_id, str) or not 0 < len(lock_id) <= LONGEST_LOCK_ID:
        raise InvalidInput(f"The lock has no ID of at most {LONGEST_LOCK_ID} characters.")
    return lock_id


def lineage_and_serial(content: bytes) -> tuple[str, int]:
    """Lineage and serial of a state; they are not encrypted."""
    try:
        state = json.loads(content)
        return str(state.get("lineage") or ""), int(state.get("serial") or 0)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "", 0  # incomplete: kept aside for people
