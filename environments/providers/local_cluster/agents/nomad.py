"""Nomad: server and client in one agent on loopback, jobs in Docker, rights through workload identity."""

import contextlib
import json
import os
import re
import sys
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from environments import state_origin
from environments.cni import plugin_folder
from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable, CalvinverseError
from environments.domain.names import EDGE_VOLUME, SERVICE_VOLUMES
from environments.kept_files import NotKept, read_token
from environments.private_files import private_folder, write_if_changed, write_private
from environments.providers.backend.calls import Caller, Part
from environments.providers.local_cluster import port_guard
from environments.providers.local_cluster.agents import (
    engine,
    isolating,
    left_containers,
    leftovers,
    networks,
    nomad_start,
    traces,
)
from environments.providers.local_cluster.agents.agent import Agent
from environments.providers.local_cluster.agents.consul import ConsulAgent
from environments.providers.local_cluster.agents.isolating import ISOLATED_META, KEEPER, JobIsolation
from environments.providers.local_cluster.agents.ports import LOOPBACK
from environments.providers.local_cluster.agents.resolvers import resolvers
from environments.providers.local_cluster.agents.site import DATACENTER, EDGE_OWNER, NODE, VOLUME_OWNER, Site
from environments.providers.local_cluster.agents.supervisor import Supervisor
from environments.providers.local_cluster.authority import SERVER_NAMES
from environments.providers.local_cluster.isolation.model import DnsServer, Network
from environments.shared_places import used_by_jobs
from environments.steps.cluster_events import ENDED

_ADMIN_NAME = "calvinverse-admin"

BUILDS_VOLUME = "builds"
"""Nomad's name of the host volume in which images are built."""
_BUILDS_FOLDER = "calvinverse-builds"
"""Among the volumes, like those of the service: a link may lead to a disk on which others have `builds`."""
BUILDS_META = "calvinverse_builds"
"""What the node tells in this, jobs read as `${meta.calvinverse_builds}`: where that folder is on the node."""
SOCKET_VOLUME = "docker-socket"
"""Nomad's name of the host volume that is the engine's socket."""
SOCKET_GROUP_META = "calvinverse_docker_gid"
"""Likewise: the group that may use the socket."""

_BOOTSTRAPPED = re.compile(r"already done \(reset index: (?P<index>\d+)\)")

_CLOUDS = "env_aws,env_gce,env_azure,env_digitalocean"


