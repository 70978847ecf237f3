"""Calvinverse deployed as on a fresh machine: clients reach it at its edge, until somebody switches that off."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from environments.authorities import PinnedAuthority
from environments.client import connect
from environments.client.bundles import read_bundle
from environments.context import Context
from environments.domain.errors import CalvinverseError, ServiceUnavailable
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.local_cluster.isolation.rules import MOST_CONNECTIONS
from environments.service.built_in_provider import AUTHORIZE_PATH
from environments.wire.environments import CreateRequest
from environments.wire.people_local import LocalPersonRequest
from jobs.edge import ADDRESS, EdgeChoice
from jobs.entry_domain import DEFAULT
from jobs.status import Line
from tests.support.authorities import make_authority
from tests.support.browser import Visitor, browser, driver
from tests.support.deployment import Deployment, containers, until
from tests.support.edge_harness import read_all, request, status
from tests.support.namespaces import within
from tests.support.receivers import Mailbox, mail_server
from tests.support.second_machine import linked

SHORT = """
[template]
name = "short"
version = "1"

[lifetime]
warn = ["1h"]
extend = "2h"

[[steps]]
name = "key"
uses = "consul.kv"
with = { keys = { greeting = "hello" } }
"""

CHOSEN = "four words of my own"

OPEN = "0.0.0.0"  # noqa: S104 - as for other machines
"""All addresses of the machine."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Nobody has chosen anything but ports."""
    deployment = Deployment(tmp_path_factory.mktemp("edge") / "state", images=("edge", "base"))
    try:
        deployment.deploy()
        yield deployment
    finally:
        deployment.remove()


@pytest.fixture
def port(deployment: Deployment) -> int:
    return deployment.edge_port


def authority(deployment: Deployment) -> str:
    """The certificate of the cluster's authority."""
    found = deployment.connections.caller("vault").call("GET", "/v1/pki/issuer/default/json")
    return str(found["data"]["certificate"])


def outside(deployment: Deployment, port: int, pem: str) -> Context:
    """What a client of another machine knows."""
    pinned = PinnedAuthority(pem, "edge")
    return Context(address=f"https://{ADDRESS}:{port}", token_file=deployment.where.token, pinned=pinned)


