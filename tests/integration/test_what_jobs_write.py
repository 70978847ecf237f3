"""Everything that a job's own identities can write in Consul, OpenBao and Nomad, and that it is gone after a destroy.

OpenBao and Consul say themselves what a token may do. What is written with it is tried call by call.
"""

import json
from typing import Any

import pytest
import requests

from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.consul.ports import CONFIG_KINDS, ConfigEntry
from tests.integration.test_belongings import READER, Scene, connections, scene  # noqa: F401 - fixtures
from tests.support import images_here
from tests.support.engine_harness import ADMIN

TEMPLATE = """
[template]
network = "host"
name = "writer"
[[steps]]
name = "app"
uses = "nomad.job"
timeout = "60s"
with = { file = "app.nomad.hcl", variables = { image = "IMAGE" } }
"""
JOB = """
variable "image" {}
job "app" {
  type = "service"
  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "30s"
    progress_deadline = "40s"
    health_check      = "task_states"
  }
  group "app" {
    task "app" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image        = var.image
        force_pull   = false
        init         = true
        network_mode = "host"
        entrypoint   = ["/usr/bin/bash", "-c"]
        args = [<<EOT
cd /local && printf %s "$CONSUL_HTTP_TOKEN" > consul && printf %s "$VAULT_TOKEN" > vault
printf %s "$NOMAD_TOKEN" > nomad
sleep 3600
EOT
        ]
      }
      identity {
        env = true
      }
      vault {}
      consul {}
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""

RESOURCES = [
    "acl",
    "agent",
    "event",
    "intention",
    "key",
    "keyring",
    "mesh",
    "node",
    "operator",
    "peering",
    "query",
    "service",
    "session",
]
"""All that rights in Consul are about."""

OF_EVERYBODY = {
    "auth/token/renew-self",
    "auth/token/revoke-self",
    "cubbyhole/*",
    "sys/capabilities-self",
    "sys/leases/lookup",
    "sys/leases/renew",
    "sys/tools/hash",
    "sys/tools/hash/*",
    "sys/wrapping/lookup",
    "sys/wrapping/unwrap",
    "sys/wrapping/wrap",
}
"""What OpenBao's policy `default` lets every token do: all of it is the token's own and goes with it, but what was
wrapped. That ends by itself, and only who was given its token reads it, whoever has the name."""

ID = "attack"


class Job:
    """What holds the tokens of a job that runs, and uses them."""

    def __init__(self, scene: Scene) -> None:  # noqa: F811
        self.name, self._connections = scene.name, scene.connections
        nomad = self._connections.caller("nomad")
        (run,) = nomad.call("GET", f"/v1/job/app/allocations?namespace={self.name}")

        def handed(file: str) -> str:
            path = f"/v1/client/fs/cat/{run['ID']}?namespace={self.name}&path=app/local/{file}"
            return str(nomad.get(path) or "")

        scene.until(lambda: handed("nomad") != "", 60)
        self._headers = {
            "consul": {"X-Consul-Token": handed("consul")},
            "vault": {"X-Vault-Token": handed("vault")},
            "nomad": {"X-Nomad-Token": handed("nomad")},
        }
        assert all(token for headers in self._headers.values() for token in headers.values())
        # On a busy machine Consul may not know a token yet that it has just given.
        scene.until(lambda: self.call("consul", "GET", "/v1/acl/token/self").status_code == 200, 60)

    def call(self, part: Any, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """Whatever the part answers."""
        endpoint = self._connections.endpoint(part)
        data = None if body is None else json.dumps(body)
        verify = str(endpoint.ca_file) if endpoint.ca_file else True
        sent = {**self._headers[part], **headers}
        return requests.request(method, endpoint.address + path, headers=sent, data=data, verify=verify, timeout=30)

    def may_in_consul(self) -> set[tuple[str, str]]:
        """Kinds and names that it may write in Consul, of its own, another's and no name."""
        names = [f"{self.name}--web", f"environments/{self.name}/web", self.name, "other--web", "calvinverse", ""]
        found = set()
        for resource in RESOURCES:  # Consul answers 64 questions at most
            asked = [{"Resource": resource, "Segment": segment, "Access": "write"} for segment in names]
            answer = self.call("consul", "POST", "/v1/internal/acl/authorize", asked)
            assert answer.status_code == 200, answer.text
            found |= {(right["Resource"], right["Segment"]) for right in answer.json() if right["Allow"]}
        return found

    def may_in_openbao(self) -> set[str]:
        """Paths that it may write in OpenBao, `*` at the end of those that are the beginning of others."""
        rights = self.call("vault", "GET", "/v1/sys/internal/ui/resultant-acl").json()["data"]
        found = {**rights["exact_paths"], **{f"{path}*": right for path, right in rights["glob_paths"].items()}}
        writing = {"create", "update", "patch", "delete", "sudo"}
        assert not rights["root"]
        return {path for path, right in found.items() if writing & set(right["capabilities"])}