class NomadAgent(Agent):
    """A Nomad server that is its own client."""

    name: ClassVar[str] = "nomad"
    part: ClassVar[Part] = "nomad"
    binary: ClassVar[str] = "nomad"
    other_names: ClassVar[tuple[str, ...]] = ("server.global.nomad", "client.global.nomad")
    # Tasks that don't run as root must be able to enter the folders below `local`; the data folder itself is closed.
    umask: ClassVar[str] = "022"

    def __init__(self, site: Site, supervisor: Supervisor) -> None:
        super().__init__(site, supervisor)
        log = site.folder / "logs" / f"{KEEPER}.log"
        self.isolation = JobIsolation(self.folder / nomad_start.ISOLATION, log, supervisor)

    @property
    def port(self) -> int:
        return self.site.ports.nomad_http

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("agent", "-config")

    def listeners(self) -> list[tuple[str, str, int]]:
        ports = self.site.ports
        return [
            ("nomad_http", LOOPBACK, ports.nomad_http),
            ("nomad_rpc", LOOPBACK, ports.nomad_rpc),
            ("nomad_serf", LOOPBACK, ports.nomad_serf),
        ]

    def configure(self) -> bool:
        private_folder(self.site.volumes)
        for name in (*sorted(SERVICE_VOLUMES), _BUILDS_FOLDER):
            private_folder(self.site.volumes / name)
            if os.geteuid() == 0:
                _own(self.site.volumes / name, EDGE_OWNER if name == EDGE_VOLUME else VOLUME_OWNER)
        # Users of a build, such as apt's, need access to it.
        self.builds.chmod(0o711)
        if (plugins := self._plugins()) is not None:
            before = networks.kept_subnet(self._subnet_file)
            write_if_changed(self._subnet_file, networks.claim(self.data, before) + "\n")
            network = Network(self.bridge, dns=self._dns_server(), limited_port=self.site.limited_port)
            self.isolation.switch_on(network, plugins)
            port_guard.install(self._port_guard, plugins, self.site.reserved_ports | self.site.ports.of_parts())
        else:
            private_folder(self._no_plugins)
        return write_if_changed(self.config, json.dumps(self._configuration(), indent=2) + "\n")

    def starter(self) -> tuple[str, ...]:
        """Networks that an earlier process of Nomad didn't complete are removed before each start."""
        # Always the same: a step that doesn't know the image of networks must not make supervisor stop Nomad.
        return (sys.executable, "-I", "-m", nomad_start.__name__)

    @property
    def builds(self) -> Path:
        """Where images are built; the engine sees it under the same path as the jobs that mount it there."""
        return self.site.volumes / _BUILDS_FOLDER

    @property
    def bridge(self) -> str:
        """The bridge of groups that have a network of their own; other agents of this machine have others."""
        return networks.bridge_name(self.site.chosen.cluster)

    @property
    def _subnet_file(self) -> Path:
        return self.folder / "subnet"

    @property
    def _no_plugins(self) -> Path:
        """An empty folder: without plugins Nomad places no group in bridge mode."""
        return self.folder / "no-plugins"

    @property
    def _port_guard(self) -> Path:
        """The plugin that refuses ports of the node that are somebody's."""
        return self.folder / "ports"

    def _plugins(self) -> Path | None:
        """The CNI plugins; None if no group can have a network of its own."""
        return plugin_folder() if self.site.infra_image else None

    @property
    def warning(self) -> str:
        return self.isolation.warning

    def _dns_server(self) -> DnsServer | None:
        """Consul's DNS server for jobs; None if Consul isn't ours."""
        if not (self.site.folder / ConsulAgent.name).is_dir():
            return None
        return isolating.dns_server(self._subnet_file.read_text().strip(), self.site.ports, resolvers())

    def _networks(self) -> dict[str, Any]:
        plugins = self._plugins()
        if plugins is None:
            return {"cni_path": str(self._no_plugins)}
        return {
            "cni_path": f"{self._port_guard / 'cni'}:{self.isolation.plugin_path(plugins)}",
            "bridge_network_name": self.bridge,
            "bridge_network_subnet": self._subnet_file.read_text().strip(),
        }

    def _configuration(self) -> dict[str, Any]:
        chosen, ports = self.site.chosen, self.site.ports
        volumes = {name: self.site.volumes / name for name in SERVICE_VOLUMES} | {BUILDS_VOLUME: self.builds}
        meta = {BUILDS_META: str(self.builds)}
        if self._plugins() is not None and not self.isolation.lacking:
            meta[ISOLATED_META] = "true"
        if (socket := engine.socket()) is not None:
            volumes[SOCKET_VOLUME] = socket
            meta[SOCKET_GROUP_META] = str(socket.stat().st_gid)
        identity = {"aud": ["consul.io"], "ttl": "1h"}
        return {
            "name": NODE,
            "region": "global",
            "datacenter": DATACENTER,
            "data_dir": str(self.data),
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
            "log_level": "INFO",
            "acl": {"enabled": True},
            # SIGHUP reads the certificate again.
            "tls": {
                "http": True,
                "rpc": True,
                "ca_file": str(self.site.authority_file),
                "cert_file": str(self.certificate_file),
                "key_file": str(self.certificate_file),
                "verify_server_hostname": True,
                "verify_https_client": False,
            },
            "limits": {"http_max_conns_per_client": 1000},
            # Otherwise nobody measures what tasks use, and no environment is ever idle.
            "telemetry": {"publish_allocation_metrics": True, "collection_interval": "5s"},
            "server": {
                "enabled": True,
                "bootstrap_expect": 1,
                "encrypt": chosen.gossip_key,
                "raft_multiplier": 1,
            },
            "client": {
                "enabled": True,
                "network_interface": "lo",
                **self._networks(),
                # Nomad's own limit of 30 s would silently shorten what job files ask for.
                "max_kill_timeout": "1h",
                "alloc_mounts_dir": str(self.data / "alloc_mounts"),
                "cgroup_parent": self.cgroup,
                "min_dynamic_port": ports.first_dynamic,
                "max_dynamic_port": ports.last_dynamic,
                # Such a job isn't placed; `port_guard` refuses what else is somebody's.
                "reserved": {"reserved_ports": ",".join(map(str, sorted(ports.of_parts())))},
                "options": {"fingerprint.denylist": _CLOUDS, "driver.allowlist": "docker"},
                "template": {
                    "consul_retry": {"attempts": 0},
                    "vault_retry": {"attempts": 0},
                    "nomad_retry": {"attempts": 0},
                },
                "host_volume": {
                    name: {"path": str(path), "read_only": False} for name, path in sorted(volumes.items())
                },
                "meta": meta,
            },
            "plugin": {
                "docker": {
                    "config": {
                        "allow_privileged": False,
                        "volumes": {"enabled": False},
                        **({"infra_image": self.site.infra_image} if self.site.infra_image else {}),
                        "gc": {
                            "image": False,
                            "container": True,
                            # It would remove every container with Nomad's label that it doesn't know: those of every
                            # other Nomad on this Docker engine.
                            "dangling_containers": {"enabled": False},
                        },
                    }
                }
            },
            "consul": {
                "address": f"{LOOPBACK}:{ports.consul_http}",
                "ssl": True,
                "verify_ssl": True,
                "ca_file": str(self.site.authority_file),
                "token": chosen.consul_nomad,
                "server_auto_join": False,
                "client_auto_join": False,
                "service_identity": identity,
                "task_identity": identity,
            },
            "vault": {
                "enabled": True,
                "address": f"https://{LOOPBACK}:{ports.openbao_http}",
                "ca_file": str(self.site.authority_file),
                "tls_server_name": SERVER_NAMES["openbao"],
                "jwt_auth_backend_path": "jwt-nomad",
                "create_from_role": "environment",
                "default_identity": {"aud": ["vault.io"], "ttl": "1h"},
            },
        }

    @property
    def cgroup(self) -> str:
        """The cgroup of all our tasks."""
        return traces.cgroup_name(self.site.chosen.cluster)

    def set_up(self) -> None:
        nobody = self.caller()
        self.wait_until(lambda: _leads(nobody), "electing a leader")
        if not self._has_token():
            self._bootstrap(nobody)
        admin = self.admin()
        self._revoke_bootstrap(admin)
        self.wait_until(lambda: self._is_ready(admin), "making its node ready", seconds=90)

    def _has_token(self) -> bool:
        """Whether the file of the admin's token holds one that Nomad takes. Raises `BackendUnavailable`."""
        try:
            return _is_accepted(self.caller(read_token(self.token_file)))
        except BackendUnavailable:
            raise
        except (NotKept, BackendError):  # a part of a token is an error of Nomad's, for it takes it for a JWT
            return False

    def _bootstrap(self, nobody: Caller) -> None:
        """Creates the admin's token. Nomad chooses it, so a start that was killed may have created it already.

        Where it was lost afterwards, Nomad lets the owner of its data folder set access control up once more.
        """
        secret = self.site.chosen.nomad_bootstrap
        bootstrap = self.caller(secret)

        def bootstrapped() -> bool:
            try:
                nobody.call("POST", "/v1/acl/bootstrap", {"BootstrapSecret": secret})
            except BackendUnavailable:
                return False
            except BackendError as error:
                if (done := _BOOTSTRAPPED.search(error.message)) is None:
                    return False
                if _is_accepted(bootstrap):
                    return True
                write_private(self.data / "server" / "acl-bootstrap-reset", done["index"])
                return False
            return True

        self.wait_until(bootstrapped, "setting up access control")
        try:
            tokens = bootstrap.call("GET", "/v1/acl/tokens")
        except BackendDenied as error:
            raise BackendDenied(
                "Nomad's access control was not set up by this service.",
                hint="Run `doit undeploy --force`, and deploy again.",
            ) from error
        known = [token["AccessorID"] for token in tokens if token["Name"] == _ADMIN_NAME]
        if known:
            token = bootstrap.call("GET", f"/v1/acl/token/{known[0]}")
        else:
            token = bootstrap.call("POST", "/v1/acl/token", {"Name": _ADMIN_NAME, "Type": "management", "Global": True})
        write_if_changed(self.token_file, str(token["SecretID"]) + "\n")

    def _revoke_bootstrap(self, admin: Caller) -> None:
        bootstrap = self.caller(self.site.chosen.nomad_bootstrap)
        try:
            token = bootstrap.call("GET", "/v1/acl/token/self")
        except BackendDenied:
            return
        admin.call("DELETE", f"/v1/acl/token/{token['AccessorID']}")

    def _is_ready(self, admin: Caller) -> bool:
        if not self._unready(admin):
            return True
        # After a restart the client registers before the server has read its own log, is refused, and tries again after
        # 15 to 30 s, or as soon as another call of the client succeeds. Checking our token is such a call.
        with contextlib.suppress(BackendError):
            admin.call("GET", "/v1/client/stats")
        return False

    def _unready(self, admin: Caller) -> str:
        """Why no job that uses Consul and OpenBao could be placed now; empty if one could."""
        nodes = admin.call("GET", "/v1/nodes")
        if not nodes or nodes[0]["Status"] != "ready":
            return "its node isn't ready"
        if admin.call("GET", "/v1/agent/self")["stats"]["client"]["heartbeat_ttl"] == "0s":
            return "its node hasn't registered since the last start"
        node = admin.call("GET", f"/v1/node/{nodes[0]['ID']}")
        docker = (node.get("Drivers") or {}).get("docker") or {}
        if not docker.get("Healthy"):
            return f"its driver for Docker isn't healthy: {docker.get('HealthDescription') or 'not found'}"
        absent = [part for part in ("consul", "vault") if f"{part}.version" not in node["Attributes"]]
        return f"its node doesn't see {' and '.join(absent)} yet" if absent else ""

    def health(self) -> tuple[str, str]:
        admin = self.admin()
        version = admin.call("GET", "/v1/agent/self")["config"]["Version"]["Version"]
        return str(version), self._unready(admin)

    def remove(self) -> None:
        """Stops all jobs first; afterwards no container, mount, process, cgroup or file of it is left."""
        if self.pid() is not None:
            with contextlib.suppress(CalvinverseError):  # if it fails, what it leaves is removed below
                self.empty(self.admin())
        self.stop()
        allocations = leftovers.allocations_of(self.data)
        certain = self._is_no_copy()
        if certain:
            found = traces.find(self.site.chosen.cluster, self.config, self.data, self._subnet_file)
        else:
            found = traces.claimed(self.data)
        bridges = [networks.bridge_name(cluster) for cluster in sorted(found.clusters)]
        cgroups = [traces.cgroup_name(cluster) for cluster in sorted(found.clusters)]
        answered = leftovers.clear(self.data, cgroups, certain=certain)
        if allocations and not answered:
            used = [self.data, *used_by_jobs(self.site.volumes)]
            left_containers.keep(self.site.state, used, allocations if certain else ())
        leftovers.clear_volumes(self.site.volumes)
        self.isolation.switch_off(bridges, certain=certain)
        for bridge, subnet in product(bridges, sorted(found.subnets)):
            networks.clear(bridge, subnet, allocations if certain else ())
        if found.subnets:
            networks.release(self.data)
        super().remove()

    def _is_no_copy(self) -> bool:
        """Whether something here says that the agent was started in this folder, and not in one it was copied from."""
        certain = state_origin.is_certain(self.site.state)
        if certain is not None:
            return certain
        return traces.names_its_place(self.config, self.data) or bool(networks.subnets_of(self.data))

    def empty(self, admin: Caller) -> None:
        """Stops and purges every job of every namespace and waits until their allocations are gone."""
        jobs = admin.call("GET", "/v1/jobs?namespace=*") or []
        for job in jobs:
            admin.call("DELETE", f"/v1/job/{job['ID']}?namespace={job['Namespace']}&purge=true")
        self.wait_until(lambda: all_ended(admin, "/v1/allocations?namespace=*"), "stopping all jobs", seconds=60)
        admin.call("PUT", "/v1/system/gc")
        folder = self.data / "alloc"
        self.wait_until(lambda: not folder.exists() or not any(folder.iterdir()), "clearing allocations", seconds=30)


def _own(folder: Path, owner: int) -> None:
    """Gives a volume to the user and group of its part, with what is in it if it was another's so far."""
    if folder.stat().st_uid != owner:
        for path in folder.rglob("*"):
            os.chown(path, owner, owner, follow_symlinks=False)
    os.chown(folder, owner, owner)


def all_ended(nomad: Caller, path: str) -> bool:
    """Whether all allocations of that list in Nomad's API have ended. Raises `BackendError`."""
    return all(allocation["ClientStatus"] in ENDED for allocation in nomad.get(path) or [])


def _leads(caller: Caller) -> bool:
    try:
        return bool(caller.call("GET", "/v1/status/leader"))
    except BackendError:
        return False


def _is_accepted(caller: Caller) -> bool:
    try:
        return bool(caller.call("GET", "/v1/acl/token/self"))
    except BackendDenied:
        return False