def test_clients_of_this_machine_use_it_and_pin_its_authority(deployment: Deployment, port: int) -> None:
    context = deployment.context
    assert (context.address, context.ca_file) == (f"https://{ADDRESS}:{port}", deployment.where.edge_authority)
    assert deployment.where.edge_authority.read_text().strip() == authority(deployment).strip()
    with deployment.client() as client:
        assert client.info().role == "admin"
    assert deployment.line("edge") == Line("edge", "✓ healthy", "", context.address)
    ended = subprocess.run(
        [sys.executable, "-m", "environments", "env", "list"],
        env={"PATH": os.environ["PATH"], "CALVINVERSE_STATE": str(deployment.where.state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "meta" in ended.stdout, ended.stderr


def test_a_client_that_pins_the_authority_reaches_the_service(deployment: Deployment, port: int) -> None:
    with connect(outside(deployment, port, authority(deployment))) as client:
        assert [found.name for found in client.environments()] == ["meta"]
        assert client.readiness().problems == {}
        outputs = client.environment("meta").outputs
    assert outputs["external"].value == f"https://{ADDRESS}:{port}"


def test_a_client_that_pins_another_authority_sends_nothing(deployment: Deployment, port: int) -> None:
    with connect(outside(deployment, port, make_authority().pem)) as client, pytest.raises(CalvinverseError):
        client.environments()


def test_the_services_log_names_the_client(deployment: Deployment, port: int) -> None:
    context = ssl.create_default_context(cadata=authority(deployment))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60, source_address=("127.0.0.88", 0)) as plain,
        context.wrap_socket(plain, server_hostname=ADDRESS) as connection,
    ):
        lines = ("Authorization: Bearer no-good", "Calvinverse-Client: 192.0.2.1", "X-Forwarded-For: 192.0.2.1")
        connection.sendall(request("/v1/environments", *lines, host=ADDRESS))
        assert status(read_all(connection)) == 401
    assert until(lambda: "127.0.0.88" in refused(deployment))
    assert "192.0.2.1" not in refused(deployment)


def refused(deployment: Deployment) -> list[str]:
    """Clients of which the service's log says that their tokens were refused."""
    logs = deployment.where.state.rglob("provisioning.stderr.*")
    lines = [line for log in logs for line in log.read_text().splitlines()]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [event["client"] for event in events if event["event"] == "token.refused"]


def test_people_sign_in_at_the_edge_with_a_browser(deployment: Deployment, port: int) -> None:
    """With the built-in provider: a first password, groups, a used answer, a wrong redirect; out, and disabled."""
    site = f"https://{ADDRESS}:{port}"
    answers: list[str] = []
    with deployment.client() as admin, driver() as playwright, browser(playwright) as chromium:
        once = admin.create_local_person(LocalPersonRequest(user_name="ada", display_name="Ada Lovelace")).password
        visitor = Visitor(chromium)
        page = visitor.page
        page.on("request", lambda asked: answers.append(asked.url) if "/sign-in/callback?" in asked.url else None)

        def sign_in(password: str) -> None:
            page.goto(f"{site}/account")
            page.get_by_role("button", name="Sign in with").click()
            page.get_by_label("User name").fill("ada")
            page.get_by_label("Password", exact=True).fill(password)
            page.get_by_role("button", name="Sign in").click()

        sign_in(once)
        page.get_by_label("Present password").fill(once)
        page.get_by_label("New password", exact=True).fill(CHOSEN)
        page.get_by_label("New password again").fill(CHOSEN)
        page.get_by_role("button", name="Change it and sign in").click()
        expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
        assert page.url == f"{site}/account"
        (session,) = admin.sessions("ada")
        assert session.address == "127.0.0.1"
        page.goto(answers[0])
        expect(page.get_by_role("heading", level=1)).to_have_text("You can't sign in")
        page.goto(answers[0].replace("state=", "state=x"))
        expect(page.get_by_role("heading", level=1)).to_have_text("You can't sign in")
        asked = f"{site}{AUTHORIZE_PATH}?client_id=x&response_type=code&redirect_uri=https://elsewhere.example/"
        page.goto(asked)
        assert page.url == asked
        expect(page.get_by_role("heading", level=1)).to_have_text("That isn't right")
        page.goto(f"{site}/account")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("Your provider may still know you")).to_be_visible()
        assert admin.sessions("ada") == []
        admin.disable_person("ada")
        sign_in(CHOSEN)
        expect(page.get_by_role("alert")).to_contain_text("can't sign in")
        assert visitor.complaints == []
        visitor.close()


def test_an_environment_has_an_entry_point(deployment: Deployment, port: int) -> None:
    with connect(outside(deployment, port, authority(deployment))) as client:
        client.push(read_bundle(Path(__file__).parent / "entry_points"))
        client.create(CreateRequest(name="seen", template="entry-points"))
        assert until(lambda: client.environment("seen").state is State.READY, 180)
        (entry,) = client.environment("seen").entry_points
        assert entry.url == f"https://web--seen.{DEFAULT}:{port}"
        host = f"web--seen.{DEFAULT}"
        context = ssl.create_default_context(cadata=authority(deployment))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            connection.sendall(request("/", host=host))
            answer = read_all(connection)
        assert status(answer) == 200, answer
        assert b"seen " in answer
        id = client.destroy("seen").environment.id
        assert until(lambda: client.environment(id).state is State.DESTROYED, 180)


def test_when_it_is_away_people_of_this_machine_go_on(deployment: Deployment, port: int) -> None:
    own = deployment.context.without_edge()
    deployment.connections.caller("nomad").call("DELETE", "/v1/job/edge?namespace=meta")
    until(lambda: not [name for name in containers(deployment.where.state) if name.startswith("edge-")])
    with deployment.client() as client, pytest.raises(ServiceUnavailable) as away:
        client.info()
    assert away.value.message.startswith(f"The edge at https://{ADDRESS}:{port} can't be reached.")
    assert own.address in away.value.hint
    with connect(own) as client:
        assert client.readiness().problems == {}
    deployment.deploy()
    with deployment.client() as client:
        assert client.readiness().problems == {}


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


