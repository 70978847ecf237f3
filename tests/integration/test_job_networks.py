"""Jobs with networks of their own, on a real Nomad: reached from the node, and not reaching what listens on it."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from environments.cni import plugin_folder
from environments.domain.errors import StepFailed
from environments.providers.local_cluster import port_guard
from environments.providers.local_cluster.agents import networks, processes
from environments.providers.local_cluster.agents.isolating import KEEPER
from tests.support.cluster import Cluster, start_cluster
from tests.support.probing_jobs import address, made, seen
from tests.support.web_harness import WEB, folder, until


@pytest.fixture
def listener() -> Iterator[int]:
    """Something of the node that listens on loopback, as the service does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_job_is_reached_at_a_port_of_its_node_and_reaches_nothing_on_loopback(
    cluster: Cluster, listener: int
) -> None:
    ports = cluster.agents.site.ports
    subnet = json.loads(cluster.agents.nomad.config.read_text())["client"]["bridge_network_subnet"]
    gateway = subnet.replace(".0/21", ".1")
    parts = [ports.nomad_http, ports.nomad_rpc, ports.consul_http, ports.consul_dns, ports.openbao_http, listener]
    tried = [f"tcp:{host}:{port}" for host in ("127.0.0.1", gateway) for port in parts]
    environment = made(cluster, tried)
    try:
        environment.apply()
        at = address(environment.owner, cluster)
        assert environment.outputs["app"]["services"]["app"]["url"] == f"http://{at}"
        assert at.startswith("127.0.0.1:")
        assert seen(environment.owner, cluster) == dict.fromkeys(tried, "closed")
    finally:
        environment.destroy()


def test_no_job_gets_a_port_of_a_part(cluster: Cluster) -> None:
    """CNI leads a static port to its job before the kernel looks for a listener: OpenBao would lose its clients."""
    port = cluster.agents.site.ports.openbao_http
    environment = made(cluster, changes={"to = 8000": f"static = {port}\n        to     = 8000"})
    try:
        with pytest.raises(StepFailed, match="reserved port collision"):
            environment.apply(limit=5)
    finally:
        environment.destroy()


def test_no_job_gets_the_port_of_a_program_that_listens_or_one_that_is_kept(cluster: Cluster, listener: int) -> None:
    """Neither what listens on loopback, nor what listens on all addresses, nor the service's while it doesn't run."""
    kept = cluster.agents.site.ports.last_dynamic - 1
    guard, plugins = cluster.agents.nomad.folder / "ports", plugin_folder()
    assert plugins is not None
    before = (guard / "reserved.json").read_text()
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as everywhere:
        port_guard.install(guard, plugins, {kept})
        try:
            for port, said in (
                (listener, "a program listens there"),
                (everywhere.getsockname()[1], "a program listens there"),
                (kept, "kept for Calvinverse itself"),
            ):
                once = 'group "app" {\n    reschedule {\n      attempts  = 0\n      unlimited = false\n    }'
                asked = f"static = {port}\n        to     = 8000"
                environment = made(cluster, changes={"to = 8000": asked, 'group "app" {': once})
                try:
                    with pytest.raises(StepFailed, match=f"Port {port} of the node is .*{said}"):
                        environment.apply()
                finally:
                    environment.destroy()
            with socket.create_connection(("127.0.0.1", listener), timeout=20):
                pass
        finally:
            (guard / "reserved.json").write_text(before)


def test_a_job_gets_a_port_of_its_choice_that_is_nobodys(cluster: Cluster) -> None:
    """Such as a database for a demonstration; and gets it again when it is changed."""
    port = cluster.agents.site.ports.last_dynamic - 2
    environment = made(cluster, changes={"to = 8000": f"static = {port}\n        to     = 8000"})
    try:
        environment.apply()
        assert address(environment.owner, cluster) == f"127.0.0.1:{port}"
        text = environment.bundle.files["app.hcl"].decode().replace("memory = 96", "memory = 97")
        files = {name: content.decode() for name, content in environment.bundle.files.items()}
        environment.bundle = folder(WEB, {**files, "app.hcl": text})
        environment.apply()
        assert address(environment.owner, cluster) == f"127.0.0.1:{port}"
        assert httpx2.head(f"http://127.0.0.1:{port}/", timeout=20, trust_env=False).status_code == 200
    finally:
        environment.destroy()


