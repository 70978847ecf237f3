"""Who may do what on the real, secured cluster: workloads, the service, and everybody else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from environments.bootstrap.parts import make_registry
from environments.domain.environment import Environment
from environments.domain.errors import BackendDenied, BackendError
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.backend.calls import Caller, FixedToken, Part
from environments.providers.backend.connections import Connections, JwtLogin, token_source
from environments.providers.local_cluster.trust.cluster import Trust
from environments.providers.local_cluster.trust.names import OPENBAO_CLI_CLIENT, OPENBAO_PROVIDER, OPENBAO_WEB_CLIENT
from environments.providers.openbao_people.client import OpenBaoPeople
from environments.providers.opentofu.keys import VaultModuleKeys, module_key_resource
from environments.providers.opentofu.provide import make_broker
from environments.providers.vault.revealing import Revealing
from environments.providers.vault.webhook_secrets import OpenBaoWebhookSecrets
from environments.service.storage.webhooks import Webhook
from environments.service.webhook_secrets import HeldSecrets
from environments.steps.base import Intended, Owner, Presence, StepContext
from images.edge.app.service import make_key
from tests.support.cluster import EXTERNAL_ADDRESS, Cluster
from tests.support.parts import parts_of
from tests.support.step_harness import Run
from tests.support.workloads import Backends, Workload, environment, run_job


@pytest.fixture(scope="module")
def backends(cluster: Cluster) -> Backends:
    return Backends(cluster.connections)


@pytest.fixture(scope="module")
def workloads(backends: Backends) -> Iterator[dict[str, Workload]]:
    """Jobs of the same name in two environments, one's name beginning like the other's."""
    with environment(backends, "red"), environment(backends, "red-2"):
        yield {name: run_job(backends, name) for name in ("red", "red-2")}


@pytest.fixture(scope="module")
def manager(backends: Backends) -> Iterator[Workload]:
    with environment(backends, "meta"):
        yield run_job(backends, "meta", "provisioning")


def _as(cluster: Cluster, part: Part, token: str) -> Caller:
    endpoint = cluster.connections.endpoint(part)
    return Caller(part, endpoint.address, FixedToken(token), ca_file=endpoint.ca_file, server_name=endpoint.server_name)


@pytest.mark.parametrize("name", ["red", "red-2"])
def test_a_job_sees_its_own_key_and_secret(workloads: dict[str, Workload], name: str) -> None:
    assert workloads[name].rendered == f'key="hello {name}"\nsecret=pw-{name}\n'


@pytest.mark.parametrize(("mine", "other"), [("red", "red-2"), ("red-2", "red")])
def test_a_job_reads_nothing_of_another_environment(
    cluster: Cluster, workloads: dict[str, Workload], mine: str, other: str
) -> None:
    vault = _as(cluster, "vault", workloads[mine].vault_token)
    consul = _as(cluster, "consul", workloads[mine].consul_token)
    own = vault.call("GET", f"/v1/secret/data/environments/{mine}/app")
    assert own["data"]["data"]["password"] == f"pw-{mine}"
    assert consul.get(f"/v1/kv/environments/{mine}/message")

    with pytest.raises(BackendDenied):
        vault.call("GET", f"/v1/secret/data/environments/{other}/app")
    with pytest.raises(BackendDenied):
        vault.call("GET", "/v1/secret/metadata/environments?list=true")
    with pytest.raises(BackendDenied):  # the key of its own modules is none of a job's business either
        vault.call("GET", f"/v1/secret/data/modules/{mine}")
    for path in ("data/webhooks/shop/1", "metadata/webhooks/shop/1", "metadata/webhooks?list=true"):
        with pytest.raises(BackendDenied):
            vault.call("GET", f"/v1/secret/{path}")
    with pytest.raises(BackendDenied):
        vault.call("POST", f"/v1/pki/issue/{other}", {"common_name": "x"})
    with pytest.raises(BackendDenied):
        consul.call("GET", f"/v1/kv/environments/{other}/message")
    with pytest.raises(BackendDenied):
        consul.call("PUT", "/v1/agent/service/register", {"Name": f"{other}--app"})


def test_a_job_gets_certificates_of_its_own_role(cluster: Cluster, workloads: dict[str, Workload]) -> None:
    vault = _as(cluster, "vault", workloads["red"].vault_token)
    issued = vault.call("POST", "/v1/pki/issue/red", {"common_name": "app.red"})
    assert issued["data"]["certificate"].startswith("-----BEGIN CERTIFICATE-----")


def test_a_job_writes_neither_keys_nor_secrets(cluster: Cluster, workloads: dict[str, Workload]) -> None:
    with pytest.raises(BackendDenied):
        _as(cluster, "vault", workloads["red"].vault_token).call(
            "POST", "/v1/secret/data/environments/red/app", {"data": {"password": "mine"}}
        )
    with pytest.raises(BackendDenied):
        _as(cluster, "consul", workloads["red"].consul_token).call("PUT", "/v1/kv/environments/red/message", "mine")


def _log_in(cluster: Cluster, part: Part, jwt: str, tmp_path: Path) -> str:
    file = tmp_path / "identity.jwt"
    file.write_text(jwt)
    methods = {"nomad": "nomad-manager", "consul": "calvinverse-manager", "vault": "jwt-nomad"}
    login = JwtLogin(jwt_file=file, method=methods[part], role="calvinverse-manager" if part == "vault" else "")
    endpoint = cluster.connections.endpoint(part).model_copy(update={"authentication": login})
    return token_source(part, endpoint).token()


def test_the_service_logs_in_everywhere_and_has_its_rights(cluster: Cluster, manager: Workload, tmp_path: Path) -> None:
    nomad = _as(cluster, "nomad", _log_in(cluster, "nomad", manager.manager_jwt, tmp_path))
    nomad.call("PUT", "/v1/namespace/of-the-service", {"Name": "of-the-service"})
    nomad.call("DELETE", "/v1/namespace/of-the-service")
    assert nomad.call("GET", "/v1/acl/token/self")["Type"] == "management"

    consul = _as(cluster, "consul", _log_in(cluster, "consul", manager.backend_jwt, tmp_path))
    policy = consul.call("PUT", "/v1/acl/policy", {"Name": "env-of-the-service", "Rules": ""})
    consul.call("DELETE", f"/v1/acl/policy/{policy['ID']}")
    consul.call("PUT", "/v1/kv/environments/of-the-service/.owner", "x")
    consul.call("DELETE", "/v1/kv/environments/of-the-service/.owner")

    vault = _as(cluster, "vault", _log_in(cluster, "vault", manager.backend_jwt, tmp_path))
    path = "modules/of-the-service"
    vault.call("POST", f"/v1/secret/metadata/{path}", {"custom_metadata": {"calvinverse-environment": "x"}})
    vault.call("POST", f"/v1/secret/data/{path}", {"data": {"password": "x"}, "options": {"cas": 0}})
    assert vault.call("GET", f"/v1/secret/data/{path}")["data"]["data"] == {"password": "x"}
    assert vault.call("GET", f"/v1/secret/metadata/{path}")["data"]["current_version"] == 1
    vault.call("DELETE", f"/v1/secret/metadata/{path}")
    role = {"allow_any_name": True, "generate_lease": True, "key_type": "ec", "key_bits": 256}
    vault.call("POST", "/v1/pki/roles/of-the-service", role)
    _, request = make_key()
    vault.call("POST", "/v1/pki/sign/of-the-service", {"csr": request, "common_name": "x", "ttl": "60s"})
    admin = cluster.connections.caller("vault")
    admin.call("POST", "/v1/pki/issue/of-the-service", {"common_name": "x", "ttl": "60s"})
    prefix = "pki/issue/of-the-service"
    assert vault.call("GET", f"/v1/sys/leases/lookup/{prefix}?list=true")["data"]["keys"]
    vault.call("POST", f"/v1/sys/leases/revoke-prefix/{prefix}")
    vault.call("DELETE", "/v1/pki/roles/of-the-service")
    assert vault.call("GET", "/v1/auth/token/accessors?list=true")["data"]["keys"]
    created = vault.call("POST", "/v1/auth/token/create/calvinverse-module", {"entity_alias": "of-the-service"})["auth"]
    assert (created["policies"], created["orphan"], created["renewable"]) == (["calvinverse-module"], True, False)
    vault.call("POST", "/v1/auth/token/revoke-accessor", {"accessor": created["accessor"]})
    vault.call("DELETE", f"/v1/identity/entity/id/{created['entity_id']}")
    for body in ({"policies": ["calvinverse-service"]}, {"policies": ["root"]}):
        with pytest.raises(BackendError):  # the role makes tokens with its one policy only
            vault.call("POST", "/v1/auth/token/create/calvinverse-module", body)
    for path in ("auth/token/create", "auth/token/create-orphan", "auth/token/roles/mine"):
        with pytest.raises(BackendDenied):
            vault.call("POST", f"/v1/{path}", {})
    with pytest.raises(BackendDenied):
        vault.call("PUT", "/v1/sys/policies/acl/mine", {"policy": ""})
    for method, denied in (
        ("POST", "secret/data/elsewhere"),
        ("POST", "pki/issue/of-the-service"),
        ("GET", "identity/entity-alias/id?list=true"),
        ("GET", "sys/mounts"),
        ("POST", "sys/leases/revoke-prefix/auth/jwt-nomad/login"),
    ):
        with pytest.raises(BackendDenied):
            vault.call(method, f"/v1/{denied}", {} if method == "POST" else None)


def test_the_services_own_token_reads_and_writes_no_secret_of_an_environment(
    cluster: Cluster, manager: Workload, tmp_path: Path
) -> None:
    """It sees marks, and gets a token for one environment's folder, which opens nothing else and lives a minute."""
    admin = cluster.connections.caller("vault")
    vault = _as(cluster, "vault", _log_in(cluster, "vault", manager.backend_jwt, tmp_path))
    for name in ("lent", "lent-too"):
        admin.call("POST", f"/v1/secret/data/environments/{name}/app", {"data": {"password": name}})
    try:
        assert vault.call("GET", "/v1/secret/metadata/environments/lent/app")["data"]["current_version"] == 1
        for method, body in (("GET", None), ("POST", {"data": {"password": "mine"}}), ("DELETE", None)):
            for path in ("secret/data/environments/lent/app", "secret/data/environments/lent/new"):
                with pytest.raises(BackendDenied):
                    vault.call(method, f"/v1/{path}", body)
        for path in ("delete", "undelete", "destroy"):
            with pytest.raises(BackendDenied):
                vault.call("POST", f"/v1/secret/{path}/environments/lent/app", {"versions": [1]})

        made = vault.call("POST", "/v1/auth/token/create/calvinverse-secrets", {"entity_alias": "lent"})["auth"]
        assert (made["policies"], made["renewable"], made["lease_duration"]) == (["calvinverse-secrets"], False, 60)
        folder = _as(cluster, "vault", made["client_token"])
        assert folder.call("GET", "/v1/secret/data/environments/lent/app")["data"]["data"] == {"password": "lent"}
        folder.call("POST", "/v1/secret/data/environments/lent/app", {"data": {"password": "new"}})
        for method, path in (
            ("GET", "secret/data/environments/lent-too/app"),
            ("POST", "secret/data/environments/lent-too/app"),
            ("GET", "secret/data/modules/lent"),
            ("GET", "secret/data/webhooks/shop/1"),
            ("GET", "secret/metadata/environments/lent/app"),
            ("DELETE", "secret/metadata/environments/lent/app"),
            ("POST", "pki/issue/lent"),
            ("POST", "auth/token/create"),
        ):
            with pytest.raises(BackendDenied):
                folder.call(method, f"/v1/{path}", {"data": {}} if method == "POST" else None)
        for policies in (["calvinverse-service"], ["calvinverse-module"], ["root"]):
            with pytest.raises(BackendError):
                vault.call("POST", "/v1/auth/token/create/calvinverse-secrets", {"policies": policies})
        vault.call("POST", "/v1/auth/token/revoke-accessor", {"accessor": made["accessor"]})
        vault.call("DELETE", f"/v1/identity/entity/id/{made['entity_id']}")
    finally:
        for name in ("lent", "lent-too"):
            admin.call("DELETE", f"/v1/secret/metadata/environments/{name}/app")


