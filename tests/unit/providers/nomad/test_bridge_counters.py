"""The interface that leads to an address, and what interfaces have carried, from files as the kernel writes them."""

import struct
from pathlib import Path

import pytest

from environments.providers.nomad.bridge_counters import BridgeCounters

DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo: 5 1    0    0    0     0          0         0 7 1    0    0    0     0       0          0
veth1: 100 1    0    0    0     0          0         0        20       1    0    0    0     0       0          0
"""
ARP = """IP address       HW type     Flags       HW address            Mask     Device
172.28.8.5       0x1         0x2         02:00:00:00:00:05     *        cvabcdefgh
172.28.8.6       0x1         0x0         00:00:00:00:00:00     *        cvabcdefgh
"""


def _entry(hardware: str, port: int, local: int = 0) -> bytes:
    return struct.pack("=6sBBIBBH", bytes.fromhex(hardware.replace(":", "")), port & 255, local, 0, port >> 8, 0, 0)


@pytest.fixture
def poked() -> list[str]:
    return []


@pytest.fixture
def counters(tmp_path: Path, poked: list[str]) -> BridgeCounters:
    (tmp_path / "dev").write_text(DEV)
    (tmp_path / "arp").write_text(ARP)
    bridge = tmp_path / "net" / "cvabcdefgh"
    for name, number in (("veth0", 1), ("veth1", 258)):
        (bridge / "brif" / name).mkdir(parents=True)
        (bridge / "brif" / name / "port_no").write_text(f"{number:#x}\n")
        (tmp_path / "net" / name).mkdir()
    table = _entry("02:00:00:00:00:09", 1, local=1) + _entry("02:00:00:00:00:05", 258) + b"half"
    (bridge / "brforward").write_bytes(table)
    return BridgeCounters(tmp_path / "dev", tmp_path / "arp", tmp_path / "net", poked.append)


def test_an_address_leads_to_the_port_of_its_bridge(counters: BridgeCounters, tmp_path: Path) -> None:
    assert counters.interface("172.28.8.5") == "veth1"
    (tmp_path / "arp").write_text("")
    assert counters.interface("172.28.8.5") == "veth1"  # the kernel forgets, the interface stays


def test_an_interface_that_is_gone_is_looked_for_again(
    counters: BridgeCounters, tmp_path: Path, poked: list[str]
) -> None:
    assert counters.interface("172.28.8.5") == "veth1"
    (tmp_path / "net" / "veth1").rmdir()
    (tmp_path / "net" / "cvabcdefgh" / "brforward").write_bytes(b"")
    assert counters.interface("172.28.8.5") == ""
    assert poked == ["172.28.8.5"]


def test_bytes_of_both_directions_are_counted(counters: BridgeCounters) -> None:
    assert counters.moved() == {"lo": 12, "veth1": 120}


def test_a_machine_without_such_files_measures_nothing(tmp_path: Path) -> None:
    nothing = BridgeCounters(tmp_path / "no", tmp_path / "no", tmp_path / "no", lambda address: None)
    assert nothing.moved() == {}
    assert nothing.interface("172.28.8.5") == ""
