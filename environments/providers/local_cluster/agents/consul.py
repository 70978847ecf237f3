"""Consul: one server on loopback, access denied by default, gossip encrypted."""

import json
from pathlib import Path
from typing import Any, ClassVar

from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable
from environments.kept_files import NotKept, read_object
from environments.private_files import write_if_changed
from environments.providers.backend.calls import Caller, Part
from environments.providers.local_cluster.agents.agent import Agent
from environments.providers.local_cluster.agents.certificates import read_certificate
from environments.providers.local_cluster.agents.patience import wait_for
from environments.providers.local_cluster.agents.ports import LOOPBACK
from environments.providers.local_cluster.agents.resolvers import resolvers
from environments.providers.local_cluster.agents.site import DATACENTER, NODE

_MANAGEMENT_POLICY = "00000000-0000-0000-0000-000000000001"
"""Id of the policy `global-management`, the same in every Consul."""

_READING_SECONDS = 20.0
"""Within which Consul has read its log after a start."""

_RELOADED = ("recursors",)
"""Settings that may change with the machine, and that a reload takes over."""


class ConsulAgent(Agent):
    """A Consul server that is its own client."""

    name: ClassVar[str] = "consul"
    part: ClassVar[Part] = "consul"
    binary: ClassVar[str] = "consul"
    other_names: ClassVar[tuple[str, ...]] = (f"server.{DATACENTER}.consul",)
    _reread = False

    @property
    def port(self) -> int:
        return self.site.ports.consul_http

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("agent", "-config-file")

    def listeners(self) -> list[tuple[str, str, int]]:
        ports = self.site.ports
        return [
            ("consul_http", LOOPBACK, ports.consul_http),
            ("consul_dns", ports.dns_address, ports.consul_dns),
            ("consul_serf", LOOPBACK, ports.consul_serf),
            ("consul_server", LOOPBACK, ports.consul_server),
        ]

    def configure(self) -> bool:
        before, configuration = self._written(), self._configuration()
        changed = write_if_changed(self.config, json.dumps(configuration, indent=2) + "\n")
        # What the checks trust grows when OpenBao has made the CA of environments.
        trusts_more = self._write_trusted()
        must_start_again = changed and _lasting(before) != _lasting(configuration)
        self._reread = (changed or trusts_more) and self.pid() is not None
        return must_start_again

    def _written(self) -> dict[str, Any]:
        """The configuration of the last start; empty if there is none."""
        try:
            return read_object(self.config)
        except NotKept:
            return {}

    @property
    def _trusted_file(self) -> Path:
        """Authorities (PEM): that of the parts, and that of environments, whose services Consul checks."""
        return self.folder / "trusted.pem"

    def _write_trusted(self) -> bool:
        files = (self.site.authority_file, self.site.ca_file)
        # OpenBao's start puts a damaged one right.
        found = [path.read_text() for path in files if read_certificate(path) is not None]
        return write_if_changed(self._trusted_file, "".join(found))

    def _configuration(self) -> dict[str, Any]:
        chosen, ports = self.site.chosen, self.site.ports
        return {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": NODE,
            "datacenter": DATACENTER,
            "data_dir": str(self.data),
            "bind_addr": LOOPBACK,
            "client_addr": LOOPBACK,
            "advertise_addr": LOOPBACK,
            "addresses": {"dns": ports.dns_address},
            "ports": {
                "http": -1,
                "https": ports.consul_http,
                "grpc": -1,
                "grpc_tls": -1,
                "dns": ports.consul_dns,
                "serf_lan": ports.consul_serf,
                "serf_wan": -1,
                "server": ports.consul_server,
            },
            # Other names than `.consul` go to the machine's own resolvers.
            "recursors": [address for address in resolvers() if address != ports.dns_address],
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "enable_token_persistence": True,
                "tokens": {"agent": chosen.consul_agent, "dns": chosen.consul_dns},
            },
            "encrypt": chosen.gossip_key,
            "connect": {"enabled": False},
            # A reload reads the certificate and the authorities again.
            "tls": {
                "defaults": {
                    "ca_file": str(self._trusted_file),
                    "cert_file": str(self.certificate_file),
                    "key_file": str(self.certificate_file),
                    "verify_incoming": False,
                    "verify_outgoing": True,
                },
                "internal_rpc": {"verify_incoming": True, "verify_server_hostname": True},
            },
            "enable_agent_tls_for_checks": True,
            "performance": {"raft_multiplier": 1},
            # Everything comes from one address here: Nomad's watches, the service's, and the user's.
            "limits": {"http_max_conns_per_client": 2000},
            "leave_on_terminate": False,
            "skip_leave_on_interrupt": True,
            "disable_update_check": True,
            "log_level": "INFO",
        }

    def trust_ca(self) -> None:
        """Makes HTTPS checks believe the cluster's CA, without a restart."""
        with self.locked():
            if self._write_trusted():
                self.admin().call("PUT", "/v1/agent/reload")

    def set_up(self) -> None:
        chosen = self.site.chosen
        nobody = self.caller()
        self.wait_until(lambda: _leads(nobody), "electing a leader")
        write_if_changed(self.token_file, chosen.consul_admin + "\n")
        admin = self.admin()
        if not _is_accepted(admin):
            self._bootstrap(admin)
        self._revoke_bootstrap(admin)
        node = {"NodeIdentities": [{"NodeName": NODE, "Datacenter": DATACENTER}]}
        self._ensure_token(admin, chosen.consul_agent, "the agent itself", node)
        self._ensure_token(admin, chosen.consul_dns, "DNS", {"TemplatedPolicies": [{"TemplateName": "builtin/dns"}]})
        client = {"TemplatedPolicies": [{"TemplateName": "builtin/nomad-client"}]}
        self._ensure_token(admin, chosen.consul_nomad, "Nomad", client)
        if self._reread:
            admin.call("PUT", "/v1/agent/reload")
            self._reread = False

    def _bootstrap(self, admin: Caller) -> None:
        """Creates the admin's token; a start that was killed may have made each of these calls already."""
        chosen = self.site.chosen
        bootstrap = self.caller(chosen.consul_bootstrap)

        def bootstrapped() -> bool:
            try:
                self.caller().call("PUT", "/v1/acl/bootstrap", {"BootstrapSecret": chosen.consul_bootstrap})
            except BackendUnavailable:
                return False
            except BackendDenied:
                return True  # it exists already
            except BackendError as error:
                return "not allowed" in error.message
            return True

        self.wait_until(bootstrapped, "setting up access control")
        # Right after a start Consul refuses every token, until it has read its own log.
        wait_for(lambda: _is_accepted(admin) or _is_accepted(bootstrap), _READING_SECONDS)
        if _is_accepted(admin):
            return
        body = {
            "SecretID": chosen.consul_admin,
            "Description": "calvinverse admin",
            "Policies": [{"ID": _MANAGEMENT_POLICY}],
        }
        try:
            bootstrap.call("PUT", "/v1/acl/token", body)
        except BackendDenied as error:
            raise BackendDenied(
                "Consul's access control was not set up by this service, and refuses its tokens.",
                hint=f"Restore {self.site.credentials} from a copy, or run `doit undeploy --force` and deploy again.",
            ) from error
        self.wait_until(lambda: _is_accepted(admin), "accepting the admin's token")

    def _revoke_bootstrap(self, admin: Caller) -> None:
        bootstrap = self.caller(self.site.chosen.consul_bootstrap)
        try:
            token = bootstrap.get("/v1/acl/token/self")
        except BackendDenied:
            return
        if token:
            admin.call("DELETE", f"/v1/acl/token/{token['AccessorID']}")

    def _ensure_token(self, admin: Caller, secret: str, whose: str, rights: dict[str, Any]) -> None:
        if not _is_accepted(self.caller(secret)):
            body = {"SecretID": secret, "Description": f"calvinverse: for {whose}", **rights}
            admin.call("PUT", "/v1/acl/token", body)

    def health(self) -> tuple[str, str]:
        version = str(self.admin().call("GET", "/v1/agent/self")["Config"]["Version"])
        return version, "" if _leads(self.caller()) else "it has no leader"


def _lasting(configuration: dict[str, Any]) -> dict[str, Any]:
    """The part of it that only a start reads."""
    return {key: value for key, value in configuration.items() if key not in _RELOADED}


def _leads(caller: Caller) -> bool:
    try:
        return bool(caller.call("GET", "/v1/status/leader"))
    except BackendError:
        return False


def _is_accepted(caller: Caller) -> bool:
    try:
        return caller.get("/v1/acl/token/self") is not None
    except BackendDenied:
        return False
