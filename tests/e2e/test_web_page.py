"""The web page as it is deployed: behind the edge, with sessions of the service, and without a right of its own."""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from environments.client.bundles import read_bundle
from environments.domain.access import EnvironmentRole
from environments.domain.errors import PortTaken
from environments.domain.lifecycle import State
from environments.pages.requests import SESSION_COOKIE
from environments.providers.local_cluster.trust.names import OPENBAO_UI, UI_JOB, UI_NAME
from environments.wire.access import ShareRequest
from environments.wire.environments import CreateRequest
from environments.wire.people_local import LocalPersonRequest
from jobs.edge import ADDRESS, EdgeChoice
from jobs.status import Line
from tests.support.browser import Visitor, browser, driver
from tests.support.deployment import Deployment, containers, until
from tests.support.edge_harness import read_all, request

CHOSEN = "four words of my own"

SHORT = """
[template]
name = "short"
version = "1"

[[steps]]
name = "key"
uses = "consul.kv"
with = { keys = { greeting = "hello" } }
"""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("page") / "state", images=("edge",))
    try:
        deployment.deploy()
        yield deployment
    finally:
        deployment.remove()


def container(deployment: Deployment) -> dict[str, Any]:
    """What the engine knows of the page's container."""
    ((_, found),) = [
        (name, item) for name, item in containers(deployment.where.state).items() if name.startswith(f"{UI_JOB}-")
    ]
    return found


def test_status_shows_it_and_a_second_deployment_at_a_taken_port_starts_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    assert deployment.line("web page") == Line("web page", "✓ healthy", "", f"https://127.0.0.1:{deployment.ui_port}")
    port = int(deployment.context.without_edge().address.rpartition(":")[2])
    second = Deployment(tmp_path / "second", images=("edge",), port=port)
    with pytest.raises(PortTaken, match=f"Port {port} of 127.0.0.1, for the provisioning service, is taken by"):
        second.deploy()
    assert not second.where.connections.exists()
    assert not (second.where.state / "agents").exists()
    second.remove()


def test_a_person_signs_in_and_sees_what_was_shared_with_them(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = f"https://{ADDRESS}:{deployment.edge_port}"
    folder = tmp_path_factory.mktemp("short")
    (folder / "template.toml").write_text(SHORT)
    with deployment.client() as admin, driver() as playwright, browser(playwright) as chromium:
        admin.push(read_bundle(folder))
        for name in ("shared-one", "hidden-one"):
            admin.create(CreateRequest(name=name, template="short"))
        until(lambda: admin.environment("shared-one").state is State.READY, limit=120)
        once = admin.create_local_person(LocalPersonRequest(user_name="ada", display_name="Ada Lovelace")).password
        ada = Visitor(chromium)
        page = ada.page
        page.goto(site)
        page.get_by_role("button", name="Sign in with").click()
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password", exact=True).fill(once)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Present password").fill(once)
        page.get_by_label("New password", exact=True).fill(CHOSEN)
        page.get_by_label("New password again").fill(CHOSEN)
        page.get_by_role("button", name="Change it and sign in").click()
        expect(page.get_by_role("heading", name="Environments", level=1)).to_be_visible()
        assert page.url == f"{site}/"
        assert "shared-one" not in page.content()
        admin.share("shared-one", ShareRequest(subject="ada", role=EnvironmentRole.VIEWER))
        page.reload()
        expect(page.get_by_role("link", name="shared-one", exact=True).first).to_be_visible()
        assert "hidden-one" not in page.content()
        # The service knows who asked, and from where, although the page stands between.
        (session,) = admin.sessions("ada")
        assert session.address == "127.0.0.1"
        page.goto(f"{site}/account")
        expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
        page.get_by_role("link", name="Environments", exact=True).click()
        expect(page.get_by_role("heading", name="Environments", level=1)).to_be_visible()
        page.goto(f"{site}/account")
        page.get_by_role("button", name="Sign out").click()
        page.goto(site)
        assert page.url.startswith(f"{site}/sign-in")
        assert ada.complaints == []
        for name in ("shared-one", "hidden-one"):
            admin.destroy(name)
        until(
            lambda: all(admin.environment(name).state is State.DESTROYED for name in ("shared-one", "hidden-one")),
            limit=120,
        )


