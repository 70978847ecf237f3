"""Jobs on a real cluster that hand over what Nomad gave them: for tests of who may do what."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from environments.domain.errors import BackendError
from environments.providers.backend.calls import Caller
from environments.providers.backend.connections import Connections
from tests.support import images_here
from tests.support.cleanup import cleaned_up

LIMIT = 60.0
"""Seconds within which a job must run."""

_HAND_OVER = """
cp "$NOMAD_TASK_DIR/rendered" "$NOMAD_TASK_DIR/seen"
printf %s "$VAULT_TOKEN" > "$NOMAD_TASK_DIR/vault"
printf %s "$CONSUL_HTTP_TOKEN" > "$NOMAD_TASK_DIR/consul"
cat "$NOMAD_SECRETS_DIR"/nomad_manager.jwt > "$NOMAD_TASK_DIR/manager"
cat "$NOMAD_SECRETS_DIR"/nomad_backend.jwt > "$NOMAD_TASK_DIR/backend"
touch "$NOMAD_TASK_DIR/done"
while :; do sleep 1; done
"""

_TEMPLATE = """key={{ keyOrDefault "environments/%(name)s/message" "none" }}
secret={{ with secret "secret/data/environments/%(name)s/app" }}{{ .Data.data.password }}{{ end }}
"""


@dataclass(frozen=True)
class Workload:
    """What a job saw and got: its rendered template, its tokens, and its identities for the manager's logins."""

    namespace: str
    allocation: str
    rendered: str
    vault_token: str
    consul_token: str
    manager_jwt: str
    backend_jwt: str


class Backends:
    """Admin callers of the three parts."""

    def __init__(self, connections: Connections) -> None:
        self.consul: Caller = connections.caller("consul")
        self.vault: Caller = connections.caller("vault")
        self.nomad: Caller = connections.caller("nomad", timeout=30)


def prepare(backends: Backends, name: str) -> str:
    """Makes a namespace, policy, key, secret and PKI role of that name, as an environment has them.

    Gives the id of the policy.
    """
    rules = (
        f'key_prefix "environments/{name}/" {{ policy = "read" }}\n'
        f'service_prefix "{name}--" {{ policy = "write" }}\n'
        'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }\n'
    )
    backends.nomad.call("PUT", f"/v1/namespace/{name}", {"Name": name})
    policy = backends.consul.call("PUT", "/v1/acl/policy", {"Name": f"env-{name}", "Rules": rules})
    backends.consul.call("PUT", f"/v1/kv/environments/{name}/message", f"hello {name}")
    backends.vault.call("POST", f"/v1/secret/data/environments/{name}/app", {"data": {"password": f"pw-{name}"}})
    backends.vault.call("POST", f"/v1/pki/roles/{name}", {"allow_any_name": True, "max_ttl": "1h"})
    return str(policy["ID"])


@contextmanager
def environment(backends: Backends, name: str) -> Iterator[None]:
    """What `prepare` makes, gone afterwards, with the jobs of the namespace and their services in Consul."""
    policy = prepare(backends, name)

    def remove() -> None:
        _remove_jobs(backends.nomad, name)
        _remove_services(backends.consul, f"{name}--")
        backends.nomad.call("DELETE", f"/v1/namespace/{name}")
        backends.consul.call("DELETE", f"/v1/acl/policy/{policy}")
        backends.consul.call("DELETE", f"/v1/kv/environments/{name}?recurse=true")
        backends.vault.call("DELETE", f"/v1/secret/metadata/environments/{name}/app")
        backends.vault.call("DELETE", f"/v1/pki/roles/{name}")

    with cleaned_up(remove):
        yield


