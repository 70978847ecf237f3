"""Somebody takes the port of the deployed service while it is down: no client gives its token away there."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from environments.client import connect
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.moments import local_zone
from environments.wire.environments import CreateRequest
from jobs.edge import ADDRESS, EdgeChoice
from tests.support.authorities import make_authority
from tests.support.deployment import Deployment, containers, docker, until
from tests.support.edge_harness import read_all, request
from tests.support.port_taker import other_user, template_files
from tests.support.service_process import free_port
from tests.support.tui_driver import until as until_shown
from tui.app import CalvinverseApp
from tui.clock import Clock, utc_now

Said = Callable[[], str]


@pytest.fixture(scope="module")
def edge_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, edge_port: int) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("taken") / "state", images=("edge", "base"))
    try:
        deployment.deploy(edge=EdgeChoice(f"127.0.0.1:{edge_port}"))
        yield deployment
    finally:
        deployment.remove()


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """What the taker shows: a certificate for the right names, of an authority that nobody pins."""
    names = "127.0.0.1", "localhost", "provisioning.calvinverse.internal"
    return make_authority("Calvinverse parts").sign(tmp_path / "taker.pem", *names).read_text()


def port_of(deployment: Deployment) -> int:
    return int(deployment.context.address.rpartition(":")[2])


def take_down(deployment: Deployment) -> None:
    """SIGKILL to the service: Nomad starts it again after two seconds, and then as long as the port is taken."""
    (container,) = [name for name in containers(deployment.where.state) if name.startswith("provisioning-")]
    docker("kill", "--signal=KILL", container)


def back(deployment: Deployment) -> None:
    """Waits until the service answers."""

    def answers() -> bool:
        with deployment.client() as client:
            return not client.readiness().problems

    until(answers, limit=180)


def command(deployment: Deployment, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line, with the context that deploy wrote."""
    return subprocess.run(
        [sys.executable, "-m", "environments", *arguments],
        env={"PATH": os.environ["PATH"], "CALVINVERSE_STATE": str(deployment.where.state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tui(deployment: Deployment, said: Said) -> None:
    """The terminal UI, until the taker has heard from it."""

    async def run() -> None:
        app = CalvinverseApp(
            lambda: connect(deployment.context),
            clock=Clock(now=utc_now, zone=local_zone()),
            make_key=lambda: "one-key",
            animate=False,
        )
        before = said()
        async with app.run_test(size=(120, 40)) as pilot:
            await until_shown(pilot, lambda: said().count("REFUSED") > before.count("REFUSED"), "what the TUI asks")

    asyncio.run(run())


def through_the_edge(deployment: Deployment, port: int) -> bytes:
    """A request with the token to the edge; its answer."""
    found = deployment.connections.caller("vault").call("GET", "/v1/pki/issuer/default/json")
    context = ssl.create_default_context(cadata=str(found["data"]["certificate"]))
    token = deployment.where.token.read_text().strip()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=ADDRESS) as connection,
    ):
        connection.sendall(request("/v1/environments", f"Authorization: Bearer {token}", host=ADDRESS))
        return read_all(connection)


def everybody_asks(deployment: Deployment, edge_port: int, said: Said) -> None:
    """Every client that has a token asks the taker, and gives it nothing."""
    until(lambda: "TAKEN" in said())
    for arguments in (("env", "list"), ("template", "list"), ("token", "list")):
        ended = command(deployment, *arguments)
        assert ended.returncode == 7, ended.stderr
        assert "isn't signed by the authority in" in ended.stderr
        assert "The token was not sent." in ended.stderr
    assert "isn't signed by" in command(deployment, "doctor").stdout
    assert deployment.line("service").health.startswith("✗ The certificate of the service")
    tui(deployment, said)
    assert b" 502 " in through_the_edge(deployment, edge_port).partition(b"\r\n")[0]
    assert said().count("REFUSED") >= 7
    assert "HEARD" not in [line.partition(" ")[0] for line in said().splitlines() if "Bearer" in line]
    assert deployment.where.token.read_text().strip() not in said()


def test_another_user_of_the_machine_gets_no_token(
    deployment: Deployment, edge_port: int, pem: str, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    with other_user(port_of(deployment), pem, tmp_path) as file:
        take_down(deployment)
        everybody_asks(deployment, edge_port, file.read_text)
    back(deployment)


def test_a_job_in_the_network_of_the_node_gets_no_token(deployment: Deployment, edge_port: int, pem: str) -> None:
    with deployment.client() as client:
        client.push(make_bundle(template_files()))
        parameters = {"port": port_of(deployment), "pem": pem}
        client.create(CreateRequest(name="taker", template="taker", parameters=parameters))
        until(lambda: client.environment("taker").state is State.READY)

    def said() -> str:
        files = deployment.where.state.rglob("main.stdout.*")
        return "".join(file.read_text() for file in files)

    take_down(deployment)
    everybody_asks(deployment, edge_port, said)
    _stop_taker(deployment)
    back(deployment)
    with deployment.client() as client:
        client.destroy("taker", reason="the test is over")
        until(lambda: client.environment("taker").state is State.DESTROYED)


def _stop_taker(deployment: Deployment) -> None:
    """As the operator would: the service that destroys environments is down."""
    deployment.connections.caller("nomad").call("DELETE", "/v1/job/app?namespace=taker")
