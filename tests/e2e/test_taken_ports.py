"""Somebody takes the port of the service or of its database while that is down: nobody gives away a token there."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from environments.client import connect
from environments.moments import local_zone
from environments.pages.requests import SESSION_COOKIE
from environments.providers.backend.connections import Connections
from environments.providers.local_cluster.trust.names import PART_NAMES, UI_JOB, UI_NAME
from jobs.edge import ADDRESS
from tests.support.deployment import Deployment, containers, docker, until
from tests.support.edge_harness import read_all, request
from tests.support.service_process import free_port
from tests.support.thieves import Thief, a_job, another_user, stolen_certificate
from tests.support.tui_driver import until as until_shown
from tui.app import CalvinverseApp
from tui.clock import Clock, utc_now

Steal = Callable[[Path, Connections, int, str], AbstractContextManager[Thief]]

BY = [
    pytest.param(
        another_user,
        marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
        id="user",
    ),
    pytest.param(a_job, id="job"),
]


@pytest.fixture(scope="module")
def database_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, database_port: int) -> Iterator[Deployment]:
    state = tmp_path_factory.mktemp("taken") / "state"
    deployment = Deployment(state, images=("edge", "postgres"), database_port=database_port)
    try:
        deployment.deploy("postgresql")
        yield deployment
    finally:
        deployment.remove()


def thief(deployment: Deployment, steal: Steal, port: int, part: str) -> AbstractContextManager[Thief]:
    """Shows a certificate for the part's name and address, as an author of templates can have it."""
    name = UI_NAME if part == UI_JOB else PART_NAMES[part]
    pem = stolen_certificate(deployment.connections.caller("vault"), name)
    return steal(deployment.where.state, deployment.connections, port, pem)


def told(taker: Thief) -> list[str]:
    """What it was told, but for Consul's checks: they have no token, and trust the authority of environments too."""
    texts = [event["text"] for event in taker.events("told")]
    return [text for text in texts if "Consul Health Check" not in text or "authorization" in text.lower()]


def take_down(deployment: Deployment, task: str) -> None:
    """SIGKILL: Nomad starts it again after two seconds, and then as long as the port is taken."""
    (container,) = [name for name in containers(deployment.where.state) if name.startswith(f"{task}-")]
    docker("kill", "--signal=KILL", container)


def back(deployment: Deployment) -> None:
    """Waits until the service answers, and can work."""

    def answers() -> bool:
        with deployment.client() as client:
            return not client.readiness().problems

    until(answers, limit=300)


def command(deployment: Deployment, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command line, with the context that deploy wrote."""
    return subprocess.run(
        [sys.executable, "-m", "environments", *arguments],
        env={"PATH": os.environ["PATH"], "CALVINVERSE_STATE": str(deployment.where.state), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tui(deployment: Deployment, taker: Thief) -> None:
    """The terminal UI, until the taker has heard from it."""

    async def run() -> None:
        app = CalvinverseApp(
            lambda: connect(deployment.context.without_edge()),
            clock=Clock(now=utc_now, zone=local_zone()),
            make_key=lambda: "one-key",
            animate=False,
        )
        before = len(taker.events("refused"))
        async with app.run_test(size=(120, 40)) as pilot:
            await until_shown(pilot, lambda: len(taker.events("refused")) > before, "what the TUI asks")

    asyncio.run(run())


def through_the_edge(deployment: Deployment, path: str = "/v1/environments") -> bytes:
    """A request with the token, as program and as browser, to the edge; its answer."""
    found = deployment.connections.caller("vault").call("GET", "/v1/pki/issuer/default/json")
    context = ssl.create_default_context(cadata=str(found["data"]["certificate"]))
    token = deployment.where.token.read_text().strip()
    with (
        socket.create_connection(("127.0.0.1", deployment.edge_port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=ADDRESS) as connection,
    ):
        session = f"Cookie: {SESSION_COOKIE}={token}"
        connection.sendall(request(path, f"Authorization: Bearer {token}", session, host=ADDRESS))
        return read_all(connection)


@pytest.mark.parametrize("steal", BY)
def test_nobody_who_takes_the_port_of_the_service_gets_a_token(deployment: Deployment, steal: Steal) -> None:
    """Clients that go round the edge, and those of the edge, which asks for them."""
    own = deployment.context.without_edge().address
    with thief(deployment, steal, int(own.rpartition(":")[2]), "provisioning") as taker:
        take_down(deployment, "provisioning")
        taker.wait_for("bound")
        for arguments in (("env", "list"), ("template", "list"), ("token", "list")):
            ended = command(deployment, *arguments, CALVINVERSE_ADDRESS=own)
            assert ended.returncode == 7, ended.stderr
            assert "isn't signed by the authority in" in ended.stderr
            assert "The token was not sent." in ended.stderr
            passed_on = command(deployment, *arguments)
            assert passed_on.returncode == 7, passed_on.stderr
            assert "The edge answers, but the service behind it doesn't." in passed_on.stderr
        assert "isn't signed by" in command(deployment, "doctor", CALVINVERSE_ADDRESS=own).stdout
        assert deployment.line("service").health.startswith("✗ The certificate of the service")
        tui(deployment, taker)
        assert b" 502 " in through_the_edge(deployment).partition(b"\r\n")[0]
        assert len(taker.events("refused")) >= 7
        assert told(taker) == []
        taker.stop()
        back(deployment)


@pytest.mark.parametrize("steal", BY)
def test_nobody_who_takes_the_port_of_the_database_gets_a_login_or_what_is_written(
    deployment: Deployment, database_port: int, steal: Steal
) -> None:
    """The service says so, and goes on when its database is back."""

    def refusal() -> str:
        ended = command(deployment, "env", "list")
        return ended.stderr if "is not trusted" in ended.stderr else ""

    with thief(deployment, steal, database_port, "postgres") as taker:
        take_down(deployment, "postgres")
        taker.wait_for("bound")
        taker.wait_for("refused")
        assert "No password was sent." in until(refusal)
        assert told(taker) == []
        taker.stop()
        back(deployment)


@pytest.mark.parametrize("steal", BY)
def test_nobody_who_takes_the_port_of_the_web_page_gets_a_session(deployment: Deployment, steal: Steal) -> None:
    """The edge says what to do, programs go on, and the page is there again once it has its port."""
    with thief(deployment, steal, deployment.ui_port, UI_JOB) as taker:
        take_down(deployment, UI_JOB)
        taker.wait_for("bound")
        answer = through_the_edge(deployment, "/environments/demo")
        assert b" 503 " in answer.partition(b"\r\n")[0]
        assert b"The web page is away at the moment." in answer
        assert b" 200 " in through_the_edge(deployment).partition(b"\r\n")[0]
        assert taker.events("refused")
        assert told(taker) == []
        taker.stop()
        until(lambda: b" 200 " in through_the_edge(deployment, "/ui/health").partition(b"\r\n")[0], limit=300)