@pytest.fixture
def job(scene: Scene) -> Job:  # noqa: F811
    text = TEMPLATE.replace("IMAGE", images_here.reference("base"))
    scene.catalogue.push(ADMIN, make_bundle({"template.toml": text.encode(), "app.nomad.hcl": JOB.encode()}))
    scene.ask("writer")
    scene.ends(State.READY)
    return Job(scene)


def _open_in_consul(name: str, node: str) -> list[tuple[str, str, Any]]:
    """What the right to write a service opens; each leaves something."""
    web = f"{name}--web"
    gateway = {"Name": f"{name}--gw", "ID": f"{name}-2", "Kind": "mesh-gateway", "Port": 1}
    own = {"ID": f"{name}-cat", "Service": f"{name}--cat", "Port": 3}
    kinds: dict[str, dict[str, Any]] = {
        "service-defaults": {"Protocol": "http"},
        "service-router": {},
        "service-splitter": {"Splits": [{"Weight": 100}]},
        "service-resolver": {"ConnectTimeout": "9s"},
    }
    assert set(kinds) == set(CONFIG_KINDS)
    return [
        ("PUT", "/v1/agent/service/register", {"Name": web, "ID": f"{name}-1", "Port": 1}),
        ("PUT", "/v1/agent/service/register", gateway),
        ("PUT", "/v1/agent/check/register", {"Name": "c", "ID": f"{name}-c", "TTL": "9s", "ServiceID": f"{name}-1"}),
        ("PUT", f"/v1/agent/check/pass/{name}-c", None),
        ("PUT", f"/v1/agent/service/maintenance/{name}-1?enable=true", None),
        ("PUT", "/v1/catalog/register", {"Node": node, "SkipNodeUpdate": True, "Service": own}),
        ("PUT", "/v1/txn", [{"Service": {"Verb": "set", "Node": node, "Service": {**own, "ID": f"{name}-txn"}}}]),
        *(("PUT", "/v1/config", {"Kind": kind, "Name": web, **more}) for kind, more in kinds.items()),
    ]  # fmt: skip