def test_names_of_services_lead_jobs_of_their_environment_to_them(cluster: Cluster) -> None:
    """By Consul's DNS, without a word in the job file, also after Nomad has been started again; and the node too."""
    first, second = made(cluster), made(cluster)
    name = f"{first.owner.name}--inside.service.consul"
    try:
        for environment in (first, second):
            environment.apply()
        at = address(first.owner, cluster, "inside")
        assert seen(first.owner, cluster, f"names/{name}") == [at.partition(":")[0]]
        assert seen(first.owner, cluster, f"look/tcp:{name}:8000") == "open"
        assert httpx2.head(f"http://{at}/", timeout=20, trust_env=False).status_code == 200
        # Names are no secret among environments; what they lead to is.
        assert seen(second.owner, cluster, f"names/{name}") == [at.partition(":")[0]]
        assert seen(second.owner, cluster, f"look/tcp:{name}:8000") == "closed"
        nomad = cluster.connections.caller("nomad")
        cluster.agents.nomad.stop()
        cluster.agents.nomad.start()
        (short,) = nomad.call("GET", f"/v1/job/app/allocations?namespace={first.owner.name}")
        nomad.call("PUT", f"/v1/client/allocation/{short['ID']}/restart?namespace={first.owner.name}", {})

        def resolved() -> bool:
            # While its tasks and checks begin again, it doesn't answer, and Consul doesn't tell where it is.
            try:
                return bool(seen(first.owner, cluster, f"names/{name}") == [at.partition(":")[0]])
            except (ValueError, httpx2.HTTPError):
                return False

        until(resolved, 120)
    finally:
        first.destroy()
        second.destroy()


def left_of(bridge: str, subnet: str) -> list[str]:
    """What is there of a bridge and its subnet: interfaces, rules, leases, claims."""
    first = subnet.rpartition(".")[0] + "."
    rules = [
        line
        for table in ("filter", "nat", "mangle")
        for line in subprocess.run(
            ["iptables", "-w", "30", "-t", table, "-S"], capture_output=True, text=True, timeout=60, check=True
        ).stdout.splitlines()
    ]
    return [
        *(path.name for path in Path("/sys/class/net").iterdir() if path.name == bridge),
        *(rule for rule in rules if bridge in rule or first in rule),
        *(str(path) for path in Path("/var/run/cni/nomad").glob(f"{first}*")),
        *(str(path) for path in networks._CLAIMS.glob(f"{first}*")),
    ]


@pytest.mark.parametrize("crash", [False, True])
def test_nothing_is_left_of_the_networks_of_a_cluster(tmp_path: Path, crash: bool) -> None:
    """Whether it is removed as it should be, or after everything of it was killed."""
    own = start_cluster(tmp_path)
    site, closed = own.agents.site, False
    try:
        client = json.loads(own.agents.nomad.config.read_text())["client"]
        bridge, subnet = client["bridge_network_name"], client["bridge_network_subnet"]
        environment = made(own)
        environment.apply()
        assert len(left_of(bridge, subnet)) > 3
        allocations = [path.name for path in (site.folder / "nomad" / "data" / "alloc").iterdir()]
        if crash:
            supervisor = processes.started_with(str(site.folder / "supervisor" / "supervisord.conf"))
            agents = [pid for agent in own.agents.all() if (pid := agent.pid()) is not None]
            keeper = own.agents.supervisor.strays(KEEPER)
            assert len(keeper) == 1
            for pid in [*supervisor, *agents, *keeper]:
                os.kill(pid, signal.SIGKILL)
            until(lambda: all(processes.is_ending(pid) for pid in agents), 60)
        own.close()
        closed = True
        assert left_of(bridge, subnet) == []
        names = subprocess.run(
            ["docker", "ps", "-a", "--format", "{{.Names}}"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert [allocation for allocation in allocations if allocation in names] == []
        assert not list(networks._RESULTS.glob(f"*{allocations[0]}*"))
    finally:
        if not closed:
            own.close()


def test_where_nomad_can_give_no_networks_such_a_job_fails_at_once(tmp_path: Path) -> None:
    own = start_cluster(tmp_path, bridge=False)
    try:
        environment = made(own)
        with pytest.raises(StepFailed, match="asks for a network of its own, which no node can give") as caught:
            environment.apply()
        assert "CNI" in caught.value.hint
        environment.destroy()
    finally:
        own.close()
