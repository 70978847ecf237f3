"""The folder of an environment in OpenBao. What modules write there bears no mark, so the folder bears one."""

from typing import ClassVar

from environments.domain.names import kv_prefix
from environments.domain.plan import Action, Change
from environments.executors.base import Observation, Owner, Presence, StepRun
from environments.executors.changes import change
from environments.executors.marks import ABSENT, MARK, foreign, mark, whose
from environments.executors.vault_secret import MOUNT, SecretStore

FOLDER_KIND = "vault.folder"

_MARKER = ".owner"


def folder(environment: str) -> str:
    """The address of the folder."""
    return f"{MOUNT}/{kv_prefix(environment)}"


def folder_marker(environment: str) -> str:
    """The address of the secret without a version that bears the mark."""
    return folder(environment) + _MARKER


def ensure_folder(store: SecretStore, owner: Owner, run: StepRun) -> None:
    """Marks the folder. Raises `ForeignResource`."""
    if plan_folder(store, owner):
        run.before_effect()
        store.mark(_path(folder_marker(owner.name)), mark(owner))


def plan_folder(store: SecretStore, owner: Owner) -> list[Change]:
    """What `ensure_folder` would do. Raises `ForeignResource` when somebody else has secrets there."""
    address = folder(owner.name)
    head = store.head(_path(folder_marker(owner.name)))
    if head is None:
        for path in store.paths(_path(address)):
            found = store.head(path)
            if found is not None and whose(found.metadata, owner) is Presence.FOREIGN:
                raise foreign(f"a secret {MOUNT}/{path} in OpenBao", owner)
        return [change(Action.CREATE, FOLDER_KIND, address, after=owner.id)]
    if whose(head.metadata, owner) is Presence.FOREIGN:
        raise foreign(f"a folder {address} in OpenBao", owner)
    return []


class FolderHandler:
    """Knows what modules wrote into an environment's folder (`secret/environments/<name>/`): secrets without a mark.

    They are ours if the folder is. Secrets of steps bear marks, and have a handler of their own.
    """

    kind: ClassVar[str] = FOLDER_KIND

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts them; metadata stay even when all versions are deleted."""
        left = self._left(address)
        if not left:
            return ABSENT
        head = self._store.head(_path(address) + _MARKER)
        presence = Presence.FOREIGN if head is None else whose(head.metadata, owner)
        return Observation(presence, f"{len(left)} secrets of modules")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes all versions and the metadata of each."""
        if self.observe(address, owner).presence is Presence.OURS:
            for path in self._left(address):
                run.before_effect()
                self._store.remove(path)

    def _left(self, address: str) -> list[str]:
        heads = {path: self._store.head(path) for path in self._store.paths(_path(address))}
        return [path for path, head in heads.items() if head is not None and MARK not in head.metadata]


def _path(address: str) -> str:
    return address.removeprefix(f"{MOUNT}/")