def _shut_in_consul(name: str, node: str) -> list[tuple[str, str, Any]]:
    web, check = f"{name}--web", {"Node": node, "Name": "x", "CheckID": f"{ID}-check", "Status": "passing"}
    coordinate = {"Vec": [0] * 8, "Height": 0, "Error": 1, "Adjustment": 0}
    kinds: dict[str, dict[str, Any]] = {
        "service-intentions": {"Sources": [{"Name": "x", "Action": "allow"}]},
        "ingress-gateway": {"Listeners": []},
        "terminating-gateway": {"Services": []},
        "api-gateway": {"Listeners": [{"Name": "a", "Port": 1, "Protocol": "tcp"}]},
        "http-route": {},
        "tcp-route": {},
        "file-system-certificate": {"Certificate": "a", "PrivateKey": "b"},
        "jwt-provider": {"JSONWebKeySet": {"Local": {"JWKS": "e30="}}},
        "bound-api-gateway": {},
    }
    return [
        *(("PUT", "/v1/config", {"Kind": kind, "Name": web, **more}) for kind, more in kinds.items()),
        *(("PUT", "/v1/config", {"Kind": kind, "Name": "other--web"}) for kind in CONFIG_KINDS if "split" not in kind),
        ("PUT", "/v1/config", {"Kind": "proxy-defaults", "Name": "global"}),
        ("PUT", "/v1/config", {"Kind": "mesh"}),
        ("PUT", "/v1/config", {"Kind": "exported-services", "Name": "default", "Services": []}),
        ("PUT", f"/v1/connect/intentions/exact?source=x&destination={web}", {"Action": "allow"}),
        ("PUT", "/v1/connect/ca/configuration", {"Provider": "consul", "Config": {}}),
        ("PUT", "/v1/agent/service/register", {"Name": "other--web", "ID": ID}),
        ("PUT", "/v1/agent/service/register", {"Name": f"{name}-", "ID": ID}),
        ("PUT", "/v1/agent/service/register", {"Name": web, "ID": ID, "Kind": "connect-proxy", "Port": 1,
                                               "Proxy": {"DestinationServiceName": "other--web"}}),
        ("PUT", "/v1/agent/check/register", {"Name": "c", "ID": ID, "TTL": "9s"}),
        ("PUT", "/v1/catalog/register", {"Node": ID, "Address": "127.0.0.1"}),
        ("PUT", "/v1/catalog/register", {"Node": node, "Address": "127.0.0.1", "Service": {"Service": web}}),
        ("PUT", "/v1/catalog/register", {"Node": node, "SkipNodeUpdate": True, "Check": check}),
        ("PUT", "/v1/catalog/deregister", {"Node": node}),
        ("PUT", "/v1/txn", [{"Node": {"Verb": "set", "Node": {"Node": ID, "Address": "127.0.0.1"}}}]),
        ("PUT", "/v1/txn", [{"Check": {"Verb": "set", "Check": check}}]),
        ("PUT", "/v1/txn", [{"KV": {"Verb": "set", "Key": f"environments/{name}/x", "Value": "YQ=="}}]),
        ("PUT", f"/v1/kv/environments/{name}/x", "a"),
        ("PUT", f"/v1/kv/{web}", "a"),
        ("PUT", "/v1/session/create", {"Node": node}),
        ("PUT", f"/v1/event/fire/{web}", None),
        ("POST", "/v1/query", {"Name": web, "Service": {"Service": web}}),
        ("PUT", "/v1/coordinate/update", {"Node": node, "Coord": coordinate}),
        *(("PUT", f"/v1/acl/{what}", {"Name": ID}) for what in ("policy", "role", "auth-method")),
        ("PUT", "/v1/acl/token", {}),
        ("PUT", "/v1/acl/binding-rule", {"AuthMethod": "nomad-workloads"}),
        ("PUT", "/v1/acl/token/self/clone", {}),
        ("POST", "/v1/peering/token", {"PeerName": ID}),
        ("PUT", "/v1/snapshot", "x"),
        ("PUT", "/v1/operator/autopilot/configuration", {}),
        ("POST", "/v1/operator/keyring", {"Key": "x"}),
        *(("PUT", f"/v1/agent/{what}", None)
          for what in ("maintenance?enable=true", "reload", "leave", "force-leave/x", "join/127.0.0.1")),
        ("PUT", "/v1/agent/token/default", {"Token": "x"}),
    ]  # fmt: skip


def _shut_in_nomad(name: str) -> list[tuple[str, str, Any]]:
    task = {"Name": "a", "Driver": "docker", "Config": {"image": "a"}}
    groups = [{"Name": "a", "Count": 1, "Tasks": [task]}]
    job = {"ID": ID, "Name": ID, "Namespace": name, "Type": "batch", "Datacenters": ["*"], "TaskGroups": groups}
    volume = {"Name": ID, "Namespace": name, "PluginID": "mkdir", "RequestedCapabilities": []}
    return [
        ("PUT", f"/v1/jobs?namespace={name}", {"Job": job}),
        ("PUT", f"/v1/job/app/plan?namespace={name}", {"Job": {**job, "ID": "app"}}),
        ("PUT", f"/v1/job/app/evaluate?namespace={name}", {"JobID": "app"}),
        ("PUT", f"/v1/job/app/scale?namespace={name}", {"Count": 2, "Target": {"Group": "app"}}),
        ("PUT", f"/v1/job/app/stable?namespace={name}", {"JobID": "app", "JobVersion": 0, "Stable": True}),
        ("DELETE", f"/v1/job/app?namespace={name}", None),
        *(("PUT", f"/v1/var/{path}?namespace={name}", {"Path": path, "Namespace": name, "Items": {"a": "b"}})
          for path in ("nomad/jobs", "nomad/jobs/app", "nomad/jobs/app/app/app", "mine")),
        ("PUT", f"/v1/volume/host/create?namespace={name}", {"Volume": volume}),
        ("PUT", f"/v1/volume/csi/x?namespace={name}", {"Volumes": []}),
        ("PUT", f"/v1/namespace/{name}", {"Name": name}),
        ("PUT", "/v1/node/pool/x", {"Name": "x"}),
        ("PUT", "/v1/system/gc", None),
        ("PUT", "/v1/operator/scheduler/configuration", {}),
        ("PUT", "/v1/search", {"Prefix": "", "Context": "nodes"}),
        *(("PUT", f"/v1/acl/{what}", {"Name": ID}) for what in ("token", "role", "binding-rule", "auth-method")),
        ("PUT", f"/v1/acl/policy/{ID}", {"Name": ID, "Rules": ""}),
        ("PUT", "/v1/operator/keyring/rotate", None),
    ]  # fmt: skip


