"""Claims the prefix of an environment in Consul's key-value store before anything is written below it."""

import json
from collections.abc import Sequence
from typing import ClassVar

from environments.domain.counting import counted
from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError
from environments.domain.names import kv_prefix
from environments.domain.plan import Action, Change
from environments.providers.consul.ports import (
    Create,
    Entry,
    KeyValueStore,
    Operation,
    Put,
    Remove,
    RemoveTree,
    Unchanged,
)
from environments.steps.base import Intended, Observation, Owner, Presence, StepRun
from environments.steps.changes import change
from environments.steps.marks import ABSENT, MENDS_MARK, foreign, whose_id

PREFIX_KIND = "consul.kv"
MARKER = ".owner"
"""Name of the key with the id of the prefix's environment."""

_TRIES = 5


LARGEST_VALUE = 512 * 1024
"""Bytes of a value: Consul's own default limit (`limits.kv_max_value_size`)."""

LARGEST_TRANSACTION = 512 * 1024
"""Bytes of the body of a transaction, in which values are base64 (`limits.txn_max_req_len`)."""

MOST_OPERATIONS = 60
"""Operations in one transaction; Consul's limit is 64 in all versions."""

_AROUND = 120
"""Bytes of an operation in the body of a transaction, without its key and value; measured: 85."""


def body_size(change: Operation) -> int:
    """The most bytes that an operation takes in the body of a transaction."""
    name = change.prefix if isinstance(change, RemoveTree) else change.key
    value = 4 * -(-len(change.value) // 3) if isinstance(change, Put | Create) else 0
    return len(json.dumps(name)) + value + _AROUND


def batches(changes: Sequence[Operation], condition: Operation | None = None) -> list[list[Operation]]:
    """The operations, split into transactions within Consul's limits, in their order.

    Each begins with the `condition`. An operation that is too large gets a transaction of its own.
    """
    begun = [] if condition is None else [condition]
    empty = sum(map(body_size, begun))
    found: list[list[Operation]] = []
    size = 0
    for one in changes:
        added = body_size(one)
        if not found or len(found[-1]) == MOST_OPERATIONS or size + added > LARGEST_TRANSACTION:
            found.append([*begun])
            size = empty
        found[-1].append(one)
        size += added
    return found


def prefix_resource(owner: Owner) -> Intended:
    """The prefix in the inventory."""
    return Intended(_ref(owner), shared=True, rank=10)


def claim_prefix(store: KeyValueStore, owner: Owner, run: StepRun) -> list[ResourceRef]:
    """Marks the prefix as the environment's; returns the resources to record as held.

    Parallel steps may call it at the same time. Keys that exist before, or appear meanwhile, make the prefix
    foreign unless the environment holds it already. Raises `ForeignResource`.
    """
    prefix, wanted, made = kv_prefix(owner.name), owner.id.encode(), False
    for _ in range(_TRIES):
        name = prefix + MARKER
        marker = store.entry(name)
        if marker is not None and marker.value == wanted:
            if made:
                _check_since(store, marker, owner)
            break
        _check(store, marker, owner)
        run.before_effect()
        made = store.commit(
            [Create(name, wanted)] if marker is None else [Unchanged(name, marker.index), Put(name, wanted)]
        )
    else:
        raise BackendError(f"The mark of {prefix} in Consul keeps changing while we write it.")
    return owner.unheld(_ref(owner))


def check_prefix(store: KeyValueStore, owner: Owner) -> None:
    """Raises `ForeignResource` where `claim_prefix` would. Reads only."""
    _check(store, store.entry(kv_prefix(owner.name) + MARKER), owner)


def plan_prefix(store: KeyValueStore, owner: Owner) -> list[Change]:
    """What `claim_prefix` would do. Raises `ForeignResource`."""
    prefix = kv_prefix(owner.name)
    marker = store.entry(prefix + MARKER)
    if marker is not None and marker.value == owner.id.encode():
        return []
    _check(store, marker, owner)
    if marker is None and not store.keys(prefix):
        return [change(Action.CREATE, PREFIX_KIND, prefix, after=owner.id)]
    return [change(Action.CHANGE, PREFIX_KIND, prefix, after=owner.id, details=[MENDS_MARK])]


def whose_prefix(marker: Entry | None, owner: Owner) -> Presence:
    """The owner of the prefix with that marker."""
    held = owner.holds(PREFIX_KIND, kv_prefix(owner.name))
    return whose_id(None if marker is None else marker.value.decode(errors="replace"), owner, held=held)


class PrefixHandler:
    """Observes and removes the prefix of an environment (`environments/<name>/`) with every key, whoever wrote it."""

    kind: ClassVar[str] = PREFIX_KIND
    place: ClassVar[bool] = True

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts the keys. Without our mark they are foreign, unless the environment holds the prefix."""
        keys = self._store.keys(address)
        if not keys:
            return ABSENT
        marker = self._store.entry(address + MARKER)
        presence = whose_prefix(marker, owner)
        return Observation(presence, f"{counted(len(keys), 'key')}{_other(marker, address, presence)}")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Deletes all keys and the marker in one transaction, for any number and names of keys."""
        name = address + MARKER
        for _ in range(_TRIES):
            if not self._store.keys(address):
                return
            marker = self._store.entry(name)
            if whose_prefix(marker, owner) is Presence.FOREIGN:
                return
            run.before_effect()
            if marker is None:
                # Write the marker first: if the prefix is claimed at this moment, one of the two transactions fails.
                self._store.commit([Create(name, owner.id.encode())])
            elif self._store.commit([Unchanged(name, marker.index), RemoveTree(address)]):
                return
        raise BackendError(f"The keys under {address} in Consul keep changing while we delete them.")


def _ref(owner: Owner) -> ResourceRef:
    return ResourceRef(kind=PREFIX_KIND, address=kv_prefix(owner.name))


def _check(store: KeyValueStore, marker: Entry | None, owner: Owner) -> None:
    """Raises `ForeignResource` if the prefix can't be claimed because `marker` isn't ours."""
    prefix = kv_prefix(owner.name)
    if whose_prefix(marker, owner) is Presence.OURS:
        return
    keys = store.keys(prefix)
    # Another step of this environment may have claimed it between the two reads.
    if keys and whose_prefix(store.entry(prefix + MARKER), owner) is Presence.FOREIGN:
        raise foreign(f"a folder {prefix} in Consul", owner, [key.removeprefix(prefix) or "/" for key in keys])


def _check_since(store: KeyValueStore, marker: Entry, owner: Owner) -> None:
    """Raises `ForeignResource` if a key below a new mark is older than the mark, and removes the mark."""
    prefix = kv_prefix(owner.name)
    if owner.holds(PREFIX_KIND, prefix):
        return
    older = [key for key, entry in store.tree(prefix).items() if entry.index < marker.index]
    if older and store.commit([Unchanged(prefix + MARKER, marker.index), Remove(prefix + MARKER)]):
        raise foreign(f"a folder {prefix} in Consul", owner, [key.removeprefix(prefix) or "/" for key in older])


def _other(marker: Entry | None, address: str, presence: Presence) -> str:
    if marker is None or presence is Presence.OURS:
        return ""
    return f"; {address}{MARKER} names {marker.value[:60].decode(errors='replace')!r}"
