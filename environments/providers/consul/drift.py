"""Detects what no step made in Consul: below an environment's prefix and under the names of its services."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from environments.domain.environment import Unexpected
from environments.domain.names import kv_prefix, service_prefix
from environments.providers.consul.access import POLICY_KIND, policy_name
from environments.providers.consul.kv import step_flags
from environments.providers.consul.ports import AccessControl, Catalogue, KeyValueStore
from environments.providers.consul.prefix import MARKER, PREFIX_KIND, whose_prefix
from environments.steps.base import Owner, Presence
from environments.steps.drift import Known, is_known, undeclared
from environments.steps.marks import MARK

SERVICE_KIND = "consul.service"
ENTRY_KIND = "consul.config-entry"


class ConsulDriftDetector:
    """Detects keys below the prefix that no step wrote, services that no job registered, and configuration entries."""

    part: ClassVar[str] = "Consul"

    def __init__(self, store: KeyValueStore, access: AccessControl, catalogue: Catalogue) -> None:
        self._store = store
        self._access = access
        self._catalogue = catalogue

    def unexpected(self, owner: Owner, known: Known, steps: frozenset[str]) -> Sequence[Unexpected]:
        """Unexpected things, including the policy of the environment's jobs if no step made it."""
        return [*self._keys(owner, steps), *self._policy(owner, known), *self._services(owner), *self._entries(owner)]

    def _keys(self, owner: Owner, steps: frozenset[str]) -> Iterator[Unexpected]:
        prefix, flags = kv_prefix(owner.name), {step_flags(step) for step in steps}
        tree = self._store.tree(prefix)
        marker = tree.pop(prefix + MARKER, None)
        if marker is not None and whose_prefix(marker, owner) is Presence.FOREIGN:
            yield undeclared(PREFIX_KIND, prefix, "doesn't bear this environment's mark")
            return
        for key, entry in tree.items():
            if entry.flags not in flags:
                yield undeclared(PREFIX_KIND, key, "no step of this environment wrote it")

    def _policy(self, owner: Owner, known: Known) -> Iterator[Unexpected]:
        name = policy_name(owner.name)
        if not is_known(known, POLICY_KIND, name) and self._access.policy(name) is not None:
            yield undeclared(POLICY_KIND, name)

    def _services(self, owner: Owner) -> Iterator[Unexpected]:
        strange: dict[str, set[str]] = {}
        for item in self._catalogue.registered(service_prefix(owner.name)):
            if item.metadata.get(MARK) != owner.id:
                strange.setdefault(item.service, set()).add(f"{item.address}:{item.port}")
        for name, places in sorted(strange.items()):
            where = ", ".join(sorted(places))
            yield undeclared(SERVICE_KIND, name, f"at {where}, registered by no job of this environment")

    def _entries(self, owner: Owner) -> Iterator[Unexpected]:
        for entry in self._catalogue.configured(service_prefix(owner.name)):
            yield undeclared(ENTRY_KIND, f"{entry.kind}/{entry.name}")
