"""Consul: workloads get the policy of their Nomad namespace, the service gets its own."""

from collections.abc import Iterator
from typing import Any

from environments.providers.backend.calls import Caller
from environments.providers.local_cluster.trust.names import (
    CONSUL_AUDIENCE,
    CONSUL_MANAGER,
    CONSUL_WORKLOADS,
    MANAGER_JOB,
    MANAGER_NAMESPACE,
)
from environments.providers.local_cluster.trust.setting import TrustSetting, holds

_MANAGER_RULES = """# The provisioning service: keys and services of environments, and the policies that go with them.
# Writing access control amounts to management; that it can't be narrower is Consul's.
acl = "write"
key_prefix "environments/" { policy = "write" }
service_prefix "" { policy = "write" }
node_prefix "" { policy = "write" }
agent_prefix "" { policy = "read" }
"""


def consul_settings(consul: Caller, jwks_url: str) -> Iterator[TrustSetting]:
    """All settings of Consul."""
    config = {
        "JWKSURL": jwks_url,
        "JWTSupportedAlgs": ["RS256"],
        "BoundAudiences": [CONSUL_AUDIENCE],
        "ClaimMappings": {"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"},
    }
    yield _auth_method(consul, CONSUL_WORKLOADS, "workloads of Nomad log in here", config)
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
        "Rules": _MANAGER_RULES,
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
    yield _auth_method(consul, CONSUL_MANAGER, "the provisioning service logs in here", config, MaxTokenTTL="1h0m0s")
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


def _auth_method(consul: Caller, name: str, description: str, config: dict[str, Any], **more: Any) -> TrustSetting:
    body = {"Name": name, "Type": "jwt", "Description": description, "Config": config, **more}
    path = f"/v1/acl/auth-method/{name}"
    return TrustSetting(
        what=f"the auth method {name}",
        caller=consul,
        method="PUT",
        path="/v1/acl/auth-method",
        body=body,
        present=lambda: holds({"Type": "jwt", "Config": config, **more}, consul.get(path)),
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
