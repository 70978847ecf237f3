"""The files of policies, logins and roles: what stands in them agrees with what our code and our jobs rely on."""

import json
import re

from environments.domain.names import is_label
from environments.providers.local_cluster.trust import names, shipped
from environments.providers.local_cluster.trust.setting import NomadKeys
from environments.providers.openbao_people import attempts
from environments.service.built_in_provider import CALLBACK_PATH, CLI_CALLBACK_PATH, PROVIDER_PATH

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


def test_the_web_page_gets_its_certificate_and_nothing_else() -> None:
    role, certificates = shipped.settings("openbao-role-ui"), shipped.settings("openbao-role-parts-ui")
    assert role["bound_claims"] == {"nomad_namespace": names.MANAGER_NAMESPACE, "nomad_job_id": names.UI_JOB}
    assert (role["token_policies"], role["token_no_default_policy"]) == ([names.OPENBAO_UI], True)
    assert certificates["allowed_domains"] == [names.UI_NAME]
    assert names.UI_NAME not in shipped.settings("openbao-role-parts")["allowed_domains"]
    assert not is_label(names.OPENBAO_PARTS_UI), "an environment of this name could use it"
    paths = re.findall(r'^path "([^"]+)"', shipped.policy("openbao-ui"), re.MULTILINE)
    assert paths == [
        f"{names.OPENBAO_PARTS}/issue/{names.OPENBAO_PARTS_UI}",
        "auth/token/lookup-self",
        "auth/token/renew-self",
    ]


def test_the_names_for_people_are_those_of_the_code() -> None:
    people = shipped.settings("openbao-role-people")
    service = shipped.settings("openbao-role-service")
    assert people["token_policies"] == [names.OPENBAO_PEOPLE_MANAGER]
    assert people["token_no_default_policy"] is True
    assert people["bound_claims"] == service["bound_claims"]
    manager = shipped.policy("openbao-people-manager")
    for path in (
        f"auth/{names.OPENBAO_PEOPLE}/users/*",
        f"identity/group/name/{names.OPENBAO_PEOPLE}/*",
        f"identity/oidc/client/{names.OPENBAO_WEB_CLIENT}",
        f"identity/oidc/client/{names.OPENBAO_CLI_CLIENT}",
    ):
        assert f'path "{path}"' in manager
    assert f'path "{PROVIDER_PATH.removeprefix("/v1/")}/authorize"' in shipped.policy("openbao-person")
    web = shipped.settings("openbao-people-web", EXTERNAL_ADDRESS="https://x.example")
    assert web["redirect_uris"] == [f"https://x.example{CALLBACK_PATH}"]
    cli = shipped.settings("openbao-people-cli")
    assert cli["redirect_uris"] == [f"http://{host}{CLI_CALLBACK_PATH}" for host in ("127.0.0.1", "localhost")]
    assert (web["client_type"], cli["client_type"]) == ("confidential", "public")
    for client in (web, cli):
        assert client["assignments"] == [names.OPENBAO_PEOPLE], "everybody else's tokens could ask for codes"
        assert client["id_token_ttl"] <= 300
        assert client["access_token_ttl"] <= 300


def test_all_wrong_passwords_that_the_page_lets_through_lock_nobody_out() -> None:
    login = shipped.settings("openbao-people-login")["user_lockout_config"]
    assert login["lockout_counter_reset_duration"] == f"{attempts.WINDOW_SECONDS:g}s"
    most = attempts.STRANGERS_EACH_USER + attempts.KNOWN_ADDRESSES * attempts.EACH_KNOWN_ADDRESS
    assert most < int(login["lockout_threshold"])


def test_every_file_is_used() -> None:
    folder = shipped.FOLDER.parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert [path.name for path in shipped.FOLDER.iterdir() if f'"{path.stem}"' not in code] == []


def test_files_of_json_hold_one_object() -> None:
    for path in shipped.FOLDER.glob("*.json"):
        assert isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
