"""The files of policies, logins and roles: what stands in them agrees with what our code and our jobs rely on."""

import json

from environments.providers.local_cluster.trust import names, shipped
from environments.providers.local_cluster.trust.setting import NomadKeys

URL = "https://192.0.2.7:4646/.well-known/jwks.json"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
LOGINS = {
    "consul-login": ("JWKSURL", "JWKSCACert"),
    "nomad-login": ("JWKSURL", "JWKSCACert"),
    "openbao-login": ("jwks_url", "jwks_ca_pem"),
}


def test_a_login_knows_where_the_keys_are_and_who_signed_for_that_place() -> None:
    for name, (url, authority) in LOGINS.items():
        found = shipped.login(name, NomadKeys(URL, AUTHORITY))
        assert (found[url], found[authority]) == (URL, AUTHORITY)


def test_without_an_authority_a_login_says_nothing_of_one() -> None:
    for name, (url, authority) in LOGINS.items():
        found = shipped.login(name, NomadKeys(URL))
        assert found[url] == URL
        assert authority not in found


def test_a_policy_gets_the_accessor_of_this_cluster() -> None:
    assert "aliases.auth_jwt_1.metadata.nomad_namespace}}/*" in shipped.policy(
        "openbao-environment", JWT_ACCESSOR="auth_jwt_1"
    )
    for name in ("openbao-secrets", "openbao-module"):
        assert "aliases.auth_token_1.name}}/*" in shipped.policy(name, TOKEN_ACCESSOR="auth_token_1")


def test_the_names_are_those_of_the_code() -> None:
    jobs, service = shipped.settings("openbao-role-environment"), shipped.settings("openbao-role-service")
    assert jobs["token_policies"] == [names.OPENBAO_WORKLOADS_POLICY]
    assert jobs["bound_audiences"] == service["bound_audiences"] == [names.OPENBAO_AUDIENCE]
    assert service["token_policies"] == [names.OPENBAO_MANAGER_POLICY]
    assert service["bound_claims"] == {"nomad_namespace": names.MANAGER_NAMESPACE, "nomad_job_id": names.MANAGER_JOB}
    assert shipped.settings("openbao-role-parts")["allowed_domains"] == [*names.PART_NAMES.values(), "localhost"]
    assert f'"{names.OPENBAO_PARTS}/issue/' in shipped.policy("openbao-environment")
    assert shipped.settings("openbao-login")["default_role"] == names.OPENBAO_WORKLOADS
    assert shipped.settings("consul-login")["BoundAudiences"] == [names.CONSUL_AUDIENCE]
    assert shipped.settings("nomad-login")["BoundAudiences"] == [names.NOMAD_MANAGER]
    for name, policy in (("secrets", names.OPENBAO_SECRETS), ("module", names.OPENBAO_MODULES)):
        assert shipped.settings(f"openbao-tokens-{name}")["allowed_policies"] == [policy]
        assert f'"auth/token/create/{policy}"' in shipped.policy("openbao-service")


def test_every_file_is_used() -> None:
    folder = shipped.FOLDER.parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert [path.name for path in shipped.FOLDER.iterdir() if f'"{path.stem}"' not in code] == []


def test_files_of_json_hold_one_object() -> None:
    for path in shipped.FOLDER.glob("*.json"):
        assert isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
