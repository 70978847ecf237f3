"""A node whose jobs are isolated: a real Nomad in a network namespace of its own, with machines and bridges around it.

Nothing of the machine's own network is touched: bridge, rules and ports are those of the namespace.
"""

import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments.providers.local_cluster.agents import leftovers
from environments.providers.local_cluster.agents.agent import agents_environment
from images.toolchain import require
from tests.support import images_here

LIMIT = 120.0
BRIDGE = "calvtest0"
GATEWAY = "172.29.64.1"
NODE, ELSEWHERE, METADATA = "198.51.100.1", "198.51.100.9", "169.254.169.254"
"""Addresses of the node and of another machine, which also answers as a cloud's metadata."""
NEIGHBOUR_GATEWAY, NEIGHBOUR = "172.30.9.1", "172.30.9.2"
"""A bridge as Docker has one, and a container of somebody else there."""
JOB_PORT, OPEN_PORT = 8000, 8088
"""What jobs listen on, and what the node and the others do, on all addresses."""

_SERVE = """
import http.server, sys
handler = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), handler).serve_forever()
"""

_PROBE = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def probe(target):
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=float(sys.argv[1])) as found:
            found.sendall(b"GET /none HTTP/1.0\\r\\n\\r\\n")
            return "reached" if found.recv(4) == b"HTTP" else "refused"
    except OSError:
        return "refused"

with ThreadPoolExecutor(32) as pool:
    print("\\n".join(pool.map(probe, sys.argv[2:])))
