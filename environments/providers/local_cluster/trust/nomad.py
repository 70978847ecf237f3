"""Nomad: the service logs in with the identity of its own job; nobody else can."""

from collections.abc import Callable, Iterator
from typing import Any

from environments.domain.names import DATA_VOLUME
from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust import shipped
from environments.providers.local_cluster.trust.names import (
    CONSUL_AUDIENCE,
    CONSUL_WORKLOADS,
    MANAGER_JOB,
    MANAGER_NAMESPACE,
    NOMAD_MANAGER,
    OPENBAO_AUDIENCE,
    OPENBAO_LOGIN,
    OPENBAO_WORKLOADS,
)
from environments.providers.local_cluster.trust.setting import NomadKeys, TrustSetting, holds


def nomad_settings(nomad: Caller, keys: NomadKeys) -> Iterator[TrustSetting]:
    """All settings of Nomad."""
    yield from _configured(nomad)
    method = {
        "Name": NOMAD_MANAGER,
        "Type": "JWT",
        "TokenLocality": "local",
        "MaxTokenTTL": "1h0m0s",
        "Default": False,
        "Config": shipped.login("nomad-login", keys),
    }
    yield TrustSetting(
        what=f"the auth method {NOMAD_MANAGER}",
        caller=nomad,
        method="POST",
        path="/v1/acl/auth-method",
        body=method,
        # Whether it needs the authority, or its machine has it, is seen when it uses the keys.
        present=lambda: _same_method(
            {**method, "Config": shipped.login("nomad-login", NomadKeys(keys.url))},
            nomad.get(f"/v1/acl/auth-method/{NOMAD_MANAGER}"),
        ),
    )
    rule = {
        "AuthMethod": NOMAD_MANAGER,
        "BindType": "management",
        "BindName": "",
        "Selector": f'value.nomad_namespace == "{MANAGER_NAMESPACE}" and value.nomad_job_id == "{MANAGER_JOB}"',
        "Description": "only the provisioning service",
    }
    yield TrustSetting(
        what=f"the one binding rule that lets only job {MANAGER_JOB} of namespace {MANAGER_NAMESPACE} manage Nomad",
        caller=nomad,
        method="POST",
        path="/v1/acl/binding-rule",
        body=rule,
        present=lambda: _are_only(rule, _rules(nomad)),
        rivals=lambda: [f"/v1/acl/binding-rule/{found['ID']}" for found in _rules(nomad)],
    )


def _configured(nomad: Caller) -> Iterator[TrustSetting]:
    """Settings that only the configuration files of Nomad's agents can have."""

    def servers(kind: str) -> Any:
        entries = nomad.call("GET", "/v1/agent/self")["config"].get(kind) or []
        return next((entry for entry in entries if entry.get("Name") == "default"), None)

    consul = {
        "ServiceIdentity": {"Audience": [CONSUL_AUDIENCE]},
        "ServiceIdentityAuthMethod": CONSUL_WORKLOADS,
        "TaskIdentity": {"Audience": [CONSUL_AUDIENCE]},
        "TaskIdentityAuthMethod": CONSUL_WORKLOADS,
    }
    vault = {
        "Enabled": True,
        "JWTAuthBackendPath": OPENBAO_LOGIN,
        "Role": OPENBAO_WORKLOADS,
        "DefaultIdentity": {"Audience": [OPENBAO_AUDIENCE]},
    }
    yield _advised(
        nomad,
        "workload identities for Consul",
        lambda: holds(consul, servers("Consuls")),
        "in the `consul` block of its servers, set service_identity and task_identity to"
        f' {{ aud = ["{CONSUL_AUDIENCE}"] }} and both auth methods to "{CONSUL_WORKLOADS}"',
    )
    yield _advised(
        nomad,
        "workload identities for OpenBao",
        lambda: holds(vault, servers("Vaults")),
        f'in the `vault` block of its servers, set enabled = true, jwt_auth_backend_path = "{OPENBAO_LOGIN}",'
        f' create_from_role = "{OPENBAO_WORKLOADS}" and default_identity {{ aud = ["{OPENBAO_AUDIENCE}"] }}',
    )
    yield _advised(
        nomad,
        f"a client with the host volume {DATA_VOLUME} for the service's database",
        lambda: any(
            DATA_VOLUME in (nomad.call("GET", f"/v1/node/{stub['ID']}").get("HostVolumes") or {})
            for stub in nomad.call("GET", "/v1/nodes") or []
        ),
        f'in the `client` block of one agent, set host_volume "{DATA_VOLUME}" to a folder of user 10001',
    )

    yield _advised(
        nomad,
        "a docker plugin that leaves containers of others alone",
        lambda: leaves_others_alone(nomad.call("GET", "/v1/agent/self")["config"]),
        "in the docker plugin of each client, set gc { dangling_containers { enabled = false } }",
        lost="every 5 minutes it removes the containers of any other Nomad on the same Docker engine",
    )


def leaves_others_alone(config: dict[str, Any]) -> bool:
    """Whether the docker plugin of an agent with this configuration removes no container that it doesn't know.

    True for an agent that runs no jobs: only the one that answers tells of its plugins. The default is to remove them.
    """
    if not (config.get("Client") or {}).get("Enabled"):
        return True
    plugins = [plugin for plugin in config.get("Plugins") or [] if plugin.get("Name") == "docker"]
    value: Any = plugins[0].get("Config") if plugins else None
    for name in ("gc", "dangling_containers", "enabled"):
        # A block of a configuration in HCL is a list of maps, of one in JSON a map.
        block = value[-1] if isinstance(value, list) and value else value
        value = block.get(name) if isinstance(block, dict) else None
    return value in (False, "false")


def _advised(nomad: Caller, what: str, present: Callable[[], bool], advice: str, lost: str = "") -> TrustSetting:
    return TrustSetting(what=what, caller=nomad, method="", path="", body={}, present=present, advice=advice, lost=lost)


def _same_method(expected: dict[str, Any], actual: Any) -> bool:
    # Nomad gives durations as nanoseconds or as text, depending on the call.
    if not isinstance(actual, dict) or actual.get("MaxTokenTTL") not in (expected["MaxTokenTTL"], 3600 * 10**9):
        return False
    return holds({key: expected[key] for key in ("Type", "TokenLocality", "Config")}, actual)


def _rules(nomad: Caller) -> list[dict[str, Any]]:
    stubs = nomad.call("GET", "/v1/acl/binding-rules") or []
    mine = [stub["ID"] for stub in stubs if stub["AuthMethod"] == NOMAD_MANAGER]
    return [nomad.call("GET", f"/v1/acl/binding-rule/{identifier}") for identifier in mine]


def _are_only(rule: dict[str, Any], found: list[dict[str, Any]]) -> bool:
    return len(found) == 1 and holds(rule, found[0])
