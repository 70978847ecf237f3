"""A small cluster that Calvinverse did not make: Consul, OpenBao and Nomad with access control and TLS.

One authority signs for all. They listen on free ports of loopback. The agents are started with plain configuration
files, and set up with the vendors' own calls.
"""

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from environments.cni import plugin_folder
from environments.domain.errors import BackendError
from environments.providers.backend.calls import Caller, FixedToken, Part
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.local_cluster.agents import leftovers, networks
from environments.providers.local_cluster.agents.agent import agents_environment
from images.places import CHECKOUT
from images.toolchain import require
from tests.support import images_here
from tests.support.authorities import make_authority
from tests.support.claimed_ports import claim_ports

LIMIT = 120.0
LOOPBACK = "127.0.0.1"
AGENT_FILE = CHECKOUT / "jobs" / "existing_cluster" / "nomad-agent.hcl"
_NAMES = (LOOPBACK, "localhost", "server.dc1.consul", "server.global.nomad", "client.global.nomad")
_OWNER = 10001
_OWNERS = {"edge": 10002}


class ExistingCluster:
    """Running agents below a folder; `token` has an operator's token of each part, `ca_file` their authority."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        self.folder = folder
        self.ports, self._claim = claim_ports()
        self.binaries = require("consul", "bao", "nomad")
        self.authorities = folder / "authorities"
        """What Consul trusts."""
        self.authorities.mkdir()
        authority = make_authority("the cluster's own authority")
        self.ca_file = self.authorities / "cluster.pem"
        self.ca_file.write_text(authority.pem)
        self._certificate = str(authority.sign(folder / "agent.pem", *_NAMES))
        self.token: dict[Part, str] = {}
        self.volumes = folder / "volumes"
        self._bridge = networks.bridge_name(uuid.uuid4().hex[:8])
        self._subnet = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def address(self, part: Part) -> str:
        """Where a part answers."""
        port = {"consul": self.ports.consul_http, "vault": self.ports.openbao_http, "nomad": self.ports.nomad_http}
        return f"https://{LOOPBACK}:{port[part]}"

    def caller(self, part: Part) -> Caller:
        """A client with an operator's token, if there is one yet."""
        token = FixedToken(self.token[part]) if part in self.token else None
        return Caller(part, self.address(part), token, ca_file=self.ca_file)

    def token_file(self, part: Part) -> Path:
        """A file with an operator's token."""
        path = self.folder / f"{part}.token"
        path.touch(mode=0o600)
        path.write_text(self.token[part])
        return path

    @property
    def connections(self) -> Connections:
        """Addresses, authority and operators' tokens."""
        parts: tuple[Part, ...] = ("consul", "vault", "nomad")
        found = {
            part: Endpoint(
                address=self.address(part),
                authentication=TokenFile(token_file=self.token_file(part)),
                ca_file=self.ca_file,
            )
            for part in parts
        }
        return Connections(**found)

    def variables(self) -> dict[str, str]:
        """What the vendors' programs read."""
        return {
            "NOMAD_ADDR": self.address("nomad"),
            "NOMAD_CACERT": str(self.ca_file),
            "NOMAD_TOKEN": self.token["nomad"],
            "CONSUL_HTTP_ADDR": self.address("consul"),
            "CONSUL_CACERT": str(self.ca_file),
            "CONSUL_HTTP_TOKEN": self.token["consul"],
            "BAO_ADDR": self.address("vault"),
            "BAO_CACERT": str(self.ca_file),
            "BAO_TOKEN": self.token["vault"],
        }

    def start(self) -> None:
        """Starts all three, and waits until jobs can be placed."""
        self._start_consul()
        self._start_openbao()
        self._start_nomad()

    def close(self) -> None:
        """Removes all jobs, processes and mounts."""
        if "nomad" in self.token:
            with contextlib.suppress(BackendError):
                self._stop_jobs()
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            process.kill()
            process.wait(timeout=30)
        data = self.folder / "nomad"
        allocations = leftovers.allocations_of(data)
        leftovers.clear(data, [])
        if self._subnet:
            networks.clear(self._bridge, self._subnet, allocations)
            networks.release(data)

    def _start_consul(self) -> None:
        self.token["consul"] = str(uuid.uuid4())
        self._start(
            "consul",
            ("agent", "-config-file"),
            {
                "server": True,
                "bootstrap_expect": 1,
                "node_name": "one",
                "datacenter": "dc1",
                "data_dir": str(self.folder / "consul"),
                "bind_addr": LOOPBACK,
                "client_addr": LOOPBACK,
                "ports": {
                    "http": -1,
                    "https": self.ports.consul_http,
                    "grpc": -1,
                    "grpc_tls": -1,
                    "dns": -1,
                    "serf_lan": self.ports.consul_serf,
                    "serf_wan": -1,
                    "server": self.ports.consul_server,
                },
                "acl": {
                    "enabled": True,
                    "default_policy": "deny",
                    "tokens": {"initial_management": self.token["consul"], "agent": self.token["consul"]},
                },
                "connect": {"enabled": False},
                "tls": {
                    "defaults": {
                        "ca_path": str(self.authorities),
                        "cert_file": self._certificate,
                        "key_file": self._certificate,
                        "verify_outgoing": True,
                    },
                    "internal_rpc": {"verify_incoming": True, "verify_server_hostname": True},
                },
                "enable_agent_tls_for_checks": True,
                "performance": {"raft_multiplier": 1},
                "limits": {"http_max_conns_per_client": 2000},
                "disable_update_check": True,
            },
        )
        consul = self.caller("consul")
        self._until(lambda: consul.call("GET", "/v1/status/leader") and consul.call("GET", "/v1/acl/token/self"))

    def _start_openbao(self) -> None:
        (self.folder / "bao").mkdir(mode=0o700)
        self._start(
            "bao",
            ("server", "-config"),
            {
                "storage": {
                    "raft": {"path": str(self.folder / "bao"), "node_id": "one", "performance_multiplier": 1},
                },
                "listener": [
                    {
                        "tcp": {
                            "address": f"{LOOPBACK}:{self.ports.openbao_http}",
                            "cluster_address": f"{LOOPBACK}:{self.ports.openbao_cluster}",
                            "tls_cert_file": self._certificate,
                            "tls_key_file": self._certificate,
                        }
                    }
                ],
                "api_addr": self.address("vault"),
                "cluster_addr": f"https://{LOOPBACK}:{self.ports.openbao_cluster}",
                "ui": False,
            },
        )
        nobody = self.caller("vault")
        self._until(lambda: nobody.status("/v1/sys/health"))
        made = nobody.call("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        nobody.call("PUT", "/v1/sys/unseal", {"key": made["keys_base64"][0]})
        self._until(lambda: nobody.status("/v1/sys/health") == 200)
        self.token["vault"] = made["root_token"]

    def _start_nomad(self) -> None:
        for name in ("data", "postgres", "edge"):
            (self.volumes / name).mkdir(parents=True)
            os.chown(self.volumes / name, _OWNERS.get(name, _OWNER), _OWNERS.get(name, _OWNER))
        shipped = self.folder / "nomad-agent.hcl"
        # Its block for the docker plugin isn't merged with another one.
        own = f'  config {{\n    infra_image = "{images_here.reference("pause")}"\n'
        text = AGENT_FILE.read_text().replace("/srv/calvinverse", str(self.volumes))
        shipped.write_text(text.replace("  config {\n", own, 1))
        ports, plugins = self.ports, plugin_folder()
        assert plugins is not None, "jobs need networks of their own"
        (self.folder / "nomad").mkdir()
        self._subnet = networks.claim(self.folder / "nomad")
        self._start(
            "nomad",
            ("agent", "-config", str(shipped), "-config"),
            {
                "name": "one",
                "data_dir": str(self.folder / "nomad"),
                "bind_addr": LOOPBACK,
                "ports": {"http": ports.nomad_http, "rpc": ports.nomad_rpc, "serf": ports.nomad_serf},
                "advertise": {
                    "http": f"{LOOPBACK}:{ports.nomad_http}",
                    "rpc": f"{LOOPBACK}:{ports.nomad_rpc}",
                    "serf": f"{LOOPBACK}:{ports.nomad_serf}",
                },
                "disable_update_check": True,
                "leave_on_interrupt": False,
                "leave_on_terminate": False,
                "acl": {"enabled": True},
                "tls": {
                    "http": True,
                    "rpc": True,
                    "ca_file": str(self.ca_file),
                    "cert_file": self._certificate,
                    "key_file": self._certificate,
                    "verify_server_hostname": True,
                },
                "limits": {"http_max_conns_per_client": 1000},
                "server": {"enabled": True, "bootstrap_expect": 1, "raft_multiplier": 1},
                "client": {
                    "enabled": True,
                    "network_interface": "lo",
                    "cni_path": str(plugins),
                    "bridge_network_name": self._bridge,
                    "bridge_network_subnet": self._subnet,
                    "alloc_mounts_dir": str(self.folder / "nomad" / "alloc_mounts"),
                    "min_dynamic_port": ports.first_dynamic,
                    "max_dynamic_port": ports.last_dynamic,
                    "options": {
                        "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean",
                        "driver.allowlist": "docker",
                    },
                },
                "consul": {
                    "address": f"{LOOPBACK}:{ports.consul_http}",
                    "ssl": True,
                    "ca_file": str(self.ca_file),
                    "token": self.token["consul"],
                    "server_auto_join": False,
                    "client_auto_join": False,
                },
                "vault": {"address": self.address("vault"), "ca_file": str(self.ca_file)},
            },
        )
        nomad = self.caller("nomad")

        def bootstrapped() -> Any:
            return nomad.call("POST", "/v1/acl/bootstrap", {})

        self.token["nomad"] = self._until(bootstrapped)["SecretID"]
        self._until(self._is_ready)

    def _is_ready(self) -> bool:
        nomad = self.caller("nomad")
        for stub in nomad.call("GET", "/v1/nodes"):
            node = nomad.call("GET", f"/v1/node/{stub['ID']}")
            seen = all(f"{part}.version" in node["Attributes"] for part in ("consul", "vault"))
            return bool(node["Status"] == "ready" and seen and node["Drivers"]["docker"]["Healthy"])
        return False

    def _stop_jobs(self) -> None:
        nomad = self.caller("nomad")
        for job in nomad.call("GET", "/v1/jobs?namespace=*"):
            nomad.call("DELETE", f"/v1/job/{job['ID']}?namespace={job['Namespace']}&purge=true")

        def ended() -> bool:
            found = nomad.call("GET", "/v1/allocations?namespace=*")
            return all(allocation["ClientStatus"] in ("complete", "failed", "lost") for allocation in found)

        self._until(ended)
        nomad.call("PUT", "/v1/system/gc")
        folder = self.folder / "nomad" / "alloc"
        with contextlib.suppress(AssertionError):
            self._until(lambda: not folder.exists() or not any(folder.iterdir()), limit=30)

    def _start(self, name: str, arguments: tuple[str, ...], config: dict[str, Any]) -> None:
        file = self.folder / f"{name}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config))
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [str(self.binaries[name]), *arguments, str(file)],
                    env=agents_environment(self.folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def _until(self, true: Callable[[], Any], limit: float = LIMIT) -> Any:
        end = time.monotonic() + limit
        while True:
            with contextlib.suppress(BackendError):
                if found := true():
                    return found
            for process in self._processes:
                assert process.poll() is None, f"an agent has ended; its log is in {self.folder}"
            assert time.monotonic() < end, f"it didn't become so in time; the logs are in {self.folder}"
            time.sleep(0.2)


@contextlib.contextmanager
def existing_cluster(folder: Path) -> Iterator[ExistingCluster]:
    """A cluster that is ready for jobs, and gone afterwards."""
    cluster = ExistingCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