def test_all_that_the_service_does_in_openbao_it_may(cluster: Cluster, manager: Workload, tmp_path: Path) -> None:
    """Every step kind and handler of OpenBao, and what modules need, with the service's own identity and no other."""
    jwt = tmp_path / "identity.jwt"
    jwt.write_text(manager.backend_jwt)
    login = JwtLogin(jwt_file=jwt, method="jwt-nomad", role="calvinverse-manager")
    known = cluster.connections
    own = known.endpoint("vault").model_copy(update={"authentication": login})
    connections = known.model_copy(update={"vault": own})
    parts = parts_of(lambda: connections, tmp_path)
    tools, vault = make_registry(parts), parts.vault
    owner, run, admin = Owner("env-rights", "rights"), Run(), known.caller("vault")
    made: list[Intended] = []
    about: dict[str, Any] = dict.fromkeys(("owner", "template", "template_version", "bundle"), "x")
    about |= dict.fromkeys(("state_since", "created_at"), datetime.now(UTC))
    environment, user = Environment(id=owner.id, name=owner.name, state=State.READY, **about), "ada"
    for step, uses, options in (
        ("db", "vault.secret", {"generate": {"password": {}}, "values": {"user": "ada"}}),
        ("db", "vault.secret", {"generate": {"password": {}}, "values": {"user": "eve"}}),
        ("cert", "vault.certificate", {"service": "web"}),
    ):
        executor = tools.executors[uses]
        read = executor.options.model_validate(options)
        context = StepContext(owner, step, read, make_bundle({"template.toml": b""}))
        assert executor.plan(context, run)
        made += executor.resources(context)
        outputs = executor.apply(context, run)
        assert executor.plan(context, run) == []
        if uses == "vault.secret":
            revealing, reference = Revealing(vault), outputs["references"]["user"]
            assert revealing.read_secrets(environment, {"a": reference}) == {"a": user}
            user = "eve"
    assert revealing.ca_chain().startswith("-----BEGIN")
    admin.call("POST", "/v1/pki/issue/rights", {"common_name": "rights--web.service.consul", "ip_sans": "127.0.0.1"})
    held, hook = OpenBaoWebhookSecrets(vault.secrets), Webhook("rights", "github", "", (), "ada", datetime.now(UTC))
    for secret in ("first", "second"):
        held.write(hook, HeldSecrets(secret))
        assert held.read(hook) == HeldSecrets(secret)
    held.remove(hook)
    assert held.read(hook) is None
    keys = VaultModuleKeys(vault.secrets)
    assert keys.key(owner) == keys.existing(owner)
    broker = make_broker(parts)
    made += [module_key_resource(owner), *broker.resources(owner, ["openbao"])]
    broker.missing(owner, ["openbao"])
    with broker.issue(owner, ["openbao"], 60, run) as issued:
        module = _as(cluster, "vault", issued.variables["VAULT_TOKEN"])
        assert module.call("GET", "/v1/secret/data/environments/rights/db")["data"]["data"]["user"] == "eve"
        module.call("POST", "/v1/secret/data/environments/rights/deep/of-the-module", {"data": {"a": "b"}})
    for detector in tools.drift_detectors:
        if detector.part == "OpenBao":
            assert (
                detector.unexpected(owner, frozenset(item.ref for item in made), frozenset({"db", "cert"})) is not None
            )
    refs = dict.fromkeys(item.ref for item in sorted(made, key=lambda item: (item.shared, -item.rank)))
    for ref in refs:
        tools.handlers[ref.kind].destroy(ref.address, owner, run)
    left = {ref: tools.handlers[ref.kind].observe(ref.address, owner).presence for ref in refs}
    assert set(left.values()) == {Presence.ABSENT}, left
    assert not any("revoked" in line for line in run.lines), run.lines


