"""Consul: workloads get the policy of their Nomad namespace, the service gets its own."""

from collections.abc import Iterator
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust import shipped
from environments.providers.local_cluster.trust.names import (
    CONSUL_MANAGER,
    CONSUL_WORKLOADS,
    MANAGER_JOB,
    MANAGER_NAMESPACE,
)
from environments.providers.local_cluster.trust.setting import NomadKeys, TrustSetting, holds


def consul_settings(consul: Caller, keys: NomadKeys) -> Iterator[TrustSetting]:
    """All settings of Consul."""
    yield _auth_method(consul, CONSUL_WORKLOADS, "workloads of Nomad log in here", keys)
    # Any other rule would give workloads more than their environment's policy.
    yield _only_binding_rule(
        consul,
        "the one binding rule from a workload's namespace to its environment's policy",
        {
            "AuthMethod": CONSUL_WORKLOADS,
            "BindType": "policy",
            "BindName": "env-${value.nomad_namespace}",
            "Selector": "",
        },
    )
    policy = {
        "Name": CONSUL_MANAGER,
        "Description": "what the provisioning service needs",
        "Rules": shipped.policy("consul-service"),
    }
    yield TrustSetting(
        what=f"the policy {CONSUL_MANAGER} of the provisioning service",
        caller=consul,
        method="PUT",
        path="/v1/acl/policy",
        body=policy,
        present=lambda: holds(policy, consul.get(f"/v1/acl/policy/name/{CONSUL_MANAGER}")),
        rivals=lambda: _policies(consul),
    )
    yield _auth_method(consul, CONSUL_MANAGER, "the provisioning service logs in here", keys, MaxTokenTTL="1h0m0s")
    selector = f'value.nomad_namespace == "{MANAGER_NAMESPACE}" and value.nomad_job_id == "{MANAGER_JOB}"'
    yield _only_binding_rule(
        consul,
        f"the one binding rule that lets only job {MANAGER_JOB} of namespace {MANAGER_NAMESPACE} be the service",
        {"AuthMethod": CONSUL_MANAGER, "BindType": "policy", "BindName": CONSUL_MANAGER, "Selector": selector},
    )


def _policies(consul: Caller) -> list[str]:
    """A policy of that name with other rules: it can't be overwritten without its id."""
    policy = consul.get(f"/v1/acl/policy/name/{CONSUL_MANAGER}")
    return [f"/v1/acl/policy/{policy['ID']}"] if policy else []


def _auth_method(consul: Caller, name: str, description: str, keys: NomadKeys, **more: Any) -> TrustSetting:
    config = shipped.login("consul-login", keys)
    # Whether it needs the authority, or its machine has it, is seen when it uses the keys.
    wanted = {"Type": "jwt", "Config": shipped.login("consul-login", NomadKeys(keys.url)), **more}
    path = f"/v1/acl/auth-method/{name}"
    return TrustSetting(
        what=f"the auth method {name}",
        caller=consul,
        method="PUT",
        path="/v1/acl/auth-method",
        body={"Name": name, "Type": "jwt", "Description": description, "Config": config, **more},
        present=lambda: holds(wanted, consul.get(path)),
    )


def _only_binding_rule(consul: Caller, what: str, rule: dict[str, str]) -> TrustSetting:
    def rules() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = consul.get(f"/v1/acl/binding-rules?authmethod={rule['AuthMethod']}") or []
        return found

    def present() -> bool:
        found = rules()
        return len(found) == 1 and holds(rule, found[0])

    return TrustSetting(
        what=what,
        caller=consul,
        method="PUT",
        path="/v1/acl/binding-rule",
        body=rule,
        present=present,
        rivals=lambda: [f"/v1/acl/binding-rule/{found['ID']}" for found in rules()],
    )