def test_it_stays_on_with_what_was_chosen(deployment: Deployment, port: int, mailbox: Mailbox, tmp_path: Path) -> None:
    channels = tmp_path / "channels.toml"
    channels.write_text(
        f"[email]\nhost = '127.0.0.1'\nport = {mailbox.port}\nsecurity = 'none'\n"
        "from = 'calvinverse@example.net'\nto = 'grace@example.net'\n"
    )
    deployment.deploy(edge=EdgeChoice(f"{OPEN}:{port}"), warnings=str(channels))
    before = {name for name in containers(deployment.where.state) if name.startswith("edge-")}
    deployment.deploy()
    assert {name for name in containers(deployment.where.state) if name.startswith("edge-")} == before
    with deployment.client() as client:
        assert client.environment("meta").parameters["edge_host"] == OPEN
    with connect(outside(deployment, port, authority(deployment))) as client:
        assert client.readiness().problems == {}


def test_one_client_can_not_take_the_connections_of_others(deployment: Deployment, port: int) -> None:
    """A machine that holds many, and opens more, is refused. Others, and what is open already, go on."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to isolate jobs")
    held: list[socket.socket] = []

    def take(address: str, most: int) -> None:
        while len(held) < most:
            held.append(socket.create_connection((address, port), 60))

    with linked() as link:
        try:
            with pytest.raises(ConnectionRefusedError):
                within(link.namespace, lambda: take(link.address, 2 * MOST_CONNECTIONS))
            assert len(held) >= MOST_CONNECTIONS
            # All programs of this machine share an address: none of them is refused because of another one.
            take("127.0.0.1", len(held) + MOST_CONNECTIONS + 1)
            with deployment.client() as client:
                assert client.readiness().problems == {}
        finally:
            for connection in held:
                connection.close()


def test_a_mail_of_the_deployed_service_has_a_link_that_extends_once(
    deployment: Deployment, port: int, mailbox: Mailbox
) -> None:
    """The link leads through the edge. It has been deployed again since without the file, and keeps it."""
    context = ssl.create_default_context(cadata=authority(deployment))

    def browse(link: str, method: str = "GET") -> bytes:
        parts = urlsplit(link)
        assert (parts.scheme, parts.hostname, parts.port) == ("https", ADDRESS, port)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=ADDRESS) as connection,
        ):
            path = f"{parts.path}?{parts.query}"
            connection.sendall(request(path, "Content-Length: 0", method=method, host=f"{ADDRESS}:{port}"))
            return read_all(connection)

    with deployment.client() as client:
        client.push(make_bundle({"template.toml": SHORT.encode()}))
        client.create(CreateRequest(name="short", template="short", ttl="1h20s"))
        [mail] = mailbox.wait()
        [link] = re.findall(r"^https\S+", mail.get_content(), re.MULTILINE)
        before = client.environment("short").deadline
        assert before is not None
        assert b"Extend short?" in browse(link)
        assert client.environment("short").deadline == before
        assert b"short is extended" in browse(link, "POST")
        after = client.environment("short").deadline
        assert after == before + timedelta(hours=2)
        for method in ("POST", "GET"):
            assert status(browse(link, method)) == 410
        assert client.environment("short").deadline == after
        id = client.destroy("short").environment.id
        assert until(lambda: client.environment(id).state is State.DESTROYED, 180)
    assert len(mailbox.mails) == 1
    token = link.partition("token=")[2].partition(".")[0]
    logs = [log for name in ("provisioning", "edge") for log in deployment.where.state.rglob(f"{name}.std*")]
    assert logs
    assert [log.name for log in logs if token in log.read_text(errors="replace")] == []


def test_it_is_switched_off_again_and_the_service_stays(deployment: Deployment, port: int) -> None:
    deployment.deploy(edge=EdgeChoice(off=True))
    deployment.deploy(edge=EdgeChoice())
    assert not [name for name in containers(deployment.where.state) if name.startswith("edge-")]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    with deployment.client() as client:
        assert client.readiness().problems == {}
        assert "external" not in client.environment("meta").outputs
    assert deployment.context.behind_edge is None
    assert not deployment.where.edge_authority.exists()
    # Nothing of it is left for a later deployment, which leaves it off.
    vault = deployment.connections.caller("vault")
    assert "edge-secret" not in vault.call("GET", "/v1/secret/metadata/environments/meta?list=true")["data"]["keys"]


def test_undeploy_takes_it_away(deployment: Deployment, port: int) -> None:
    deployment.deploy(edge=EdgeChoice(f"0.0.0.0:{port}"))
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        pass
    deployment.remove()
    assert containers(deployment.where.state) == {}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