@pytest.mark.parametrize("part", ["nomad", "consul", "vault"])
def test_the_same_job_name_in_another_namespace_is_not_the_service(
    cluster: Cluster, backends: Backends, tmp_path: Path, part: Part, impostor: Workload
) -> None:
    jwt = impostor.manager_jwt if part == "nomad" else impostor.backend_jwt
    with pytest.raises(BackendError):
        _log_in(cluster, part, jwt, tmp_path)


@pytest.mark.parametrize("part", ["nomad", "consul", "vault"])
def test_another_job_of_the_same_namespace_is_not_the_service(
    cluster: Cluster, backends: Backends, tmp_path: Path, part: Part, neighbour: Workload
) -> None:
    jwt = neighbour.manager_jwt if part == "nomad" else neighbour.backend_jwt
    with pytest.raises(BackendError):
        _log_in(cluster, part, jwt, tmp_path)


@pytest.fixture(scope="module")
def impostor(backends: Backends) -> Iterator[Workload]:
    with environment(backends, "blue"):
        yield run_job(backends, "blue", "provisioning")


@pytest.fixture(scope="module")
def neighbour(backends: Backends, manager: Workload) -> Workload:
    return run_job(backends, "meta", "other")


# --- people ---

_REQUEST = {
    "response_type": "code",
    "scope": "openid",
    "state": "state",
    "nonce": "nonce",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}


