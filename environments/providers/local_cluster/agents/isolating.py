"""The isolation of jobs in our own Nomad: switched on before its client starts, and gone with the agent."""

import contextlib
import ipaddress
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from environments.domain.errors import MachineError
from environments.node_firewall import REACHED, NotIsolated
from environments.providers.local_cluster.agents import processes
from environments.providers.local_cluster.agents.ports import Ports
from environments.providers.local_cluster.agents.supervisor import Program, Supervisor
from environments.providers.local_cluster.isolation import keeping
from environments.providers.local_cluster.isolation.model import DnsServer, Network

KEEPER = "isolation"
"""The supervisor's name of the program that renews the rules between environments."""

ISOLATED_META = "calvinverse_isolated"
"""What the node tells in this, jobs read as `${meta.calvinverse_isolated}`: `true` where jobs are isolated."""

_MOST_RESOLVERS = 10


class JobIsolation:
    """The rules on the bridge of one Nomad agent. `folder` holds what `isolation.records` keeps."""

    def __init__(self, folder: Path, log: Path, supervisor: Supervisor) -> None:
        self.folder = folder
        self._log = log
        self._supervisor = supervisor
        self._unlimited = ""
        self.lacking = ""
        """Why jobs of different environments reach each other; empty if they don't, or if none has a network."""

    @property
    def warning(self) -> str:
        """What people should know, in whole sentences; empty: nothing."""
        if self.lacking:
            return f"{REACHED} {self.lacking}"
        return f"One client may use all connections of the edge. {self._unlimited}" if self._unlimited else ""

    def switch_on(self, network: Network, plugins: Path) -> None:
        """Before Nomad starts: its client runs our plugin for each group, and a program renews the rules.

        Where the machine can't do it, `lacking` says why, and nothing stays of it. Raises `MachineError`.
        """
        try:
            keeping.switch_on(self.folder, network, plugins)
        except NotIsolated as error:
            self.lacking = f"{error.message} {error.hint}"
            with contextlib.suppress(MachineError):
                self.switch_off()
        else:
            self.lacking = self._unlimited = ""
            try:
                keeping.limit(self.folder)
            except NotIsolated as error:
                self._unlimited = f"{error.message} {error.hint}"
            self._supervisor.start(KEEPER)

    def plugin_path(self, plugins: Path) -> str:
        """Nomad's `cni_path`."""
        return str(plugins) if self.lacking else f"{keeping.plugins(self.folder)}:{plugins}"

    def program(self) -> Program:
        """The program that renews the rules, for the supervisor."""
        settings = keeping.settings_file(self.folder)
        return Program(command=(sys.executable, "-I", "-m", keeping.__name__, str(settings)), log=self._log)

    def switch_off(self, bridges: Sequence[str] = (), *, certain: bool = True) -> None:
        """Ends the program and removes the rules. Raises `MachineError`.

        `bridges`: whose rules are removed where the record of them can't be read, or isn't `certain` to be our own.
        """
        if not self.folder.is_dir():
            return
        if self._supervisor.answers():
            self._supervisor.stop(KEEPER)
        else:
            processes.stop(self._supervisor.strays(KEEPER), patience=20)
        keeping.switch_off(self.folder, bridges, certain=certain)


def dns_server(subnet: str, ports: Ports, resolvers: Sequence[str]) -> DnsServer:
    """Consul's DNS server for the jobs of that subnet, whose first address is the bridge's.

    `resolvers`: addresses of the node's own ones. Those on loopback don't count: no job reaches them there.
    """
    gateway = next(ipaddress.IPv4Network(subnet).hosts())
    reachable = tuple(_reachable(resolvers[:_MOST_RESOLVERS]))
    return DnsServer(gateway, ipaddress.IPv4Address(ports.dns_address), ports.consul_dns, reachable)


def _reachable(found: Iterable[str]) -> Iterable[ipaddress.IPv4Address]:
    for text in found:
        with contextlib.suppress(ValueError):
            if not (address := ipaddress.IPv4Address(text)).is_loopback:
                yield address