def test_the_service_learns_who_asked_the_page(deployment: Deployment) -> None:
    """A session that isn't one, from an address of its own: the service's log names that address."""
    found = deployment.connections.caller("vault").call("GET", "/v1/pki/issuer/default/json")
    context = ssl.create_default_context(cadata=str(found["data"]["certificate"]))
    place = ("127.0.0.1", deployment.edge_port)
    with (
        socket.create_connection(place, timeout=60, source_address=("127.0.0.66", 0)) as plain,
        context.wrap_socket(plain, server_hostname=ADDRESS) as connection,
    ):
        connection.sendall(request("/", f"Cookie: {SESSION_COOKIE}=cv_{'x' * 43}", host=ADDRESS))
        assert b" 303 " in read_all(connection).partition(b"\r\n")[0]

    def told() -> bool:
        logs = deployment.where.state.rglob("provisioning.stderr.*")
        lines = [json.loads(line) for log in logs for line in log.read_text().splitlines() if line.startswith("{")]
        return "127.0.0.66" in [line["client"] for line in lines if line["event"] == "token.refused"]

    until(told, limit=60)


def test_its_container_holds_no_credential_and_changes_nothing(deployment: Deployment) -> None:
    found = container(deployment)
    assert found["Config"]["User"] == "10003"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert [name.lower() for name in found["HostConfig"]["CapDrop"]] == ["all"]
    assert found["HostConfig"]["Memory"] == 256 * 1024 * 1024
    names = {setting.partition("=")[0] for setting in found["Config"]["Env"]}
    assert [name for name in names if "TOKEN" in name or ("SECRET" in name and name != "NOMAD_SECRETS_DIR")] == []
    look = "cd /secrets && find . -type f -not -name .nomad-mount"
    command = ["docker", "exec", found["Id"], "sh", "-c", look]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    assert set(told) == {"./certificate.pem", "./parts-ca.pem"}
    assert "PRIVATE KEY" not in json.dumps(found)


def test_its_identity_gets_a_certificate_and_nothing_else(deployment: Deployment) -> None:
    vault = deployment.connections.caller("vault")
    role = vault.call("GET", f"/v1/auth/jwt-nomad/role/{OPENBAO_UI}")["data"]
    assert role["bound_claims"] == {"nomad_namespace": "meta", "nomad_job_id": UI_JOB}
    wanted = {
        "paths": [
            "pki-parts/issue/meta--ui",
            "pki-parts/issue/meta",
            "pki/issue/meta",
            "secret/data/environments/meta/edge-secret",
            "identity/oidc/provider/calvinverse/authorize",
            "auth/token/create",
        ]
    }
    made = vault.call("POST", "/v1/auth/token/create", {"policies": role["token_policies"], "no_default_policy": True})
    token = made["auth"]["client_token"]
    rights = vault.call("POST", "/v1/sys/capabilities", {"token": token, **wanted})
    vault.call("POST", "/v1/auth/token/revoke", {"token": token})
    assert {path: sorted(rights[path]) for path in wanted["paths"]} == {
        path: (["create", "update"] if path == "pki-parts/issue/meta--ui" else ["deny"]) for path in wanted["paths"]
    }


def test_it_stands_in_consul_with_a_check_that_verifies_its_name(deployment: Deployment) -> None:
    consul = deployment.connections.caller("consul")
    until(lambda: [one["Checks"] for one in consul.call("GET", "/v1/health/service/meta--ui?passing=1")], limit=60)
    (job,) = [deployment.connections.caller("nomad").call("GET", f"/v1/job/{UI_JOB}?namespace=meta")]
    (check,) = job["TaskGroups"][0]["Services"][0]["Checks"]
    assert (check["TLSServerName"], check["TLSSkipVerify"]) == (UI_NAME, False)


def test_without_an_edge_there_is_no_page_and_it_comes_back_with_it(deployment: Deployment) -> None:
    deployment.deploy(edge=EdgeChoice(off=True))
    assert not [name for name in containers(deployment.where.state) if name.startswith(f"{UI_JOB}-")]
    deployment.deploy(edge=EdgeChoice(listen=f"127.0.0.1:{deployment.edge_port}"))
    assert container(deployment)["State"]["Running"] is True