def _ask_for_code(vault: Caller, provider: str, client: dict[str, Any]) -> Any:
    asked = {**_REQUEST, "client_id": client["client_id"], "redirect_uri": client["redirect_uris"][0]}
    return vault.call("GET", f"/v1/identity/oidc/provider/{provider}/authorize?{urlencode(asked)}")


@pytest.fixture
def careless_provider(cluster: Cluster) -> Iterator[str]:
    """A provider whose client everybody may use."""
    admin, name = cluster.connections.caller("vault"), "careless"
    client = {"assignments": ["allow_all"], "redirect_uris": ["https://careless.example/"], "key": "default"}
    admin.call("POST", f"/v1/identity/oidc/client/{name}", client)
    id = admin.call("GET", f"/v1/identity/oidc/client/{name}")["data"]["client_id"]
    admin.call("POST", f"/v1/identity/oidc/provider/{name}", {"allowed_client_ids": [id]})
    yield name
    for kind in ("provider", "client"):
        admin.call("DELETE", f"/v1/identity/oidc/{kind}/{name}")


@pytest.mark.parametrize("client", [OPENBAO_WEB_CLIENT, OPENBAO_CLI_CLIENT])
def test_a_job_can_t_sign_in_as_a_person(cluster: Cluster, workloads: dict[str, Workload], client: str) -> None:
    admin = cluster.connections.caller("vault")
    found = admin.call("GET", f"/v1/identity/oidc/client/{client}")["data"]
    for workload in workloads.values():
        with pytest.raises(BackendError) as refused:
            _ask_for_code(_as(cluster, "vault", workload.vault_token), OPENBAO_PROVIDER, found)
        assert "access_denied" in refused.value.message
    with pytest.raises(BackendError):  # neither can somebody who has all rights, and is no person
        _ask_for_code(admin, OPENBAO_PROVIDER, found)


