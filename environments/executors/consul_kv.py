"""`consul.kv`: an environment's configuration, as keys under its own prefix."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field

from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendError, InvalidTemplate
from environments.domain.names import kv_prefix
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.executors.base import Intended, Observation, Options, Owner, Presence, StepContext, StepRun
from environments.executors.changes import change, moved, shown
from environments.executors.marks import ABSENT, foreign
from environments.executors.options import faults

PREFIX_KIND = "consul.kv"
MARKER = ".owner"
"""Name of the key that holds the id of a prefix's environment."""

LARGEST_VALUE = 512 * 1024
"""Bytes; Consul's own default limit (`kv_max_value_size`)."""

_BATCH = 60
"""Changes in one transaction; Consul takes 64 in all versions."""

_TRIES = 5
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True)
class Entry:
    """A key's value, its flags (which we use to note the step that wrote it) and the index of its last change."""

    value: bytes
    flags: int
    index: int


@dataclass(frozen=True)
class Put:
    """Sets a key."""

    key: str
    value: bytes
    flags: int = 0


@dataclass(frozen=True)
class Create:
    """Sets a key that must not exist yet."""

    key: str
    value: bytes


@dataclass(frozen=True)
class Remove:
    """Deletes a key, if it is there."""

    key: str


@dataclass(frozen=True)
class RemoveTree:
    """Deletes every key that begins with the prefix."""

    prefix: str


@dataclass(frozen=True)
class Unchanged:
    """Changes nothing, but fails the commit if the key was changed since `index`."""

    key: str
    index: int


Operation = Put | Create | Remove | RemoveTree | Unchanged
"""A part of a transaction."""


class KeyValueStore(Protocol):
    """What this step needs of Consul."""

    def tree(self, prefix: str) -> dict[str, Entry]:
        """Every key that begins with the prefix."""
        ...

    def commit(self, changes: Sequence[Operation]) -> bool:
        """Makes all changes (at most 60) or, when a condition of one doesn't hold, none; then it gives False."""
        ...


class ConsulKvOptions(Options):
    """`keys`: name below the prefix → value. Strings are written as they are, other values as JSON.

    With `encoding = "json"` strings are JSON, too.
    """

    keys: dict[str, Any] = Field(min_length=1)
    encoding: Literal["text", "json"] = "text"


class ConsulKv:
    """Writes keys; keys that an earlier version of the step wrote and this one doesn't are deleted."""

    kind: ClassVar[str] = "consul.kv"
    options: ClassVar[type[Options]] = ConsulKvOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=30)
    description: ClassVar[str] = "Writes configuration to Consul's key-value store, under environments/<name>/."

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[str]:
        """Unknown options and impossible names of keys."""
        found = faults(ConsulKvOptions, options)
        keys = options.get("keys")
        return found + ([_bad_key(key) for key in keys if not _KEY.fullmatch(key)] if isinstance(keys, dict) else [])

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The environment's prefix."""
        return [Intended(ResourceRef(kind=PREFIX_KIND, address=kv_prefix(context.owner.name)), shared=True, rank=10)]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Gives `prefix`, and `keys`: name → full key."""
        options: ConsulKvOptions = context.options
        prefix, wanted = kv_prefix(context.owner.name), _wanted(context)
        for _ in range(_TRIES):
            if self._write(prefix, wanted, context, run):
                return {"prefix": prefix, "keys": {name: prefix + name for name in options.keys}}
        raise BackendError(f"The keys under {prefix} in Consul keep changing while we write them.")

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """Each key that would be written or deleted, and the prefix itself where it isn't there."""
        prefix, wanted = kv_prefix(context.owner.name), _wanted(context)
        tree = self._tree(prefix, context.owner)
        changes = [] if tree else [change(Action.CREATE, PREFIX_KIND, prefix, after=context.owner.id)]
        for key, value in wanted.items():
            entry = tree.get(key)
            after = [value.hex(), step_flags(context.step)]
            if entry is None:
                line = f"value: {shown(value)}"
                changes.append(change(Action.CREATE, PREFIX_KIND, key, after=after, details=[line]))
            elif (before := [entry.value.hex(), entry.flags]) != after:
                # A key that was written by hand has lost the mark of its step, even if the value is the same.
                line = moved("value", entry.value, value) if entry.value != value else "is marked as this step's again"
                changes.append(change(Action.CHANGE, PREFIX_KIND, key, before=before, after=after, details=[line]))
        return changes + [_deletion(key, tree[key]) for key in _of_step(tree, context.step) if key not in wanted]

    def leavings(self, step: str, owner: Owner) -> Sequence[Change]:
        """The keys that the step wrote: they are below the prefix that all steps share."""
        tree = self._store.tree(kv_prefix(owner.name))
        if _whose(tree, kv_prefix(owner.name), owner) is not Presence.OURS:
            return ()
        return [_deletion(key, tree[key]) for key in _of_step(tree, step)]

    def clear(self, step: str, owner: Owner, run: StepRun) -> None:
        """Deletes those keys."""
        prefix = kv_prefix(owner.name)
        for _ in range(_TRIES):
            tree = self._store.tree(prefix)
            keys = _of_step(tree, step) if _whose(tree, prefix, owner) is Presence.OURS else []
            condition = [Unchanged(prefix + MARKER, tree[prefix + MARKER].index)] if keys else []
            for batch in _batches([Remove(key) for key in keys]):
                run.before_effect()
                if not self._store.commit([*condition, *batch]):
                    break
            else:
                return
        raise BackendError(f"The keys under {prefix} in Consul keep changing while we delete some of them.")

    def _tree(self, prefix: str, owner: Owner) -> dict[str, Entry]:
        tree = self._store.tree(prefix)
        if tree and _whose(tree, prefix, owner) is Presence.FOREIGN:
            raise foreign(f"a folder {prefix} in Consul", owner)
        return tree

    def _write(self, prefix: str, wanted: Mapping[str, bytes], context: StepContext, run: StepRun) -> bool:
        tree = self._tree(prefix, context.owner)
        flags = step_flags(context.step)
        changes: list[Operation] = [
            Put(key, value, flags)
            for key, value in wanted.items()
            if key not in tree or (tree[key].value, tree[key].flags) != (value, flags)
        ]
        changes += [Remove(key) for key in _of_step(tree, context.step) if key not in wanted]
        marker = tree.get(prefix + MARKER)
        condition: Operation = (
            Unchanged(prefix + MARKER, marker.index) if marker else Create(prefix + MARKER, context.owner.id.encode())
        )
        if not changes:
            return True
        first, *rest = _batches(changes)
        run.before_effect()
        if not self._store.commit([condition, *first]):
            return False
        # What doesn't fit into the first transaction is written by another round, which finds the marker.
        return not rest or self._write(prefix, wanted, context, run)


