"""A node whose jobs are isolated: a real Nomad in a network namespace of its own, with machines and bridges around it.

Nothing of the machine's own network is touched: bridge, rules and ports are those of the namespace.
"""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from environments.cni import plugin_folder
from environments.node_firewall import lack
from environments.providers.local_cluster.agents import leftovers
from environments.providers.local_cluster.agents.agent import agents_environment
from images.toolchain import require
from tests.support import images_here
from tests.support.namespaces import LIMIT, PROBE, SERVE, Namespaces, run, wait_for

BRIDGE = "calvtest0"
GATEWAY = "172.29.64.1"
JOB_PORT = 8000
"""What jobs listen on."""


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


@dataclass
class Node(Namespaces):
    """The namespaces, and Nomad in the first. `plugins`: the folders for `cni_path`, set before Nomad starts."""

    folder: Path
    plugins: str = ""
    _nomad: "subprocess.Popen[bytes] | None" = None
    _infra: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

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
        command = self.entered("node", [str(require("nomad")["nomad"]), "agent", "-config", str(file)])
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
        except (AssertionError, OSError, HTTPException, ValueError):
            return False
        return bool(nodes) and nodes[0]["Status"] == "ready" and bool(nodes[0]["Drivers"]["docker"]["Healthy"])

    def kill_nomad(self) -> None:
        """Ends the agent as a crash does; its containers stay."""
        assert self._nomad is not None
        self._nomad.kill()
        self._nomad.wait(timeout=LIMIT)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Nomad's API. Raises `OSError` when it doesn't answer."""

        def call() -> bytes:
            with contextlib.closing(HTTPConnection("127.0.0.1", 4646, timeout=LIMIT)) as connection:
                connection.request(method, path, None if body is None else json.dumps(body))
                answer = connection.getresponse()
                found = answer.read()
                assert answer.status == 200, (method, path, found)
                return found

        answer = self.within("node", call)
        return json.loads(answer) if answer.strip() else None

    def submit(self, namespace: str, name: str, arguments: Mapping[str, str] | None = None, count: int = 1) -> None:
        """Runs a job that listens on all addresses; `arguments` are those that its file gives to plugins of CNI."""
        self.api("POST", f"/v1/namespace/{namespace}", {"Name": namespace})
        network: dict[str, Any] = {"Mode": "bridge", "DynamicPorts": [{"Label": "http", "To": JOB_PORT}]}
        if arguments:
            network["CNI"] = {"Args": dict(arguments)}
        config = {
            "image": images_here.reference("web"),
            "force_pull": False,
            "init": True,
            "entrypoint": ["python3", "-c", SERVE],
            "args": [str(JOB_PORT)],
        }
        task = {"Name": "task", "Driver": "docker", "Config": config, "Resources": {"CPU": 50, "MemoryMB": 64}}
        group = {
            "Name": "group",
            "Count": count,
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

    def in_network_of(self, job: Job, *command: str) -> list[str]:
        """A command that runs a program of this machine as root in the network of the job, which the job can't do."""
        pid = run("docker", "inspect", "-f", "{{.State.Pid}}", job.container).strip()
        return ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *command]

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
            command = self.entered(source, [sys.executable, "-"])
        answer = run(*command, str(seconds), *targets, text=PROBE)
        return [line == "reached" for line in answer.splitlines()]

    def until_reached(self, target: str, source: "Job | str" = "node") -> None:
        """Waits until the target answers: a busy machine may let one attempt fail."""
        wait_for(f"{source} reaches {target}", lambda: self.reached([target], source) == [True])

    def close(self) -> None:
        """Leaves nothing: jobs, containers, agent, namespaces, image."""
        try:
            self._stop()
        finally:
            super().close()
            if self._infra:
                run("docker", "rmi", self._infra)

    def _stop(self) -> None:
        if self._nomad is not None and self._nomad.poll() is None:
            with contextlib.suppress(AssertionError, OSError, HTTPException):
                self._empty()
            self._nomad.terminate()
            self._nomad.wait(timeout=LIMIT)
        infra = [f"nomad_init_{allocation}" for allocation in leftovers.allocations_of(self.data)]
        if self.data.exists():
            leftovers.clear(self.data, [self._cgroup])
        for container in infra:
            subprocess.run(["docker", "rm", "-f", container], capture_output=True, timeout=LIMIT, check=False)

    def _empty(self) -> None:
        for job in self.api("GET", "/v1/jobs?namespace=*") or []:
            self.api("DELETE", f"/v1/job/{job['ID']}?namespace={job['Namespace']}&purge=true")
        wait_for("all allocations have ended", lambda: not self._running())
        self.api("PUT", "/v1/system/gc")
        folder = self.data / "alloc"
        wait_for("allocations are cleared", lambda: not folder.exists() or not any(folder.iterdir()))


@contextlib.contextmanager
def isolated_node(folder: Path) -> Iterator[Node]:
    """The node before its isolation is switched on and Nomad started. Skips the test where jobs can't be isolated."""
    if (found := lack(plugin_folder())) is not None:
        pytest.skip(f"{found.message} {found.hint}")
    node = Node(folder)
    try:
        node.make()
        yield node
    finally:
        node.close()
