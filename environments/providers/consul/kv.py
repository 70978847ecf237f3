"""`consul.kv`: an environment's configuration, as keys under its own prefix."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from environments.domain.errors import BackendError, CalvinverseError, InvalidTemplate
from environments.domain.faults import Fault, Path
from environments.domain.names import kv_prefix
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.providers.consul.ports import (
    Entry,
    KeyValueStore,
    Operation,
    Put,
    Remove,
    Unchanged,
)
from environments.providers.consul.prefix import (
    LARGEST_TRANSACTION,
    LARGEST_VALUE,
    MARKER,
    PREFIX_KIND,
    batches,
    body_size,
    claim_prefix,
    plan_prefix,
    prefix_resource,
    whose_prefix,
)
from environments.service.expression_faults import expression_faults
from environments.service.rendering import render, whole_expression
from environments.service.shapes import ANYTHING, TEXT, Shape, table
from environments.steps.base import Intended, Options, Owner, Presence, StepContext, StepRun
from environments.steps.changes import change, moved, shown
from environments.steps.options import faults

_TRIES = 5
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class ConsulKvOptions(Options):
    """`keys`: name below the prefix → value. Strings are written as they are, other values as JSON: null as `null`.

    With `encoding = "json"` strings are JSON, too. A value has at most 524288 bytes in UTF-8, Consul's own limit.
    """

    keys: dict[str, Any] = Field(min_length=1)
    encoding: Literal["text", "json"] = "text"


class ConsulKv:
    """Writes keys, and deletes keys that an earlier version of the step wrote and this one doesn't."""

    kind: ClassVar[str] = "consul.kv"
    options: ClassVar[type[Options]] = ConsulKvOptions
    time_limit: ClassVar[timedelta] = timedelta(seconds=30)
    description: ClassVar[str] = "Writes configuration to Consul's key-value store, under environments/<name>/."

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Faults: unknown options, impossible names of keys, and constant values that are too large."""
        found = faults(ConsulKvOptions, options)
        keys = options.get("keys")
        if isinstance(keys, dict):
            said = {key: _bad_key(key) for key in keys if not _KEY.fullmatch(key)}
            said |= {key: fault for key, value in keys.items() if (fault := _literal_fault(key, value, options))}
            found += [Fault(path=("with", "keys", key), message=message) for key, message in said.items()]
        return found

    @classmethod
    def claims(cls, options: Mapping[str, Any], bundle: Bundle) -> dict[str, Path]:
        """The step's keys."""
        keys = options.get("keys")
        return {f"the key {key!r} in Consul": ("with", "keys", key) for key in keys} if isinstance(keys, dict) else {}

    @classmethod
    def gives(cls, options: Mapping[str, Any], bundle: Bundle) -> Shape:
        """The shape of what `apply` returns."""
        keys = options.get("keys")
        return table({"prefix": TEXT, "keys": table(dict.fromkeys(keys, TEXT)) if isinstance(keys, dict) else ANYTHING})

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The environment's prefix."""
        return [prefix_resource(context.owner)]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Returns `prefix`, and `keys`: name → full key."""
        options: ConsulKvOptions = context.options
        prefix, wanted = kv_prefix(context.owner.name), _wanted(context)
        run.hold(claim_prefix(self._store, context.owner, run))
        for _ in range(_TRIES):
            if self._write(prefix, wanted, context, run):
                return {"prefix": prefix, "keys": {name: prefix + name for name in options.keys}}
        raise BackendError(f"The keys under {prefix} in Consul keep changing while we write them.")

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """Each key that would be written or deleted, and the prefix if it must be claimed."""
        prefix, wanted = kv_prefix(context.owner.name), _wanted(context)
        changes = plan_prefix(self._store, context.owner)
        tree = self._store.tree(prefix)
        for key, value in wanted.items():
            entry = tree.get(key)
            after = [value.hex(), step_flags(context.step)]
            if entry is None:
                line = f"value: {shown(value)}"
                changes.append(change(Action.CREATE, PREFIX_KIND, key, after=after, details=[line]))
            elif (before := [entry.value.hex(), entry.flags]) != after:
                # A key that was written by hand has lost the mark of its step, even if the value is the same.
                line = (
                    moved("value", entry.value, value)
                    if entry.value != value
                    else "will be marked as a key of this step again"
                )
                changes.append(change(Action.CHANGE, PREFIX_KIND, key, before=before, after=after, details=[line]))
        return changes + [_deletion(key, tree[key]) for key in _of_step(tree, context.step) if key not in wanted]

    def plan_removal(self, step: str, owner: Owner) -> Sequence[Change]:
        """Deletions of the keys that the step wrote below the prefix, which all steps share."""
        tree = self._store.tree(kv_prefix(owner.name))
        if whose_prefix(tree.get(kv_prefix(owner.name) + MARKER), owner) is not Presence.OURS:
            return ()
        return [_deletion(key, tree[key]) for key in _of_step(tree, step)]

    def remove(self, step: str, owner: Owner, run: StepRun) -> None:
        """Deletes those keys."""
        prefix = kv_prefix(owner.name)
        for _ in range(_TRIES):
            tree = self._store.tree(prefix)
            marker = tree.get(prefix + MARKER)
            keys = _of_step(tree, step) if whose_prefix(marker, owner) is Presence.OURS else []
            condition = Unchanged(prefix + MARKER, marker.index) if marker else None
            for batch in batches([Remove(key) for key in keys], condition):
                run.before_effect()
                if not self._store.commit(batch):
                    break
            else:
                return
        raise BackendError(f"The keys under {prefix} in Consul keep changing while we delete some of them.")

    def _write(self, prefix: str, wanted: Mapping[str, bytes], context: StepContext, run: StepRun) -> bool:
        tree = self._store.tree(prefix)
        flags = step_flags(context.step)
        changes: list[Operation] = [
            Put(key, value, flags)
            for key, value in wanted.items()
            if key not in tree or (tree[key].value, tree[key].flags) != (value, flags)
        ]
        changes += [Remove(key) for key in _of_step(tree, context.step) if key not in wanted]
        if not changes:
            return True
        marker = tree.get(prefix + MARKER)
        if marker is None or marker.value != context.owner.id.encode():
            claim_prefix(self._store, context.owner, run)
            return False
        condition = Unchanged(prefix + MARKER, marker.index)
        room = LARGEST_TRANSACTION - body_size(condition)
        large = {one.key: one for one in changes if isinstance(one, Put) and body_size(one) > room}
        small = [one for one in changes if not isinstance(one, Put) or one.key not in large]
        for batch in batches(small, condition):
            run.before_effect()
            if not self._store.commit(batch):
                return False
        return all(self._write_large(one, condition, run) for one in large.values())

    def _write_large(self, change: Put, condition: Unchanged, run: StepRun) -> bool:
        """Writes a value that is too large for a transaction, so no condition on the marker is possible.

        The condition is on the key itself, which must not change while the prefix is ours: a destroy of the environment
        meanwhile deletes the key, and then nothing is written.
        """
        entry = self._store.entry(change.key)
        if entry is None:
            run.before_effect()
            if not self._store.commit([condition, Put(change.key, b"", change.flags)]):
                return False
            entry = self._store.entry(change.key)
        if entry is None or not self._store.commit([condition]):
            return False
        run.before_effect()
        return self._store.replace(change.key, change.value, change.flags, entry.index)


def step_flags(step: str) -> int:
    """The flags of the keys that a step writes: 63 bits of a digest of its name, never 0."""
    return int.from_bytes(hashlib.sha256(step.encode()).digest()[:8], "big") >> 1 or 1


def _of_step(tree: Mapping[str, Entry], step: str) -> list[str]:
    flags = step_flags(step)
    return [key for key, entry in tree.items() if entry.flags == flags]


def _deletion(key: str, entry: Entry) -> Change:
    before = [entry.value.hex(), entry.flags]
    return change(Action.DESTROY, PREFIX_KIND, key, before=before, details=[f"value: {shown(entry.value)}"])


def _wanted(context: StepContext) -> dict[str, bytes]:
    options: ConsulKvOptions = context.options
    prefix = kv_prefix(context.owner.name)
    return {prefix + name: _encode(name, value, options.encoding) for name, value in options.keys.items()}


def _bad_key(name: str) -> str:
    return f"{name!r} can't be a key; use letters, digits, '_', '-', '.' and '/' between names"


def _encode(name: str, value: Any, encoding: str) -> bytes:
    if not _KEY.fullmatch(name):
        raise InvalidTemplate(f"{_bad_key(name)}.")
    encoded = _text(value, encoding).encode()
    if len(encoded) > LARGEST_VALUE:
        raise InvalidTemplate(
            f"The value of key {name!r} has {len(encoded)} bytes; Consul takes at most {LARGEST_VALUE}.",
            hint="Make it smaller, or give its parts keys of their own.",
        )
    return encoded


def _text(value: Any, encoding: str) -> str:
    return value if isinstance(value, str) and encoding == "text" else json.dumps(value, ensure_ascii=False)


def _literal_fault(name: str, value: Any, options: Mapping[str, Any]) -> str | None:
    """The fault of a constant value; None if there is none, or if the value isn't known yet."""
    if isinstance(value, str) and next(expression_faults(value, ANYTHING), None) is not None:
        return None  # reported with all expressions of a step
    try:
        _encode(name, _constant(name, value), options.get("encoding", "text"))
    except InvalidTemplate as error:
        if not _KEY.fullmatch(name):
            return None
        said = error.message.rstrip(".")
        return said if said.startswith("with.keys") else f"with.keys: {said[0].lower()}{said[1:]}"
    except (CalvinverseError, TypeError, ValueError, MemoryError):
        return None
    return None


def _constant(name: str, value: Any) -> Any:
    """The value, or that of a text which is one expression without names. Raises `TypeError` for other expressions."""
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        whole = whole_expression(value)
        if whole is None or whole.names:
            raise TypeError("it is known only when it is rendered")
        return render(value, {}, f"with.keys.{name}")
    return value
