"""Nomad: the service logs in with the identity of its own job; nobody else can."""

from collections.abc import Iterator
from typing import Any

from environments.adapters.calls import Caller
from environments.adapters.trust.names import MANAGER_JOB, MANAGER_NAMESPACE, NOMAD_MANAGER
from environments.adapters.trust.setting import Setting, holds


def nomad_settings(nomad: Caller, jwks_url: str) -> Iterator[Setting]:
    """Everything that must be so in Nomad."""
    method = {
        "Name": NOMAD_MANAGER,
        "Type": "JWT",
        "TokenLocality": "local",
        "MaxTokenTTL": "1h0m0s",
        "Default": False,
        "Config": {
            "JWKSURL": jwks_url,
            "SigningAlgs": ["RS256"],
            "BoundAudiences": [NOMAD_MANAGER],
            "ClaimMappings": {"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"},
        },
    }
    yield Setting(
        what=f"the auth method {NOMAD_MANAGER}",
        caller=nomad,
        method="POST",
        path="/v1/acl/auth-method",
        body=method,
        present=lambda: _same_method(method, nomad.get(f"/v1/acl/auth-method/{NOMAD_MANAGER}")),
    )
    rule = {
        "AuthMethod": NOMAD_MANAGER,
        "BindType": "management",
        "BindName": "",
        "Selector": f'value.nomad_namespace == "{MANAGER_NAMESPACE}" and value.nomad_job_id == "{MANAGER_JOB}"',
        "Description": "only the provisioning service",
    }
    yield Setting(
        what=f"the one binding rule that lets only job {MANAGER_JOB} of namespace {MANAGER_NAMESPACE} manage Nomad",
        caller=nomad,
        method="POST",
        path="/v1/acl/binding-rule",
        body=rule,
        present=lambda: _are_only(rule, _rules(nomad)),
        rivals=lambda: [f"/v1/acl/binding-rule/{found['ID']}" for found in _rules(nomad)],
    )


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