def run_job(backends: Backends, namespace: str, job: str = "app") -> Workload:
    """Runs a job that hands over what it got. Fails when it doesn't run within `LIMIT`."""
    task = {
        "Name": "app",
        "Driver": "docker",
        "User": "10001",
        "Config": {
            "image": images_here.reference("base"),  # any image with bash
            "force_pull": False,
            "init": True,
            "network_mode": "host",
            "command": "/usr/bin/bash",
            "args": ["-c", _HAND_OVER],
        },
        "Vault": {"Env": True},
        "Consul": {},
        "Identities": [
            {"Name": "manager", "Audience": ["nomad-manager"], "File": True, "TTL": 3600 * 10**9},
            {"Name": "backend", "Audience": ["vault.io", "consul.io"], "File": True, "TTL": 3600 * 10**9},
        ],
        "Templates": [{"DestPath": "local/rendered", "EmbeddedTmpl": _TEMPLATE % {"name": namespace}}],
        "Resources": {"CPU": 50, "MemoryMB": 64},
    }
    body = {
        "ID": job,
        "Name": job,
        "Namespace": namespace,
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [
            {
                "Name": "app",
                "Count": 1,
                "Tasks": [task],
                "Services": [{"Name": f"{namespace}--app", "Provider": "consul", "PortLabel": "1"}],
            }
        ],
    }
    backends.nomad.call("POST", f"/v1/jobs?namespace={namespace}", {"Job": body})
    allocation = await_done(backends.nomad, namespace, job)

    def handed(name: str) -> str:
        path = f"/v1/client/fs/cat/{allocation}?namespace={namespace}&path=app/local/{name}"
        return str(backends.nomad.call("GET", path) or "")

    return Workload(
        namespace, allocation, handed("seen"), handed("vault"), handed("consul"), handed("manager"), handed("backend")
    )


def await_done(nomad: Caller, namespace: str, job: str) -> str:
    """The id of the allocation, once its task has handed everything over."""
    end = time.monotonic() + LIMIT
    said = "nothing placed"
    while time.monotonic() < end:
        for stub in nomad.call("GET", f"/v1/job/{job}/allocations?namespace={namespace}") or []:
            state = (stub["TaskStates"] or {}).get("app") or {}
            said = " / ".join(event["DisplayMessage"] for event in state.get("Events") or [])
            if state.get("State") == "running":
                path = f"/v1/client/fs/stat/{stub['ID']}?namespace={namespace}&path=app/local/done"
                if _exists(nomad, path):
                    return str(stub["ID"])
        time.sleep(0.2)
    raise AssertionError(f"the job {job} in {namespace} doesn't run: {said}")


def _exists(nomad: Caller, path: str) -> bool:
    try:
        return nomad.get(path) is not None
    except BackendError as error:
        if "no such file" in error.message or "not found" in error.message:
            return False
        raise


def _remove_jobs(nomad: Caller, namespace: str) -> None:
    for job in nomad.call("GET", f"/v1/jobs?namespace={namespace}") or []:
        nomad.call("DELETE", f"/v1/job/{job['ID']}?namespace={namespace}&purge=true")
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        allocations = nomad.call("GET", f"/v1/allocations?namespace={namespace}") or []
        if all(stub["ClientStatus"] in ("complete", "failed", "lost") for stub in allocations):
            return
        time.sleep(0.1)
    raise AssertionError(f"the allocations of {namespace} don't end")


def _remove_services(consul: Caller, prefix: str) -> None:
    """Takes services out of Consul that their ended jobs left there.

    An agent takes a service out of the catalog with the service's own token. If that is gone already, the service stays
    until the agent compares itself with the catalog, minutes later.
    """
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = [name for name in consul.call("GET", "/v1/catalog/services") if name.startswith(prefix)]
        if not found:
            return
        for instance in (item for name in found for item in consul.call("GET", f"/v1/catalog/service/{name}")):
            # Nomad may take it out at the same moment.
            consul.call("PUT", f"/v1/agent/service/deregister/{instance['ServiceID']}", missing_ok=True)
            entry = {"Node": instance["Node"], "ServiceID": instance["ServiceID"]}
            consul.call("PUT", "/v1/catalog/deregister", entry)
        time.sleep(0.1)
    raise AssertionError(f"the services {', '.join(found)} stay in Consul")
