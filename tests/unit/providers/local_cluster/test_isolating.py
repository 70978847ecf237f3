"""The isolation of jobs as our own Nomad has it: which DNS server jobs ask, and what a machine without it is told."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from environments.node_firewall import REACHED, Lack, NotIsolated, Reason
from environments.providers.local_cluster.agents.isolating import JobIsolation, dns_server
from environments.providers.local_cluster.agents.ports import Ports
from environments.providers.local_cluster.agents.resolvers import resolvers
from environments.providers.local_cluster.agents.supervisor import Supervisor
from environments.providers.local_cluster.isolation import keeping
from environments.providers.local_cluster.isolation.model import DnsServer, Network


def test_the_resolvers_of_the_node_are_those_that_jobs_could_reach(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert resolvers(file) == ()
    file.write_text("search example.org\nnameserver 127.0.0.53\n nameserver 198.51.100.7\nnameserver fd00::1\n#\n")
    assert list(resolvers(file)) == ["127.0.0.53", "198.51.100.7", "fd00::1"]
    assert dns_server("172.28.8.0/21", Ports(), resolvers(file)) == DnsServer(
        IPv4Address("172.28.8.1"), IPv4Address("127.0.0.10"), 53, (IPv4Address("198.51.100.7"),)
    )


class _Supervisor(Supervisor):
    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, name: str) -> None:
        self.said.append(f"start {name}")

    def stop(self, name: str) -> None:
        self.said.append(f"stop {name}")

    def answers(self) -> bool:
        return True


def test_a_machine_that_cannot_do_it_is_told_why_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that could: allocations without a record would reach nothing."""
    supervisor = _Supervisor()
    isolation = JobIsolation(tmp_path / "isolation", tmp_path / "log", supervisor)
    plugins = Path("/usr/lib/cni")
    monkeypatch.setattr(keeping, "switch_on", lambda *_: isolation.folder.mkdir())
    monkeypatch.setattr(keeping, "limit", lambda _: True)
    isolation.switch_on(Network("cv01234567"), plugins)
    assert (isolation.warning, supervisor.said) == ("", ["start isolation"])
    assert isolation.plugin_path(plugins) == f"{isolation.folder}/cni:/usr/lib/cni"

    def fail(*_: object) -> None:
        raise NotIsolated(Lack(Reason.NO_IPTABLES, "There is no iptables.", "Install it."))

    monkeypatch.setattr(keeping, "switch_on", fail)
    monkeypatch.setattr(keeping, "switch_off", lambda folder, bridges, certain: folder.rmdir())
    isolation.switch_on(Network("cv01234567"), plugins)
    assert isolation.warning == f"{REACHED} There is no iptables. Install it."
    assert isolation.plugin_path(plugins) == "/usr/lib/cni"
    assert supervisor.said == ["start isolation", "stop isolation"]
    assert not isolation.folder.exists()
    isolation.switch_off()


def test_a_kernel_that_can_not_limit_connections_isolates_jobs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> bool:
        raise NotIsolated(Lack(Reason.REFUSED, "iptables-restore failed.", "Run it."))

    supervisor = _Supervisor()
    isolation = JobIsolation(tmp_path / "isolation", tmp_path / "log", supervisor)
    monkeypatch.setattr(keeping, "switch_on", lambda *_: None)
    monkeypatch.setattr(keeping, "limit", fail)
    isolation.switch_on(Network("cv01234567", limited_port=8443), Path("/usr/lib/cni"))
    assert (isolation.lacking, supervisor.said) == ("", ["start isolation"])
    assert isolation.warning == "One client may use all connections of the edge. iptables-restore failed. Run it."