def test_only_the_assignment_keeps_jobs_out(
    cluster: Cluster, workloads: dict[str, Workload], careless_provider: str
) -> None:
    """The policy `default` lets every token ask: the test above shows something."""
    admin = cluster.connections.caller("vault")
    client = admin.call("GET", f"/v1/identity/oidc/client/{careless_provider}")["data"]
    job = _as(cluster, "vault", workloads["red"].vault_token)
    assert _ask_for_code(job, careless_provider, client)["code"]


def test_a_person_s_login_is_good_for_nothing_but_a_code(cluster: Cluster) -> None:
    admin, user = cluster.connections.caller("vault"), "test-trust-person"
    body = {"password": "a long enough secret", "token_no_default_policy": True}
    admin.call("POST", f"/v1/auth/calvinverse-people/users/{user}", body)
    login = _as(cluster, "vault", "").call(
        "POST", f"/v1/auth/calvinverse-people/login/{user}", {"password": body["password"]}
    )
    group = "/v1/identity/group/name/calvinverse-people"
    members = admin.call("GET", group)["data"]["member_entity_ids"] or []
    admin.call("POST", group, {"member_entity_ids": [*members, login["auth"]["entity_id"]]})
    try:
        person = _as(cluster, "vault", login["auth"]["client_token"])
        client = admin.call("GET", f"/v1/identity/oidc/client/{OPENBAO_WEB_CLIENT}")["data"]
        assert _ask_for_code(person, OPENBAO_PROVIDER, client)["code"]
        for path in (
            "auth/token/lookup-self",
            "sys/auth",
            "secret/metadata/environments?list=true",
            "identity/oidc/client/calvinverse-web",
        ):
            with pytest.raises(BackendDenied):
                person.call("GET", f"/v1/{path}")
        assert login["auth"]["lease_duration"] <= 120
    finally:
        admin.call("POST", group, {"member_entity_ids": members})
        admin.call("DELETE", f"/v1/auth/calvinverse-people/users/{user}")
        admin.call("DELETE", f"/v1/identity/entity/id/{login['auth']['entity_id']}")


def test_the_service_manages_people_with_a_login_of_its_own(
    cluster: Cluster, manager: Workload, workloads: dict[str, Workload], tmp_path: Path
) -> None:
    endpoint = cluster.connections.endpoint("vault")
    identity = tmp_path / "identity.jwt"
    identity.write_text(manager.backend_jwt)
    login = JwtLogin(jwt_file=identity, method="jwt-nomad", role="calvinverse-manager")
    theirs = endpoint.model_copy(update={"authentication": login})
    calls = OpenBaoPeople(lambda: Connections(vault=theirs))
    assert calls.web_client().secret
    calls.users()
    service = _as(cluster, "vault", _log_in(cluster, "vault", manager.backend_jwt, tmp_path))
    with pytest.raises(BackendDenied):  # the one for environments doesn't suffice
        service.call("GET", f"/v1/identity/oidc/client/{OPENBAO_WEB_CLIENT}")
    for workload in workloads.values():
        identity.write_text(workload.backend_jwt)
        with pytest.raises(BackendDenied):
            OpenBaoPeople(lambda: Connections(vault=theirs)).users()