def test_what_a_job_can_write_is_known_and_gone_with_its_environment(
    scene: Scene,  # noqa: F811
    job: Job,
) -> None:
    name, admin = scene.name, scene.connections.caller("consul")
    node = admin.get("/v1/catalog/nodes")[0]["Node"]
    assert job.may_in_consul() == {("service", f"{name}--web")}
    parts = f"pki-parts/issue/{name}"
    assert job.may_in_openbao() == {f"pki/issue/{name}", parts, *OF_EVERYBODY}
    assert job.call("vault", "PUT", f"/v1/{parts}", {"common_name": "x"}).status_code == 400  # there is no such role
    asked = [("consul", *call) for call in _shut_in_consul(name, node)]
    asked += [("nomad", *call) for call in _shut_in_nomad(name)]
    answers = [(job.call(part, method, path, body), path, body) for part, method, path, body in asked]
    assert [(answer.text, path, body) for answer, path, body in answers if not _shut(answer)] == []

    for method, path, body in _open_in_consul(name, node):
        answer = job.call("consul", method, path, body)
        assert answer.status_code == 200, f"{path} {body}: {answer.text}"
    role: dict[str, Any] = {"allow_any_name": True, "generate_lease": True, "key_type": "ec", "key_bits": 256}
    scene.vault.pki.write_role(name, {**role, "ou": ["by hand"], "ttl": 3600})
    assert job.call("vault", "PUT", f"/v1/pki/issue/{name}", {"common_name": f"{name}--web"}).status_code == 200
    assert job.call("vault", "PUT", "/v1/cubbyhole/a", {"a": "b"}).status_code == 204
    assert {entry.kind for entry in scene.consul.configured(f"{name}--")} == set(CONFIG_KINDS)
    assert {instance.service for instance in scene.consul.registered(f"{name}--")} == {
        f"{name}--{what}" for what in ("web", "gw", "cat")
    }
    drift = scene.drifting.observe(ADMIN, name).drift
    assert drift is not None
    told = {(found.kind, found.address) for found in drift.unexpected}
    assert {("consul.config-entry", f"{kind}/{name}--web") for kind in CONFIG_KINDS} <= told
    assert {("consul.service", f"{name}--{what}") for what in ("web", "gw", "cat")} <= told

    scene.destroy()
    assert scene.consul.configured(f"{name}--") == []
    assert scene.consul.registered(f"{name}--") == []
    for what in ("services", "checks"):
        assert [found for found in admin.get(f"/v1/agent/{what}") if name in found] == []
    assert job.call("consul", "GET", "/v1/acl/token/self").status_code == 403
    assert job.call("vault", "GET", "/v1/auth/token/lookup-self").status_code == 403
    assert job.call("nomad", "GET", f"/v1/services?namespace={name}").status_code >= 400


def test_configuration_that_somebody_has_left_under_a_name_is_refused_and_left_alone(
    scene: Scene,  # noqa: F811
) -> None:
    admin = scene.connections.caller("consul")
    entry = ConfigEntry("service-resolver", f"{scene.name}--web")
    redirect = {"Kind": entry.kind, "Name": entry.name, "Redirect": {"Service": "other--web"}}
    admin.call("PUT", "/v1/config", redirect)
    scene.keep(READER)
    scene.ask("reader")
    failure = scene.ends(State.FAILED).failure
    assert failure is not None
    assert (failure.code, entry.name in failure.message) == ("foreign_resource", True)
    scene.destroy()
    assert scene.consul.configured(f"{scene.name}--") == [entry]
    scene.consul.unconfigure(entry)


def _shut(answer: requests.Response) -> bool:
    # Where Consul's mesh is off, it says so before it asks for rights (that to intentions is asked for above).
    closed = ("Permission denied", "only writeable by controller", "Connect must be enabled")
    return answer.status_code >= 400 and any(said in answer.text for said in closed)
