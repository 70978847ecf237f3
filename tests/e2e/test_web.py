"""From a request to a page over TLS and back to nothing, on the real cluster, by command line and TUI."""

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from textual.widgets import Input, Select

from environments.client import connect
from environments.context import Context
from environments.domain.lifecycle import State
from environments.wire.environments import CreateRequest, ExtendRequest
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.part_client import part_client
from tests.support.service_process import ServiceProcess
from tui.app import CalvinverseApp
from tui.clock import Clock, utc_now
from tui.create import CreateScreen
from tui.fields import FormField

ENDING = (State.DESTROYING, State.DESTROYED)
SHIPPED = ("preview", "web")
"""The templates that come with the service, as the form lists them."""

MESSAGE = """Quotes " ' and {{ braces }}, ${dollars}, %{percents}, <tags> & äöü"""
BRANCH = "${VAULT_TOKEN} ${meta.calvinverse_builds} ${attr.kernel.name} $${NOMAD_JOB_ID} %{ if true } {{ env `A` }}"


def calvinverse(service: ServiceProcess, *arguments: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
    """Runs the command line against the service."""
    return subprocess.run(
        [sys.executable, "-m", "environments", *arguments],
        env={**service.environment, "CALVINVERSE_ADDRESS": service.address},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=seconds,
        check=False,
    )


def output(service: ServiceProcess, *arguments: str) -> Any:
    """The JSON that a command prints; the test fails if the command does."""
    done = calvinverse(service, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def trusting(ca: str) -> ssl.SSLContext:
    """TLS that trusts this CA and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca)
    return context


def test_by_command_line_then_gone(service: ServiceProcess, cluster: Cluster, taker: Taker) -> None:
    before = taker.take()
    given = ("--message", MESSAGE, "--branch", BRANCH, "--ttl", "1h")
    made = calvinverse(service, "env", "create", "by-hand", "--template", "web", *given)
    assert made.returncode == 0, made.stderr
    assert "password" not in service.log.read_text().casefold()

    ca = calvinverse(service, "ca").stdout
    outputs = output(service, "env", "outputs", "by-hand")
    url = outputs["url"]["value"]
    with httpx2.Client(verify=trusting(ca), trust_env=False, timeout=60) as browser:
        page = browser.get(url).text
        assert "Quotes &quot; &#x27; and {{ braces }}, ${dollars}, %{percents}, &lt;tags&gt; &amp; äöü" in page
        assert f"<dt>branch<dd>{BRANCH}" in page

        masked = outputs["password"]["value"]
        secret = output(service, "env", "outputs", "by-hand", "--reveal")["password"]["value"]
        assert secret != masked
        assert len(secret) == 32
        proof = browser.get(f"{url}/proof", params={"nonce": "7"}).text.strip()
        assert proof == hmac.new(secret.encode(), b"7", hashlib.sha256).hexdigest()

        with part_client(cluster.connections, "consul", timeout=60) as consul:
            put = consul.put("/v1/kv/environments/by-hand/message", content=b"changed in Consul")
        assert put.json() is True
        end = time.monotonic() + 15
        while "changed in Consul" not in browser.get(url).text:
            assert time.monotonic() < end, "the page doesn't follow a change of the key"
            time.sleep(0.1)

    # The certificate is good for the name in Consul as well.
    port = int(url.rsplit(":", 1)[1])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        trusting(ca).wrap_socket(plain, server_hostname="by-hand--web.service.consul") as secured,
    ):
        assert secured.version() == "TLSv1.3"

    gone = calvinverse(service, "env", "destroy", "by-hand", "--yes")
    assert gone.returncode == 0, gone.stderr
    left = taker.left_since(before)
    assert left == {}, describe(left)


def test_deadline_of_twenty_seconds(service: ServiceProcess, taker: Taker) -> None:
    before = taker.take()
    accepted = service.client.create(CreateRequest(name="short", template="web", ttl="20s"))
    deadline = accepted.environment.deadline
    assert deadline is not None
    # A busy machine may take longer than that to make it.
    assert service.wait_for("short", State.READY, *ENDING, State.FAILED).state is not State.FAILED
    environment = service.wait_for("short", *ENDING)
    begun = environment.state_since
    if environment.state is State.DESTROYED:
        begun = next(event.at for event in service.client.history("short") if "being destroyed" in event.message)
    assert 0 <= (begun - deadline).total_seconds() < 20
    service.wait_for("short", State.DESTROYED)
    left = taker.left_since(before)
    assert left == {}, describe(left)


def test_deadline_that_passed_while_the_service_was_down(service: ServiceProcess, taker: Taker) -> None:
    before = taker.take()
    service.client.create(CreateRequest(name="asleep", template="web", ttl="1h"))
    service.wait_for("asleep", State.READY)
    moved = service.client.extend("asleep", ExtendRequest(ttl="2s"))
    service.stop()
    assert moved.deadline is not None
    time.sleep(max(0.0, (moved.deadline - datetime.now(UTC)).total_seconds()) + 0.5)
    service.start()
    service.wait_for("asleep", State.DESTROYED)
    left = taker.left_since(before)
    assert left == {}, describe(left)


def test_by_tui(service: ServiceProcess, taker: Taker) -> None:
    before = taker.take()
    context = Context(address=service.address, token_file=service.state / "service" / "token")
    app = CalvinverseApp(
        lambda: connect(context), clock=Clock(utc_now, UTC), make_key=lambda: "tui-test", animate=False
    )

    async def until(true: Any, what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"waited for {what}"
            await asyncio.sleep(0.05)

    async def script() -> None:
        async with app.run_test(size=(110, 45)) as pilot:
            await until(lambda: app.connection.here, "the service")
            await pilot.press("c")
            await until(lambda: isinstance(app.screen, CreateScreen), "the form")
            await until(lambda: "template" in fields(app), "the choice of a template")
            choice = fields(app)["template"].query_one(Select)
            choice.value = next(number for number, name in enumerate(SHIPPED) if name == "web")
            await until(lambda: "parameter.message" in fields(app), "the template's fields")
            for key, text in (("name", "by-tui"), ("parameter.message", "typed"), ("lifetime", "1h")):
                fields(app)[key].query_one(Input).value = text
            await pilot.press("ctrl+s")
            await until(lambda: any(view.name == "by-tui" for view in app.living()), "the environment")
            await until(lambda: state(app, "by-tui") is State.READY, "ready")
            await pilot.pause()

    asyncio.run(script())
    url = service.client.outputs("by-tui")["url"].value
    assert "typed" in httpx2.get(url, verify=trusting(service.client.ca()), trust_env=False, timeout=60).text
    service.client.destroy("by-tui")
    service.wait_for("by-tui", State.DESTROYED)
    left = taker.left_since(before)
    assert left == {}, describe(left)


def fields(app: CalvinverseApp) -> dict[str, FormField]:
    """The form's fields by key."""
    return {field.key: field for field in app.screen.query(FormField)}


def state(app: CalvinverseApp, name: str) -> State | None:
    """What the TUI knows of an environment."""
    return next((view.state for view in app.living() if view.name == name), None)


def test_an_orderly_stop_in_mid_create_goes_on(service: ServiceProcess, tmp_path: Path) -> None:
    service.client.create(CreateRequest(name="upgraded", template="web"))
    service.wait_for("upgraded", State.DEPLOYING)
    service.stop()
    service.start()
    assert service.wait_for("upgraded", State.READY, State.FAILED).state is State.READY
    service.client.destroy("upgraded")
    service.wait_for("upgraded", State.DESTROYED)
