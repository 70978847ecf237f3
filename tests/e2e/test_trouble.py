"""What goes wrong gets a sentence, a hint, a stable code and an exit status; and nothing is lost."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from environments.domain.errors import CalvinverseError, InvalidTemplate
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.wire.environments import CreateRequest
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker, describe
from tests.support.part_client import part_client
from tests.support.service_process import ServiceProcess

WEB = Path(__file__).parents[2] / "environments" / "templates" / "web"


def serve(state: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A service that is expected to end by itself."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "environments", "serve", *options],
        env={**kept, "CALVINVERSE_STATE": str(state), **variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def check(done: subprocess.CompletedProcess[str], code: str, status: int) -> None:
    """One sentence, a hint, the code, the exit status, and no traceback."""
    assert done.returncode == status, done.stderr
    assert f"[{code}]" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check(serve(tmp_path, "--port", str(taken.getsockname()[1])), "port_taken", 9)


def test_an_address_beyond_loopback_without_tls(tmp_path: Path) -> None:
    check(serve(tmp_path, "--port", "0", "--host", "0.0.0.0"), "unsafe_address", 2)  # noqa: S104 - that it's refused


def test_a_second_service_on_the_same_database(tmp_path: Path) -> None:
    first = ServiceProcess(tmp_path / "state").start()
    check(serve(tmp_path / "state", "--port", "0"), "database_in_use", 8)
    first.client.info()
    first.stop()


def test_a_damaged_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "service" / "calvinverse.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"not a database, but somebody's" * 100)
    check(serve(tmp_path, "--port", "0"), "database_corrupt", 8)
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path).start()
    service.stop()
    with sqlite3.connect(tmp_path / "service" / "calvinverse.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    check(serve(tmp_path, "--port", "0"), "database_from_future", 8)


def test_requests_that_can_not_be_carried_out(service: ServiceProcess) -> None:
    client = service.client
    refused: list[tuple[CreateRequest, str]] = [
        (CreateRequest(name="one", template="nothing"), "unknown_template"),
        (CreateRequest(name="one", template="web", parameters={"replicas": "many"}), "invalid_parameters"),
        (CreateRequest(name="one", template="web", parameters={"replicas": 21}), "invalid_parameters"),
        (CreateRequest(name="one", template="web", parameters={"colour": "red"}), "invalid_parameters"),
        (CreateRequest(name="One!", template="web"), "invalid_name"),
        (CreateRequest(name="a--b", template="web"), "invalid_name"),
        (CreateRequest(name="x" * 41, template="web"), "invalid_name"),
        (CreateRequest(name="meta", template="web"), "invalid_name"),
        (CreateRequest(name="one", template="web", ttl="30d"), "invalid_lifetime"),
        (CreateRequest(name="one", template="web", ttl="soon"), "invalid_lifetime"),
    ]
    for request, code in refused:
        with pytest.raises(CalvinverseError) as error:
            client.create(request)
        assert (error.value.code, bool(error.value.hint)) == (code, True)
    assert client.environments() == []


def web(change: Callable[[dict[str, bytes]], None]) -> dict[str, bytes]:
    """The files of `web`, changed."""
    files = {path.name: path.read_bytes() for path in WEB.iterdir() if path.is_file()}
    change(files)
    return files


def replaced(file: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    """A change of one file."""

    def change(files: dict[str, bytes]) -> None:
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)

    return change


def test_templates_that_do_not_hold_together(service: ServiceProcess) -> None:
    faults = {
        "cycle": (b'name = "settings"\n', b'name = "settings"\nneeds = ["app"]\n'),
        "which is no step kind": (b'"consul.kv"', b'"consul.vk"'),
        "which is no step": (b'needs = ["app"]', b'needs = ["apple"]'),
    }
    for words, (old, new) in faults.items():
        with pytest.raises(InvalidTemplate) as error:
            service.client.push(make_bundle(web(replaced("template.toml", old, new))))
        assert words in error.value.message


def test_jobs_that_are_refused(service: ServiceProcess, taker: Taker) -> None:
    before = taker.take()
    job = b'job "web" {'
    faults = {
        "nonsense": (job, b'job "web" {\n  nonsense = true'),
        "namespace": (job, b'job "web" {\n  namespace = "default-of-somebody"'),
        "role": (b"vault {}", b'vault {\n        role = "calvinverse-manager"\n      }'),
        "Nomad refuses the job: job priority must be between": (job, b'job "web" {\n  priority = 500'),
        "Nomad can't read the job file: Error in function call": (job, b'job "web" {\n  priority = length(5)'),
    }
    for words, (old, new) in faults.items():
        with pytest.raises(InvalidTemplate) as error:
            service.client.push(make_bundle(web(replaced("web.nomad.hcl", old, new))))
        assert words in error.value.message

    # It is the parameter that is wrong here, so only a create can tell.
    service.client.push(make_bundle(web(replaced("web.nomad.hcl", job, job + b"\n  priority = var.replicas * 50"))))
    service.client.create(CreateRequest(name="refused", template="web", parameters={"replicas": 3}))
    environment = service.wait_for("refused", State.FAILED, State.READY)
    assert environment.failure is not None
    assert environment.failure.code == "invalid_job"
    assert "priority" in environment.failure.message
    service.client.destroy("refused")
    service.wait_for("refused", State.DESTROYED)
    left = taker.left_since(before)
    assert left == {}, describe(left)


def test_what_is_not_ours_is_neither_taken_nor_destroyed(service: ServiceProcess, cluster: Cluster) -> None:
    key = "/v1/kv/environments/theirs/message"
    with contextlib.ExitStack() as stack:
        consul = stack.enter_context(part_client(cluster.connections, "consul", timeout=60))
        consul.put(key, content=b"do not touch")
        stack.callback(consul.delete, key)
        service.client.create(CreateRequest(name="theirs", template="web"))
        environment = service.wait_for("theirs", State.FAILED, State.READY)
        assert environment.failure is not None
        assert environment.failure.code == "foreign_resource"
        service.client.destroy("theirs")
        service.wait_for("theirs", State.DESTROYED)
        assert consul.get(f"{key}?raw").content == b"do not touch"


@pytest.mark.parametrize("agent", ["consul", "openbao", "nomad"])
def test_a_part_that_dies_in_the_middle_comes_back_and_it_goes_on(
    service: ServiceProcess, cluster: Cluster, taker: Taker, agent: str
) -> None:
    before = taker.take()
    service.client.create(CreateRequest(name="shaken", template="web"))
    service.wait_for("shaken", State.DEPLOYING)
    kill_agent(cluster, agent)
    environment = service.wait_for("shaken", State.READY, State.FAILED, seconds=90)
    if environment.state is State.FAILED:  # it was away for longer than patience lasts: a person tries again
        assert environment.failure is not None
        assert environment.failure.hint
        service.client.retry("shaken")
        environment = service.wait_for("shaken", State.READY, seconds=120)
    assert taker.duplicates("shaken") == []
    service.client.destroy("shaken")
    service.wait_for("shaken", State.DESTROYED, seconds=120)
    left = taker.left_since(before)
    left.pop("consul tokens", None)  # Nomad's own logins after a restart of an agent are none of the environment's
    assert left == {}, describe(left)


def kill_agent(cluster: Cluster, agent: str) -> None:
    """SIGKILL to an agent of this very cluster; supervisor starts it again."""
    name = {"openbao": b"server", "consul": b"agent", "nomad": b"agent"}[agent]
    folder = str(cluster.state / "agents" / agent).encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if len(command) > 1 and command[1] == name and any(part.startswith(folder) for part in command):
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise AssertionError(f"no {agent} runs")


def test_a_request_without_a_token(service: ServiceProcess) -> None:
    answer = httpx2.get(f"{service.address}/v1/environments", timeout=60)
    assert answer.status_code == 401
    assert json.loads(answer.content)["code"] == "unauthenticated"
    assert httpx2.get(f"{service.address}/self/liveness", timeout=60).status_code == 200
