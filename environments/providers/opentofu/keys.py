"""The key of an environment that encrypts what OpenTofu's modules keep: states, plans and run records.

It is stored beside the secrets of environments, not among them: jobs can read `environments/<name>/*`, but not this.
"""

import base64
import binascii
import secrets
from collections.abc import Callable
from typing import ClassVar

from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError
from environments.providers.opentofu.ports import MODULE_KEY_KIND
from environments.providers.vault.ports import MOUNT, SecretHead, SecretStore
from environments.steps.base import Intended, Observation, Owner, Presence, StepRun
from environments.steps.marks import ABSENT, foreign, mark, whose

KEY_BYTES = 32
_FIELD = "key"


def module_key_resource(owner: Owner) -> Intended:
    """The key in the inventory: it is removed when nothing is left that it encrypts."""
    return Intended(ResourceRef(kind=MODULE_KEY_KIND, address=owner.name), shared=True, rank=0)


class VaultModuleKeys:
    """Implements `ModuleKeys` on OpenBao's KV v2 mount `secret`, at `modules/<environment>`."""

    def __init__(self, store: SecretStore, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._store = store
        self._random = random

    def key(self, owner: Owner) -> str:
        """The key, created if there is none. Of two that create it at the same time, one gets the other's.

        Raises `ForeignResource`, `BackendError`.
        """
        path = _path(owner.name)
        head = self._store.head(path)
        _check(head, owner)
        if head is None:
            self._store.mark(path, mark(owner))
        if head is None or head.version == 0:
            made = base64.b64encode(self._random(KEY_BYTES)).decode()
            # Only as the first version: a key in use must never be replaced, or nothing could be read any more.
            if self._store.write(path, {_FIELD: made}, 0):
                return made
            _check(self._store.head(path), owner)
        return self._read(path)

    def existing(self, owner: Owner) -> str | None:
        """The key; None when there is none. Raises `ForeignResource`, `BackendError`."""
        path = _path(owner.name)
        head = self._store.head(path)
        _check(head, owner)
        return self._read(path) if head is not None and head.version else None

    def _read(self, path: str) -> str:
        found = (self._store.read(path) or {}).get(_FIELD)
        if not isinstance(found, str) or not _is_key(found):
            raise BackendError(
                f"The key of the environment's modules at {MOUNT}/{path} in OpenBao is deleted or was changed.",
                hint="Undelete the version, or restore it from a snapshot: without it no state can be read.",
            )
        return found


class ModuleKeyHandler:
    """Knows the key of an environment's modules (`<environment>`)."""

    kind: ClassVar[str] = MODULE_KEY_KIND

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def observe(self, address: str, owner: Owner) -> Observation:
        """Reads the metadata, which remain even when all versions are deleted."""
        head = self._store.head(_path(address))
        return ABSENT if head is None else Observation(whose(head.metadata, owner), f"version {head.version}")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes all versions and the metadata: what was encrypted with it can never be read again."""
        if self.observe(address, owner).presence is Presence.OURS:
            run.before_effect()
            self._store.remove(_path(address))


def _path(name: str) -> str:
    return f"modules/{name}"


def _check(head: SecretHead | None, owner: Owner) -> None:
    if head is not None and whose(head.metadata, owner) is Presence.FOREIGN:
        raise foreign(f"a key of modules {MOUNT}/{_path(owner.name)} in OpenBao", owner)


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except binascii.Error:
        return False
