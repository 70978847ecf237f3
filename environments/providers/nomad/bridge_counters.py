"""How many bytes the groups of tasks on this machine's bridge have moved: the kernel's counters of their interfaces.

It reads files that anybody may read, of the network that this process is in. The service shares its node's network, so
it sees the groups of that node, in a container too. An address of a group leads to its interface by the kernel's table
of neighbours, which has its hardware address, and the table of the bridge, which has the port where that is.
"""

import contextlib
import socket
import struct
from collections.abc import Callable
from pathlib import Path

_COUNTERS = Path("/proc/net/dev")
_NEIGHBOURS = Path("/proc/net/arp")
_INTERFACES = Path("/sys/class/net")

_COMPLETE = 0x2
"""A flag of a neighbour whose hardware address is known (linux/if_arp.h, ATF_COM)."""

_ENTRY = struct.Struct("=6sBBIBBH")
"""An entry of a bridge's table (linux/if_bridge.h, `__fdb_entry`): hardware address, port, whether local, age, port."""

_LARGEST_TABLE = 4 * 1024 * 1024
_DISCARD = 9


def _poke(address: str) -> None:
    """A datagram that nobody takes makes the kernel ask where an address is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(b"", (address, _DISCARD))


class BridgeCounters:
    """Finds the interface of an address once; it stays the same for as long as the group runs."""

    def __init__(
        self,
        counters: Path = _COUNTERS,
        neighbours: Path = _NEIGHBOURS,
        interfaces: Path = _INTERFACES,
        poke: Callable[[str], None] = _poke,
    ) -> None:
        """`poke` makes the kernel look for an address."""
        self._poke = poke
        self._counters = counters
        self._neighbours = neighbours
        self._interfaces = interfaces
        self._known: dict[str, str] = {}

    def interface(self, address: str) -> str:
        """The bridge's port that leads to an address; "" if this machine has none."""
        known = self._known.get(address)
        if known and (self._interfaces / known).exists():
            return known
        self._known.pop(address, None)
        with contextlib.suppress(OSError, ValueError):
            bridge, hardware = self._neighbour(address)
            found = self._port(bridge, hardware) if bridge else ""
            if found:
                self._known[address] = found
                return found
            self._poke(address)  # the tables forget who is silent
        return ""

    def moved(self) -> dict[str, int]:
        """Bytes received and sent by each interface since it was made; empty if they can't be read."""
        found = {}
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in self._counters.read_text().splitlines()[2:]:
                name, _, numbers = line.partition(":")
                fields = numbers.split()
                found[name.strip()] = int(fields[0]) + int(fields[8])
        return found

    def _neighbour(self, address: str) -> tuple[str, bytes]:
        for line in self._neighbours.read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) == 6 and fields[0] == address and int(fields[2], 16) & _COMPLETE:
                return fields[5], bytes.fromhex(fields[3].replace(":", ""))
        return "", b""

    def _port(self, bridge: str, hardware: bytes) -> str:
        with (self._interfaces / bridge / "brforward").open("rb") as table:
            entries = table.read(_LARGEST_TABLE)
        for one in _ENTRY.iter_unpack(entries[: len(entries) // _ENTRY.size * _ENTRY.size]):
            there, low, local, _, high, *_ = one
            if there == hardware and not local:
                return self._numbered(bridge, high << 8 | low)
        return ""

    def _numbered(self, bridge: str, number: int) -> str:
        for port in (self._interfaces / bridge / "brif").iterdir():
            if int((port / "port_no").read_text(), 16) == number:
                return port.name
        return ""
