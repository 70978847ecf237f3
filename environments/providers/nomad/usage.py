"""What the allocations of an environment use: processor time as Nomad measures it, bytes as the bridge counts them.

Nomad measures each task once a second, and tells the last measurement. It counts no bytes: those of the groups on this
machine's bridge are read here (`bridge_counters`), those of groups on other nodes and with the node's network aren't
known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import nomad

from environments.providers.backend.connections import Connections
from environments.providers.backend.link import CALL_LIMIT, Link, Missing
from environments.providers.nomad.bridge_counters import BridgeCounters
from environments.providers.nomad.connection import build, explain
from environments.providers.nomad.lifecycle import seconds
from environments.providers.nomad.rules import group_services
from environments.steps.source_ports import InstanceUse

_NO_BYTES = frozenset({"script"})
"""Kinds of checks that run in the container, and move no bytes on the bridge."""

_MOST_KNOWN = 10_000


class _Known(NamedTuple):
    """What doesn't change of an allocation."""

    address: str
    checks: tuple[float, ...]


class NomadUsage:
    """Implements `UsageReader`."""

    def __init__(self, connections: Callable[[], Connections], counters: BridgeCounters) -> None:
        self._link: Link[nomad.Nomad] = Link("nomad", connections, build, explain)
        self._counters = counters
        self._known: dict[str, _Known] = {}

    def use(self, namespace: str) -> Mapping[str, InstanceUse] | None:
        """Asks for the allocations, and then each node for what those on it use."""
        try:
            stubs = self._link.call("list allocations", lambda client: _list(client, namespace))
            running = [stub for stub in stubs if stub["ClientStatus"] in ("running", "pending", "unknown")]
            if any(stub["ClientStatus"] != "running" for stub in running):
                return None
            return {stub["ID"]: self._of(namespace, stub) for stub in running}
        except Missing:  # it has just ended
            return None

    def moved(self) -> Mapping[str, int]:
        """See `BridgeCounters.moved`."""
        return self._counters.moved()

    def _of(self, namespace: str, stub: Mapping[str, Any]) -> InstanceUse:
        identifier = str(stub["ID"])
        known = self._known.get(identifier)
        if known is None:
            known = self._read(namespace, identifier)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[identifier] = known
        found = self._link.call(
            "ask what an allocation uses",
            lambda client: client.client.allocation.request(
                identifier, "stats", method="get", params={"namespace": namespace}, timeout=CALL_LIMIT
            ).json(),
        )
        tasks = [name for name, state in (stub.get("TaskStates") or {}).items() if state.get("State") == "running"]
        interface = self._counters.interface(known.address) if known.address else ""
        return InstanceUse(identifier, _at(found), _cpu(found, tasks), interface, known.checks)

    def _read(self, namespace: str, identifier: str) -> _Known:
        found = self._link.call(
            "read an allocation",
            lambda client: client.allocation.request(
                identifier, method="get", params={"namespace": namespace}, timeout=CALL_LIMIT
            ).json(),
        )
        groups = [group for group in found["Job"]["TaskGroups"] if group["Name"] == found["TaskGroup"]]
        bridged = any(net.get("Mode") == "bridge" for group in groups for net in group.get("Networks") or ())
        address = (found.get("NetworkStatus") or {}).get("Address") or ""
        return _Known(address if bridged else "", tuple(rate for group in groups for rate in _checks(group)))


def _list(client: nomad.Nomad, namespace: str) -> Sequence[Mapping[str, Any]]:
    params = {"namespace": namespace}
    found: Sequence[Mapping[str, Any]] = client.allocations.request(
        method="get", params=params, timeout=CALL_LIMIT
    ).json()
    return found


def _checks(group: Mapping[str, Any]) -> Iterator[float]:
    """How often a minute each check of a group comes by the network."""
    for service in group_services(group):
        for check in service.get("Checks") or ():
            if check.get("Type") not in _NO_BYTES and check.get("Interval"):
                yield 60 / seconds(check["Interval"])


def _at(found: Mapping[str, Any]) -> int:
    """When the task was measured that was measured longest ago (Nomad API, `AllocResourceUsage`)."""
    return min((task["Timestamp"] for task in (found.get("Tasks") or {}).values()), default=0)


def _cpu(found: Mapping[str, Any], running: Sequence[str]) -> float | None:
    tasks = found.get("Tasks") or {}
    if not running or any(name not in tasks for name in running):
        return None
    used = 0.0
    for name in running:
        stats = (tasks[name].get("ResourceUsage") or {}).get("CpuStats") or {}
        if not {"Percent", "Total Ticks", "User Mode"}.intersection(stats.get("Measured") or ()):
            return None
        used += stats.get("TotalTicks") or 0.0
    return used