# --- what is missing ---

BREAKS = [
    ("consul", "DELETE", "/v1/acl/auth-method/nomad-workloads", None, "the auth method nomad-workloads"),
    ("consul", "DELETE", "/v1/acl/auth-method/calvinverse-manager", None, "the auth method calvinverse-manager"),
    (
        "consul",
        "PUT",
        "/v1/acl/binding-rule",
        {"AuthMethod": "nomad-workloads", "BindType": "policy", "BindName": "global-management", "Selector": ""},
        "the one binding rule from a workload's namespace",
    ),
    ("vault", "DELETE", "/v1/auth/jwt-nomad/role/environment", None, "the role environment"),
    (
        "vault",
        "POST",
        "/v1/auth/jwt-nomad/role/environment",
        {"role_type": "jwt", "bound_audiences": ["vault.io"], "user_claim": "nomad_job_id"},
        "the role environment",
    ),
    (
        "vault",
        "PUT",
        "/v1/sys/policies/acl/calvinverse-environment",
        {"policy": 'path "secret/*" { capabilities = ["read"] }'},
        "the one policy of all environments",
    ),
    ("vault", "DELETE", "/v1/sys/policies/acl/calvinverse-service", None, "the policy of the provisioning service"),
    (
        "vault",
        "PUT",
        "/v1/sys/policies/acl/calvinverse-secrets",
        {"policy": 'path "secret/data/environments/*" { capabilities = ["read"] }'},
        "the policy for the secrets of one environment",
    ),
    (
        "vault",
        "POST",
        "/v1/auth/token/roles/calvinverse-secrets",
        {"allowed_policies": ["calvinverse-secrets", "calvinverse-service"]},
        "the role calvinverse-secrets for the secrets of one environment",
    ),
    ("vault", "DELETE", "/v1/sys/auth/jwt-nomad", None, "the login for workloads"),
    (
        "vault",
        "POST",
        "/v1/auth/token/roles/calvinverse-module",
        {"allowed_policies": ["calvinverse-module", "calvinverse-service"]},
        "the role calvinverse-module of modules",
    ),
    (
        "vault",
        "PUT",
        "/v1/sys/policies/acl/calvinverse-module",
        {"policy": 'path "secret/*" { capabilities = ["read"] }'},
        "the one policy of modules",
    ),
    (
        "vault",
        "POST",
        "/v1/identity/oidc/client/calvinverse-web",
        {"assignments": ["allow_all"]},
        "the client calvinverse-web",
    ),
    (
        "vault",
        "POST",
        "/v1/identity/oidc/client/calvinverse-cli",
        {"redirect_uris": ["https://evil.example/callback"]},
        "the client calvinverse-cli",
    ),
    (
        "vault",
        "POST",
        "/v1/identity/oidc/provider/calvinverse",
        {"issuer": "https://other.example"},
        "the provider calvinverse",
    ),
    (
        "vault",
        "POST",
        "/v1/identity/group/name/calvinverse-people",
        {"policies": ["default"]},
        "the group calvinverse-people",
    ),
    ("vault", "DELETE", "/v1/auth/jwt-nomad/role/calvinverse-people-manager", None, "the role calvinverse-people-man"),
    ("nomad", "DELETE", "/v1/acl/auth-method/nomad-manager", None, "the auth method nomad-manager"),
    (
        "nomad",
        "POST",
        "/v1/acl/binding-rule",
        {"AuthMethod": "nomad-manager", "BindType": "management", "Selector": ""},
        "the one binding rule that lets only job provisioning",
    ),
]


@pytest.mark.parametrize(("part", "method", "path", "body", "what"), BREAKS)
def test_what_is_missing_is_named_and_mended(
    cluster: Cluster, backends: Backends, part: Part, method: str, path: str, body: object, what: str
) -> None:
    trust = Trust(cluster.connections, external_address=EXTERNAL_ADDRESS)
    assert trust.verify() == []
    getattr(backends, part).call(method, path, body)

    missing = trust.verify()

    assert any(fault.what.startswith(what) and path.split("?")[0].rsplit("/", 1)[0] in fault.fix for fault in missing)
    trust.apply()
    assert trust.verify() == []
