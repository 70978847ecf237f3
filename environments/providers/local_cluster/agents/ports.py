"""The ports of the agents, which other process has one of them, and free ports for tests."""

import contextlib
import random
import socket
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from environments.domain.errors import PortTaken
from environments.open_files import every, open_files
from environments.providers.local_cluster.agents import processes
from environments.providers.local_cluster.agents.patience import wait_for

LOOPBACK = "127.0.0.1"

_ENDING_SECONDS = 5.0
"""How long a port may stay taken although no process holds it: its last one may be ending."""


class Ports(BaseModel):
    """Ports on loopback; the defaults are the makers' own.

    `dns_address` is an address of its own so that Consul can have port 53 beside the machine's resolver.
    `first_dynamic` to `last_dynamic` are those that Nomad gives to services.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    consul_http: int = 8500
    consul_dns: int = 53
    consul_serf: int = 8301
    consul_server: int = 8300
    openbao_http: int = 8200
    openbao_cluster: int = 8201
    nomad_http: int = 4646
    nomad_rpc: int = 4647
    nomad_serf: int = 4648
    dns_address: str = "127.0.0.10"
    first_dynamic: int = 20000
    last_dynamic: int = 32000

    def of_parts(self) -> frozenset[int]:
        """All that the agents listen on."""
        consul = {self.consul_http, self.consul_dns, self.consul_serf, self.consul_server}
        openbao = {self.openbao_http, self.openbao_cluster}
        return frozenset({*consul, *openbao, self.nomad_http, self.nomad_rpc, self.nomad_serf})


_BLOCKS = range(10_100, 19_900, 100)
"""Where test clusters take their ports: below the kernel's ephemeral ports and Nomad's default range."""


def free_ports(random_source: random.Random) -> Ports:
    """Ports that are free now, in a block of 100 chosen at random; the upper 80 are for services.

    Another process may still take one before an agent does: starting then raises `PortTaken`; try again.
    """
    for _ in range(100):
        base = random_source.choice(_BLOCKS)
        ports = Ports(
            consul_http=base,
            consul_dns=base + 1,
            consul_serf=base + 2,
            consul_server=base + 3,
            openbao_http=base + 4,
            openbao_cluster=base + 5,
            nomad_http=base + 6,
            nomad_rpc=base + 7,
            nomad_serf=base + 8,
            dns_address=LOOPBACK,
            first_dynamic=base + 20,
            last_dynamic=base + 99,
        )
        if all(is_free(LOOPBACK, port) for port in range(base, base + 100)):
            return ports
    raise PortTaken("No block of 100 free ports was found on loopback.")


def is_free(address: str, port: int) -> bool:
    """Whether both TCP and UDP can be bound there."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def require_free(title: str, setting: str, address: str, port: int) -> None:
    """Raises `PortTaken`, naming the port and, where the rights suffice, the process that has it.

    Waits for a port that no process holds: one that was killed frees it when its last thread has ended.
    """
    holder = None

    def settled() -> bool:
        nonlocal holder
        if is_free(address, port):
            return True
        holder = holder_of(port)
        return holder is not None

    if wait_for(settled, _ENDING_SECONDS) and holder is None:
        return
    whose = f" by {holder}" if holder else ""
    raise PortTaken(
        f"{title} needs port {port} on {address}, which is taken{whose}.",
        hint="Stop that process, or deploy with another block of ports: `doit deploy --first-port PORT`.",
        details={"port": port, "address": address, "setting": setting, "holder": holder},
    )


def holder_of(port: int, only: int | None = None) -> str | None:
    """`name (pid)` of a process that has a socket on this local port; None if that can't be seen, or it is ending.

    `only`: the id of the one process that counts.
    """
    inodes = {inode for table in ("tcp", "udp", "tcp6", "udp6") for inode in _sockets(table, port)}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return None
    for pid in every() if only is None else (only,):
        if wanted.intersection(open_files(pid)) and not processes.is_ending(pid):
            with contextlib.suppress(OSError):  # it has just ended
                return f"{Path(f'/proc/{pid}/comm').read_text().strip()} ({pid})"
    return None


def _sockets(table: str, port: int) -> list[str]:
    """Inodes of bound sockets, from /proc/net (proc_net_tcp.txt of the kernel's documentation)."""
    try:
        lines = Path("/proc/net", table).read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        bound = int(fields[1].rpartition(":")[2], 16) == port
        listening = table.startswith("udp") or fields[3] == "0A"
        if bound and listening:
            found.append(fields[9])
    return found
