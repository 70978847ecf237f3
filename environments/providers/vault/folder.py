"""Claims the folder of an environment in OpenBao before anything is written there.

Secrets that modules and people write there have no mark, and jobs can read all of them. So the folder has a mark.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import ClassVar

from environments.domain.counting import counted
from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError
from environments.domain.names import kv_prefix
from environments.domain.plan import Action, Change
from environments.providers.vault.ports import MOUNT, SecretHead, SecretStore
from environments.steps.base import Intended, Observation, Owner, Presence, StepRun
from environments.steps.changes import change
from environments.steps.marks import ABSENT, MARK, foreign, mark, whose

FOLDER_KIND = "vault.folder"

_MARKER = ".owner"
_NAMED = 3
_BATCH = 500
"""Secrets that are listed and removed in one batch."""

THREADS: Callable[[], Executor] = partial(ThreadPoolExecutor, 8)
"""Creates a pool of threads for removals."""


def folder(environment: str) -> str:
    """The address of the folder."""
    return f"{MOUNT}/{kv_prefix(environment)}"


def folder_marker(environment: str) -> str:
    """The address of the secret that has the mark in its metadata, and no version."""
    return folder(environment) + _MARKER


def folder_resource(owner: Owner) -> Intended:
    """The folder in the inventory."""
    return Intended(_ref(owner), shared=True, rank=12)


def held_by(owner: Owner) -> bool:
    """Whether the environment holds the folder, according to the inventory."""
    return owner.holds(FOLDER_KIND, folder(owner.name))


def claim_folder(store: SecretStore, owner: Owner, run: StepRun) -> list[ResourceRef]:
    """Marks the folder as the environment's; returns the resources to record as held. Raises `ForeignResource`."""
    head = _check(store, owner)
    if head is None or head.metadata.get(MARK) != owner.id:
        run.before_effect()
        store.mark(_path(folder_marker(owner.name)), mark(owner))
    return owner.unheld(_ref(owner))


def check_folder(store: SecretStore, owner: Owner) -> None:
    """Raises `ForeignResource` where `claim_folder` would, which is if there are foreign secrets. Reads only."""
    _check(store, owner)


def plan_folder(store: SecretStore, owner: Owner) -> list[Change]:
    """What `claim_folder` would do. Raises `ForeignResource`."""
    head = _check(store, owner)
    if head is not None and head.metadata.get(MARK) == owner.id:
        return []
    return [change(Action.CREATE, FOLDER_KIND, folder(owner.name), after=owner.id)]


class FolderHandler:
    """Observes and removes an environment's folder (`secret/environments/<name>/`) with every secret, whoever wrote it.

    If the folder has no mark and the environment doesn't hold it, only secrets with the environment's mark are ours.
    """

    kind: ClassVar[str] = FOLDER_KIND
    place: ClassVar[bool] = True

    def __init__(self, store: SecretStore, pool: Callable[[], Executor] = THREADS) -> None:
        """`pool` makes a pool for each batch, in which secrets are removed in parallel."""
        self._store = store
        self._pool = pool

    def observe(self, address: str, owner: Owner) -> Observation:
        """Lists the secrets. Metadata remains even when all versions are deleted."""
        first = self._store.paths(_path(address), _BATCH)
        if not first:
            return ABSENT
        head = self._marker(address)
        names = sorted(path.removeprefix(_path(address)) for path in first)
        shown = ", ".join(repr(name)[1:-1] for name in names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        detail = f"{counted(len(first), 'secret', more=len(first) == _BATCH)}: {shown}"
        if _whose(head, owner) is Presence.OURS:
            return Observation(Presence.OURS, detail)
        if head is not None:
            other = str(head.metadata.get(MARK, ""))[:60]
            return Observation(Presence.FOREIGN, f"{detail}; {address}{_MARKER} names {other!r}")
        return Observation(Presence.FOREIGN, detail)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes all versions and the metadata of each secret, including new ones, and then the marker."""
        before: list[str] = []
        while True:
            head = self._marker(address)
            if _whose(head, owner) is Presence.FOREIGN:
                return
            marker = _path(address) + _MARKER
            some = [path for path in self._store.paths(_path(address), _BATCH + 1) if path != marker]
            if not some:
                break
            if some == before:
                names = ", ".join(repr(path)[1:-1] for path in some[:_NAMED])
                raise BackendError(f"OpenBao still has secrets after their removal: {names}.")
            before = some
            _side_by_side(self._pool(), self._store.remove, some, run)
        if head is not None:
            run.before_effect()
            self._store.remove(marker)

    def _marker(self, address: str) -> SecretHead | None:
        return self._store.head(_path(address) + _MARKER)


def _ref(owner: Owner) -> ResourceRef:
    return ResourceRef(kind=FOLDER_KIND, address=folder(owner.name))


def _whose(marker: SecretHead | None, owner: Owner) -> Presence:
    return whose(None if marker is None else marker.metadata, owner, held=held_by(owner))


def _check(store: SecretStore, owner: Owner) -> SecretHead | None:
    """The marker. Raises `ForeignResource`."""
    address = folder(owner.name)
    marker = _path(folder_marker(owner.name))
    head = store.head(marker)
    if _whose(head, owner) is Presence.OURS:
        return head
    inside = _path(address)
    if head is not None:
        raise foreign(f"a folder {address} in OpenBao", owner, [_MARKER])
    strange = []
    for path in store.paths(inside, _BATCH):
        found = store.head(path)
        if found is not None and whose(found.metadata, owner) is Presence.FOREIGN:
            strange.append(path.removeprefix(inside))
    if not strange:
        return None
    # Another step of this environment may have claimed it between the two reads.
    head = store.head(marker)
    if _whose(head, owner) is Presence.FOREIGN:
        raise foreign(f"a folder {address} in OpenBao", owner, strange)
    return head


def _side_by_side(pool: Executor, remove: Callable[[str], None], paths: Sequence[str], run: StepRun) -> None:
    def one(path: str) -> None:
        run.before_effect()
        remove(path)

    with pool:
        for done in [pool.submit(one, path) for path in paths]:
            done.result()


def _path(address: str) -> str:
    return address.removeprefix(f"{MOUNT}/")
