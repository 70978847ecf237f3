"""What the service stores for the step `opentofu.module`: states, and run records, which are sealed here."""

import base64
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from environments.domain.errors import StorageError
from environments.providers.opentofu.ports import ModuleKeys, StateAccess
from environments.service.module_access import StateHolder
from environments.service.module_states import ModuleStates
from environments.steps.base import Holder, Owner

_NONCE_BYTES = 12


class ServedStates:
    """Implements `StateBackend`. `address` tells where the states are served, such as `http://127.0.0.1:40123`."""

    def __init__(self, states: ModuleStates, address: Callable[[], str]) -> None:
        self._states = states
        self._address = address

    def open(self, owner: Owner, step: str, holder: Holder | None, *, encrypted: bool = True) -> StateAccess:
        """Access for one run of tofu; see `ModuleStates.open`. Raises `LeaseLost`."""
        credential = self._states.open(owner.id, step, None if holder is None else _holder(holder), encrypted=encrypted)
        return StateAccess(f"{self._address()}/v1/modules/{owner.id}/{step}/state", *credential)

    def exists(self, owner: Owner, step: str) -> bool:
        """Whether there is a state, or one was kept aside."""
        return self._states.exists(owner.id, step)

    def remove(self, owner: Owner, step: str, holder: Holder) -> None:
        """Deletes all versions, also those kept aside, and the run record and the lock. Raises `LeaseLost`."""
        self._states.remove(owner.id, step, _holder(holder))

    def keep_aside(self, owner: Owner, step: str, holder: Holder, content: bytes, why: str) -> None:
        """Keeps a state that tofu could not save."""
        self._states.keep_aside(owner.id, step, _holder(holder), content, why)

    def aside(self, owner: Owner, step: str) -> bytes | None:
        """The newest state kept aside that succeeds the current one."""
        return self._states.aside(owner.id, step)


class SealedRunRecords:
    """Implements `RunRecords`: AES-256-GCM with the environment's key, bound to the environment and the step."""

    def __init__(self, states: ModuleStates, keys: ModuleKeys) -> None:
        self._states = states
        self._keys = keys

    def save(self, owner: Owner, step: str, content: bytes, holder: Holder) -> None:
        """Replaces the run record of the step. Raises `LeaseLost`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(_raw(self._keys.key(owner))).encrypt(nonce, content, _bound_to(owner, step))
        self._states.save_run_record(owner.id, step, sealed, _holder(holder))

    def load(self, owner: Owner, step: str) -> bytes | None:
        """The run record of the step; None when there is none, or its key is gone. Raises `StorageError`."""
        sealed = self._states.run_record(owner.id, step)
        key = None if sealed is None else self._keys.existing(owner)
        if sealed is None or key is None:
            return None
        try:
            return AESGCM(_raw(key)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(owner, step))
        except (InvalidTag, ValueError) as error:
            raise StorageError(
                f"The run record of step {step!r} can't be read: it is sealed with another key than the environment's.",
                hint="Restore the key of the environment's modules in OpenBao.",
            ) from error


def _holder(holder: Holder) -> StateHolder:
    return StateHolder(holder.deployment, holder.worker, holder.epoch)


def _raw(key: str) -> bytes:
    return base64.b64decode(key)


def _bound_to(owner: Owner, step: str) -> bytes:
    return f"{owner.id}\0{step}".encode()