"""


@dataclass(frozen=True)
class Job:
    """A running job that answers at `address`:8000, and at `port` of the node."""

    namespace: str
    name: str
    allocation: str
    address: str
    port: int

    @property
    def container(self) -> str:
        return f"task-{self.allocation}"


def run(*command: str, text: str = "", limit: float = LIMIT) -> str:
    """Runs a program to its end. It has to succeed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=limit)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    """The first value of the condition that counts as true."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


@dataclass
class Node:
    """The namespaces, and Nomad in the first. `plugins`: the folders for `cni_path`, set before Nomad starts."""

    folder: Path
    plugins: str = ""
    _names: dict[str, str] = field(default_factory=dict)
    _children: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _nomad: "subprocess.Popen[bytes] | None" = None
    _infra: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def inside(self, *command: str, where: str = "node", text: str = "") -> str:
        """Runs a program in a namespace: node, elsewhere or neighbour."""
        return run(*self._entered(where, command), text=text)

    def _entered(self, where: str, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._names[where]}", "--", *command]

    def make(self) -> None:
        """Makes the namespaces, with a machine elsewhere and a neighbour on another bridge."""
        for where in ("node", "elsewhere", "neighbour"):
            self._names[where] = f"calv-{secrets.token_hex(4)}"
            run("ip", "netns", "add", self._names[where])
            self.inside("ip", "link", "set", "lo", "up", where=where)
        self.inside("ip", "link", "add", "out0", "type", "veth", "peer", "eth0", "netns", self._names["elsewhere"])
        self.inside("ip", "address", "add", f"{NODE}/24", "dev", "out0")
        self.inside("ip", "link", "set", "out0", "up")
        self._connect("elsewhere", f"{ELSEWHERE}/24", NODE)
        self.inside("ip", "address", "add", f"{METADATA}/32", "dev", "lo", where="elsewhere")
        self.inside("ip", "route", "add", "default", "via", ELSEWHERE)
        self.inside("ip", "link", "add", "docker7", "type", "bridge")
        self.inside("ip", "address", "add", f"{NEIGHBOUR_GATEWAY}/24", "dev", "docker7")
        self.inside("ip", "link", "set", "docker7", "up")
        self.inside("ip", "link", "add", "dk0", "type", "veth", "peer", "eth0", "netns", self._names["neighbour"])
        self.inside("ip", "link", "set", "dk0", "master", "docker7", "up")
        self._connect("neighbour", f"{NEIGHBOUR}/24", NEIGHBOUR_GATEWAY)
        for where in self._names:
            command = self._entered(where, [sys.executable, "-c", _SERVE, str(OPEN_PORT)])
            self._children.append(subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL))

    def _connect(self, where: str, address: str, gateway: str) -> None:
        self.inside("ip", "address", "add", address, "dev", "eth0", where=where)
        self.inside("ip", "link", "set", "eth0", "up", where=where)
        self.inside("ip", "route", "add", "default", "via", gateway, where=where)

    def prepare_infra(self) -> str:
        """The image of the container that holds an allocation's network, made once."""
        if not self._infra:
            name = f"calvinverse-test-infra:{secrets.token_hex(4)}"
            container = run("docker", "create", images_here.reference("web")).strip()
            run("docker", "commit", "-c", 'ENTRYPOINT ["sleep", "infinity"]', "-c", "CMD []", container, name)
            run("docker", "rm", container)
            self._infra = name
        return self._infra

    def start_nomad(self) -> None:
        """Starts the agent, and waits until it takes jobs."""
        ports = {"http": 4646, "rpc": 4647, "serf": 4648}
        config = {
            "data_dir": str(self.data),
            "bind_addr": "127.0.0.1",
            "ports": ports,
            "advertise": {name: f"127.0.0.1:{port}" for name, port in ports.items()},
            "disable_update_check": True,
            "server": {"enabled": True, "bootstrap_expect": 1, "raft_multiplier": 1},
            "client": {
                "enabled": True,
                "network_interface": "lo",
                "cni_path": self.plugins,
                "bridge_network_name": BRIDGE,
                "bridge_network_subnet": "172.29.64.0/22",
                "alloc_mounts_dir": str(self.data / "alloc_mounts"),
                "cgroup_parent": self._cgroup,
                "options": {
                    "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean",
                    "driver.allowlist": "docker",
                },
            },
            "plugin": {
                "docker": {
                    "config": {
                        "infra_image": self.prepare_infra(),
                        "gc": {"image": False, "container": True, "dangling_containers": {"enabled": False}},
                    }
                }
            },
        }
        file = self.folder / "config.json"
        file.write_text(json.dumps(config))
        command = self._entered("node", [str(require("nomad")["nomad"]), "agent", "-config", str(file)])
        with (self.folder / "log").open("ab") as output:
            self._nomad = subprocess.Popen(
                command, env=agents_environment(self.folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        wait_for("Nomad's node is ready", self._ready)

    @property
    def _cgroup(self) -> str:
        return f"calvtest{self._names['node'].removeprefix('calv-')}.slice"

    def _ready(self) -> bool:
        assert self._nomad is not None
        assert self._nomad.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            nodes = self.api("GET", "/v1/nodes")
        except (AssertionError, ValueError):
            return False
        return bool(nodes) and nodes[0]["Status"] == "ready" and bool(nodes[0]["Drivers"]["docker"]["Healthy"])

    def kill_nomad(self) -> None:
        """Ends the agent as a crash does; its containers stay."""
        assert self._nomad is not None
        self._nomad.kill()
        self._nomad.wait(timeout=LIMIT)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Nomad's API."""
        command = [str(require("nomad")["nomad"]), "operator", "api", "-X", method, path]
        answer = self.inside(*command, text="" if body is None else json.dumps(body))
        return json.loads(answer) if answer.strip() else None

    def submit(self, namespace: str, name: str, arguments: Mapping[str, str] | None = None) -> None:
        """Runs a job that listens on all addresses; `arguments` are those that its file gives to plugins of CNI."""
        self.api("POST", f"/v1/namespace/{namespace}", {"Name": namespace})
        network: dict[str, Any] = {"Mode": "bridge", "DynamicPorts": [{"Label": "http", "To": JOB_PORT}]}
        if arguments:
            network["CNI"] = {"Args": dict(arguments)}
        config = {
            "image": images_here.reference("web"),
            "force_pull": False,
            "init": True,
            "entrypoint": ["python3", "-c", _SERVE],
            "args": [str(JOB_PORT)],
        }
        task = {"Name": "task", "Driver": "docker", "Config": config, "Resources": {"CPU": 50, "MemoryMB": 64}}
        group = {
            "Name": "group",
            "Networks": [network],
            "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
            "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
            "Tasks": [task],
        }
        job = {"ID": name, "Namespace": namespace, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}
        self.api("POST", "/v1/jobs", {"Job": job})

    def allocations(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """Nomad's list of a job's allocations, newest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/v1/job/{name}/allocations?namespace={namespace}")
        return sorted(found, key=lambda each: -each["CreateIndex"])

    def start(self, namespace: str, name: str, arguments: Mapping[str, str] | None = None) -> Job:
        """Runs such a job, and waits until it answers to the node."""
        self.submit(namespace, name, arguments)

        def running() -> Job | None:
            for short in self.allocations(namespace, name)[:1]:
                assert short["ClientStatus"] != "failed", short["TaskStates"]
                if short["ClientStatus"] == "running":
                    full = self.api("GET", f"/v1/allocation/{short['ID']}?namespace={namespace}")
                    if (status := full["NetworkStatus"]) and status["Address"]:
                        port = full["AllocatedResources"]["Shared"]["Ports"][0]["Value"]
                        return Job(namespace, name, short["ID"], status["Address"], port)
            return None

        job: Job = wait_for(f"{name} runs", running)
        self.until_reached(f"127.0.0.1:{job.port}")
        return job

    def stop(self, job: Job) -> None:
        """Stops and purges the job, and waits until its allocation has ended."""
        self.api("DELETE", f"/v1/job/{job.name}?namespace={job.namespace}&purge=true")
        wait_for(f"{job.name} has ended", lambda: job.allocation not in self._running())

    def _running(self) -> set[str]:
        found = self.api("GET", "/v1/allocations?namespace=*") or []
        return {each["ID"] for each in found if each["ClientStatus"] not in ("complete", "failed", "lost")}

    def reached(self, targets: Sequence[str], source: "Job | str" = "node", seconds: float = 3) -> list[bool]:
        """Which targets (`<address>:<port>`) answer to a job or to a program in that namespace, each in time."""
        if isinstance(source, Job):
            command = ["docker", "exec", "-i", source.container, "python3", "-"]
        else:
            command = self._entered(source, [sys.executable, "-"])
        answer = run(*command, str(seconds), *targets, text=_PROBE)
        return [line == "reached" for line in answer.splitlines()]

    def until_reached(self, target: str, source: "Job | str" = "node") -> None:
        """Waits until the target answers: a busy machine may let one attempt fail."""
        wait_for(f"{source} reaches {target}", lambda: self.reached([target], source) == [True])

    def saved(self, program: str = "iptables-save", without: str = "\n") -> list[str]:
        """All rules of the node but those with this word, without counters, times and tables that have none."""
        tables: dict[str, list[str]] = {}
        table = ""
        for line in self.inside(program).splitlines():
            if line.startswith("*"):
                table = line
            elif line.startswith(("-", ":")) and without not in line:
                tables.setdefault(table, []).append(line.partition("[")[0])
        used = {name: lines for name, lines in tables.items() if not all(line.endswith(" ACCEPT ") for line in lines)}
        return [line for name, lines in used.items() for line in (name, *lines)]

    def close(self) -> None:
        """Leaves nothing: jobs, containers, agent, namespaces, image."""
        if self._nomad is not None and self._nomad.poll() is None:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                self._empty()
            self._nomad.terminate()
            self._nomad.wait(timeout=LIMIT)
        infra = [f"nomad_init_{allocation}" for allocation in leftovers.allocations_of(self.data)]
        if self.data.exists():
            leftovers.clear(self.data, [self._cgroup])
        for container in infra:
            subprocess.run(["docker", "rm", "-f", container], capture_output=True, timeout=LIMIT, check=False)
        for child in self._children:
            child.kill()
            child.wait(timeout=LIMIT)
        for name in self._names.values():
            run("ip", "netns", "delete", name)
        if self._infra:
            run("docker", "rmi", self._infra)

    def _empty(self) -> None:
        for job in self.api("GET", "/v1/jobs?namespace=*") or []:
            self.api("DELETE", f"/v1/job/{job['ID']}?namespace={job['Namespace']}&purge=true")
        wait_for("all allocations have ended", lambda: not self._running())
        self.api("PUT", "/v1/system/gc")
        folder = self.data / "alloc"
        wait_for("allocations are cleared", lambda: not folder.exists() or not any(folder.iterdir()))


@contextlib.contextmanager
def isolated_node(folder: Path) -> Iterator[Node]:
    """The node before its isolation is switched on and Nomad started."""
    node = Node(folder)
    try:
        node.make()
        yield node
    finally:
        node.close()
