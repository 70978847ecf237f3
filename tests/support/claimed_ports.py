"""Ports for agents that tests start: a block that no other test on this machine takes while it is claimed.

Free ports alone don't suffice where tests run side by side: two may find the same block free before one of them uses
it, and a cluster whose agents were killed has none of its ports for a moment.
"""

import os
import random
from fcntl import LOCK_EX, LOCK_NB, flock

from environments.providers.local_cluster.agents.ports import Ports, free_ports
from tests.support.shared_folder import shared_folder


class PortClaim:
    """Claims a block until nobody refers to this object any more, or the process ends."""

    def __init__(self, first: int) -> None:
        """Raises `BlockingIOError` if somebody else has claimed the block that begins with this port."""
        # A file for each block that was ever claimed, locked while it is.
        self._descriptor = os.open(shared_folder("ports") / str(first), os.O_CREAT | os.O_RDWR, 0o600)
        flock(self._descriptor, LOCK_EX | LOCK_NB)

    def __del__(self) -> None:
        os.close(self._descriptor)


def claim_ports() -> tuple[Ports, PortClaim]:
    """Free ports, and the claim on them. Raises `PortTaken` if there are none."""
    while True:
        ports = free_ports(random.SystemRandom())
        try:
            return ports, PortClaim(ports.consul_http)
        except BlockingIOError:
            continue
