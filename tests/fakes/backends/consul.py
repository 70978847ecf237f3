"""Consul in memory: keys, access control, catalogue and health."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from environments.domain.errors import BackendError
from environments.providers.consul.ports import (
    CONFIG_KINDS,
    ConfigEntry,
    Create,
    Entry,
    Instance,
    Operation,
    Policy,
    Put,
    Remove,
    RemoveTree,
    Rules,
)
from environments.providers.consul.prefix import LARGEST_TRANSACTION, LARGEST_VALUE, MOST_OPERATIONS, body_size
from environments.steps.base import Issued


class MemoryConsul:
    """Implements `KeyValueStore`, `AccessControl` and `Catalogue`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._index = 1
        self._keys: dict[str, Entry] = {}
        self._policies: dict[str, Policy] = {}
        self._tokens: dict[str, str] = {}
        self._instances: dict[str, Instance] = {}
        self._entries: set[ConfigEntry] = set()

    # --- KeyValueStore ---

    def tree(self, prefix: str) -> dict[str, Entry]:
        """Every key that begins with the prefix."""
        with self._changed:
            return {key: self._keys[key] for key in sorted(self._keys) if key.startswith(prefix)}

    def keys(self, prefix: str) -> list[str]:
        """The names of the same keys."""
        return list(self.tree(prefix))

    def entry(self, key: str) -> Entry | None:
        """One key."""
        with self._changed:
            return self._keys.get(key)

    def commit(self, changes: Sequence[Operation]) -> bool:
        """Makes all changes, or none."""
        if len(changes) > MOST_OPERATIONS or sum(map(body_size, changes)) > LARGEST_TRANSACTION:
            raise BackendError("Consul failed to write keys: Request body too large (status 413).")
        with self._changed:
            keys = dict(self._keys)
            index = self._index + 1
            for change in changes:
                if isinstance(change, Put):
                    keys[change.key] = Entry(change.value, change.flags, index)
                elif isinstance(change, Create):
                    if change.key in keys:
                        return False
                    keys[change.key] = Entry(change.value, 0, index)
                elif isinstance(change, Remove):
                    keys.pop(change.key, None)
                elif isinstance(change, RemoveTree):
                    keys = {key: entry for key, entry in keys.items() if not key.startswith(change.prefix)}
                elif change.key not in keys or keys[change.key].index != change.index:
                    return False
            self._keys = keys
            self._bump()
            return True

    def replace(self, key: str, value: bytes, flags: int, index: int) -> bool:
        """Sets a key that was last changed at `index`."""
        if len(value) > LARGEST_VALUE:
            raise BackendError(f"Consul failed to write a key: Value for key {key} is too large (status 413).")
        with self._changed:
            if key not in self._keys or self._keys[key].index != index:
                return False
            self._bump()
            self._keys = {**self._keys, key: Entry(value, flags, self._index)}
            return True

    # --- AccessControl ---

    def policy(self, name: str) -> Policy | None:
        """The policy of that name."""
        return next((policy for policy in self._policies.values() if policy.name == name), None)

    def create_policy(self, name: str, description: str, rules: Rules) -> bool:
        """Makes a policy; False when there is one of that name."""
        with self._changed:
            if self.policy(name) is not None:
                return False
            self._bump()
            policy = Policy(f"policy-{self._index}", name, description, rules)
            self._policies[policy.id] = policy
            return True

    def update_policy(self, policy: Policy) -> None:
        """Changes the policy of that id."""
        self._policies[policy.id] = policy

    def remove_policy(self, policy_id: str) -> None:
        """Removes a policy. Tokens forget it."""
        self._policies.pop(policy_id, None)
        self._tokens = {accessor: policy for accessor, policy in self._tokens.items() if policy != policy_id}

    def tokens(self, policy_id: str) -> list[str]:
        """Accessor ids of the tokens that have the policy."""
        return [accessor for accessor, policy in self._tokens.items() if policy == policy_id]

    def create_token(self, policy: str, description: str, seconds: int) -> Issued:
        """A token of the policy of that name; it never ends by itself here."""
        accessor = self.log_in(policy)
        return Issued(accessor, f"secret-of-{accessor}")

    def remove_token(self, accessor: str) -> None:
        """Removes a token."""
        self._tokens.pop(accessor, None)

    def log_in(self, policy: str) -> str:
        """What a workload does: gives the accessor of a token with the policy of that name."""
        found = self.policy(policy)
        assert found is not None, "a login without a policy is refused"
        with self._changed:
            self._bump()
            accessor = f"token-{self._index}"
            self._tokens[accessor] = found.id
            return accessor

    # --- Catalogue ---

    def services(self, prefix: str) -> list[str]:
        """Names of all services that begin with the prefix."""
        return sorted({found.service for found in self._instances.values() if found.service.startswith(prefix)})

    def registered(self, prefix: str) -> list[Instance]:
        """Every instance of such a service."""
        with self._changed:
            found = [item for item in self._instances.values() if item.service.startswith(prefix)]
            return [replace(item, passing=None) for item in found]

    def instances(self, service: str, *, index: int = 0, wait: float = 0.0) -> tuple[int, list[Instance]]:
        """A service's instances; waits for any change after `index`, `wait` seconds at most."""
        with self._changed:
            if index and wait:
                self._changed.wait_for(lambda: self._index > index, timeout=wait)
            return self._index, [found for found in self._instances.values() if found.service == service]

    def failing(self, mark: str, index: int, wait: float) -> tuple[int, list[Instance]]:
        """Instances that don't pass, of services with that in their names; waits for any change after `index`."""
        with self._changed:
            if index and wait:
                self._changed.wait_for(lambda: self._index > index, timeout=wait)
            found = [one for one in self._instances.values() if mark in one.service and one.passing is False]
            return self._index, found

    def deregister(self, instance: Instance) -> None:
        """Takes an instance out."""
        with self._changed:
            self._instances.pop(instance.id, None)
            self._bump()

    def configured(self, prefix: str) -> list[ConfigEntry]:
        """All entries that jobs may write, by kind, then by name."""
        with self._changed:
            found = [entry for entry in self._entries if entry.name.startswith(prefix)]
        return sorted(found, key=lambda entry: (CONFIG_KINDS.index(entry.kind), entry.name))

    def unconfigure(self, entry: ConfigEntry) -> None:
        """Removes an entry, if it is there."""
        with self._changed:
            self._entries.discard(entry)

    def configure(self, entry: ConfigEntry) -> None:
        """What a job does: writes an entry for a service of its names."""
        with self._changed:
            self._entries.add(entry)

    def register(self, instance: Instance) -> None:
        """What an orchestrator does: registers an instance, passing unless it says otherwise."""
        with self._changed:
            self._instances[instance.id] = replace(instance, passing=instance.passing is not False)
            self._bump()

    def _bump(self) -> None:
        self._index += 1
        self._changed.notify_all()
