"""What this node keeps of its allocations' addresses, in a folder that only root may enter.

    network.json        the bridge, and how it is isolated
    allocations/<id>    one record for each allocation that has an address
    cni/firewall        what Nomad runs instead of CNI's plugin `firewall`
    lock                held while records and rules are changed together

The records survive restarts of agents and of the machine. An old one is harmless: an address belongs to the allocation
that got it last, whose record removes that of the earlier one before its tasks start.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.domain.containers import ALLOCATION_ID
from environments.domain.errors import InvalidInput, MachineError
from environments.kept_files import NotKept, read_kept, read_object
from environments.private_files import private_folder, write_if_changed
from environments.providers.local_cluster.isolation.model import (
    Allocation,
    Network,
    dns_from_json,
    dns_to_json,
    from_json,
    parse_destination,
    to_json,
    with_allocation,
)

_WRITTEN_AGAIN = "Run `doit deploy`, which writes it again."


@dataclass(frozen=True)
class Settings:
    """How the bridge is isolated, and where CNI's own plugin `firewall` is."""

    network: Network
    firewall: Path


class Records:
    """The folder of one node's isolation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = folder / "lock"
        self.plugins = folder / "cni"
        self.settings_file = folder / "network.json"
        self._allocations = folder / "allocations"

    def write_settings(self, settings: Settings) -> bool:
        """Keeps them; returns whether they changed. Raises `MachineError`."""
        network = settings.network
        data = {
            "bridge": network.bridge,
            "host_ports": [str(port) for port in network.host_ports],
            "published": network.published,
            "firewall": str(settings.firewall),
            "limited_port": network.limited_port,
            "dns": None if network.dns is None else dns_to_json(network.dns),
        }
        return write_if_changed(self.settings_file, json.dumps(data, indent=2) + "\n")

    def settings(self) -> Settings:
        """What `write_settings` kept. Raises `MachineError`."""
        try:
            data = json.loads(read_kept(self.settings_file))
            ports = tuple(parse_destination(port) for port in data["host_ports"])
            dns = dns_from_json(found) if (found := data.get("dns")) else None
            limited = int(data.get("limited_port", 0))
            network = Network(data["bridge"], ports, bool(data["published"]), dns, limited)
            return Settings(network, Path(data["firewall"]))
        except NotKept as error:
            raise MachineError(f"{self.settings_file} can't be read: {error}.", hint=_WRITTEN_AGAIN) from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, InvalidInput) as error:
            raise MachineError(f"{self.settings_file} is damaged.", hint=_WRITTEN_AGAIN) from error

    def allocations(self) -> Sequence[Allocation]:
        """All that are known; a record that can't be read counts for nothing, so its allocation reaches nothing."""
        found: list[Allocation] = []
        for path in sorted(self._allocations.glob("*")) if self._allocations.is_dir() else []:
            with contextlib.suppress(NotKept, ValueError, LookupError, TypeError, InvalidInput):
                if ALLOCATION_ID.fullmatch(path.name):
                    found.append(from_json(read_object(path)))
        return found

    def add(self, new: Allocation) -> None:
        """Records it; the records of those that had its address before are removed first. Raises `MachineError`."""
        known = self.allocations()
        kept = {each.id for each in with_allocation(known, new)}
        for each in known:
            if each.id not in kept:
                self.discard(each.id)
        private_folder(self._allocations)
        write_if_changed(self._path(new.id), json.dumps(to_json(new)) + "\n")

    def discard(self, allocation: str) -> None:
        """Forgets it, if it is known. Raises `MachineError`."""
        self._path(allocation).unlink(missing_ok=True)

    def _path(self, allocation: str) -> Path:
        if not ALLOCATION_ID.fullmatch(allocation):
            raise MachineError(f"{allocation[:80]!r} is no id of an allocation.")
        return self._allocations / allocation