class PrefixHandler:
    """Knows the prefix of an environment (`environments/<name>/`); ours is what holds our marker."""

    kind: ClassVar[str] = PREFIX_KIND

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    def observe(self, address: str, owner: Owner) -> Observation:
        """Counts the keys."""
        tree = self._store.tree(address)
        if not tree:
            return ABSENT
        return Observation(_whose(tree, address, owner), f"{len(tree)} keys")

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Deletes all keys and the marker in one transaction."""
        for _ in range(_TRIES):
            tree = self._store.tree(address)
            if not tree or _whose(tree, address, owner) is not Presence.OURS:
                return
            run.before_effect()
            if self._store.commit([Unchanged(address + MARKER, tree[address + MARKER].index), RemoveTree(address)]):
                return
        raise BackendError(f"The keys under {address} in Consul keep changing while we delete them.")


def step_flags(step: str) -> int:
    """The flags of the keys that a step writes: 63 bits of a digest of its name, never 0."""
    return int.from_bytes(hashlib.sha256(step.encode()).digest()[:8], "big") >> 1 or 1


def _whose(tree: Mapping[str, Entry], prefix: str, owner: Owner) -> Presence:
    marker = tree.get(prefix + MARKER)
    return Presence.OURS if marker and marker.value == owner.id.encode() else Presence.FOREIGN


def _of_step(tree: Mapping[str, Entry], step: str) -> list[str]:
    flags = step_flags(step)
    return [key for key, entry in tree.items() if entry.flags == flags]


def _deletion(key: str, entry: Entry) -> Change:
    before = [entry.value.hex(), entry.flags]
    return change(Action.DESTROY, PREFIX_KIND, key, before=before, details=[f"value: {shown(entry.value)}"])


def _batches(operations: Sequence[Operation]) -> list[Sequence[Operation]]:
    """As many as fit into one transaction beside its condition."""
    size = _BATCH - 1
    return [operations[start : start + size] for start in range(0, len(operations), size)]


def _wanted(context: StepContext) -> dict[str, bytes]:
    options: ConsulKvOptions = context.options
    prefix = kv_prefix(context.owner.name)
    return {prefix + name: _encode(name, value, options.encoding) for name, value in options.keys.items()}


def _bad_key(name: str) -> str:
    return f"{name!r} can't be a key; use letters, digits, '_', '-', '.' and '/' between names"


def _encode(name: str, value: Any, encoding: str) -> bytes:
    if not _KEY.fullmatch(name):
        raise InvalidTemplate(f"{_bad_key(name)}.")
    text = value if isinstance(value, str) and encoding == "text" else json.dumps(value, ensure_ascii=False)
    encoded = text.encode()
    if len(encoded) > LARGEST_VALUE:
        raise InvalidTemplate(f"The value of key {name!r} has {len(encoded)} bytes; Consul takes {LARGEST_VALUE}.")
    return encoded
