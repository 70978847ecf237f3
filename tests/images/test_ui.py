"""What `ui` is for: it serves the web page as its own user, keeps nothing, and has no more of the project than that."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.support.authorities import make_authority

LIMIT = 30.0
NAME = "ui.calvinverse.internal"

LARGEST = 160 * 1024 * 1024
"""Bytes that the image may take, its parent included."""

FETCH = """
import http.client, json, sys
connection = http.client.HTTPConnection("127.0.0.1", 8401, timeout=5)
connection.request("GET", sys.argv[1])
answer = connection.getresponse()
print(json.dumps([answer.status, dict(answer.getheaders()), answer.read().decode()]))
"""

IMPORT_ALL = """
import importlib, pkgutil, environments.ui
for module in pkgutil.walk_packages(environments.ui.__path__, "environments.ui."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def fetch(host: Host, path: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the page's answer; waits until it listens."""
    deadline = time.monotonic() + LIMIT
    while (done := host.run("python3 -c %s %s", FETCH, path)).failed and time.monotonic() < deadline:
        time.sleep(0.2)
    assert done.succeeded, done.stderr
    status, headers, body = json.loads(done.stdout)
    return status, {name.lower(): value for name, value in headers.items()}, body


def test_what_runs_by_itself_is_the_page(host: Host, image: dict[str, Any]) -> None:
    assert fetch(host, "/ui/health")[0] == 200
    config = image["Config"]
    assert config["Entrypoint"] == ["/usr/bin/tini", "-s", "--"]
    assert config["Cmd"] == ["/opt/ui/bin/python", "-m", "environments.ui"]


def test_whoever_is_not_signed_in_is_sent_to_the_service(host: Host) -> None:
    status, headers, _ = fetch(host, "/")
    assert status == 303
    assert headers["location"].startswith("/sign-in")


def test_its_health_check_agrees(host: Host, health: Callable[[], CommandResult]) -> None:
    fetch(host, "/ui/health")
    assert health().succeeded
    other = host.run("CALVINVERSE_UI_PORT=8499 /opt/ui/bin/python -I /opt/ui/health.py")
    assert other.rc == 1
    assert "it doesn't answer" in other.stderr


def test_it_has_the_files_of_others_and_imports_all_of_itself(host: Host) -> None:
    assert set(host.check_output("ls /opt/ui/assets").split()) == {"htmx.min.js", "hx-sse.min.js", "pico.min.css"}
    host.check_output("/opt/ui/bin/python -W error -c %s", IMPORT_ALL)


@pytest.mark.parametrize(
    "name", ["environments.service", "environments.stores", "environments.providers", "sqlalchemy"]
)
def test_it_has_neither_the_service_nor_what_only_that_needs(host: Host, name: str) -> None:
    assert host.run("/opt/ui/bin/python -c 'import %s'", name).failed


def test_no_program_of_others_is_in_it(host: Host) -> None:
    for program in ("node", "npm", "git", "tofu", "calvinverse", "pip"):
        assert host.run("command -v %s", program).failed


def test_it_is_no_larger_than_it_may_be(image: dict[str, Any]) -> None:
    assert image["Size"] <= LARGEST, f"{image['Size'] / 1024 / 1024:.1f} MiB; `doit bench:sizes` says of what"


def test_it_keeps_nothing(host: Host) -> None:
    fetch(host, "/ui/health")
    host.check_output("touch /tmp/before")
    fetch(host, "/environments/demo")
    own = "-not -path '/proc/*' -not -path '/sys/*' -not -path '/dev/*' -not -path '/tmp/*'"
    assert host.check_output(f"find / -xdev -newer /tmp/before -type f {own} 2>/dev/null | head -n 5") == ""


def test_it_serves_over_tls_with_its_certificate(host: Host, tmp_path: Path) -> None:
    authority = make_authority()
    authority.sign(tmp_path / "ui.pem", NAME)
    host.check_output("printf %%s %s > /tmp/ui.pem", (tmp_path / "ui.pem").read_text())
    variables = {
        "CALVINVERSE_UI_PORT": "8402",
        "CALVINVERSE_UI_CERTIFICATE_FILE": "/tmp/ui.pem",
        "CALVINVERSE_UI_KEY_FILE": "/tmp/ui.pem",
    }
    settings = [f"--env={name}={value}" for name, value in variables.items()]
    command = "exec /opt/ui/bin/python -m environments.ui >/tmp/ui.log 2>&1"
    line = ["docker", "exec", "--detach", *settings, host.backend.name, "sh", "-c", command]
    subprocess.run(line, check=True, capture_output=True, timeout=LIMIT)
    given = " ".join(f"{name}={value}" for name, value in variables.items())
    deadline = time.monotonic() + LIMIT
    while (told := host.run(f"{given} /opt/ui/bin/python -I /opt/ui/health.py")).failed:
        assert time.monotonic() < deadline, told.stderr + host.check_output("cat /tmp/ui.log")
        time.sleep(0.2)


def test_wrong_settings_are_named(host: Host) -> None:
    told = host.run("CALVINVERSE_UI_PORT=many /opt/ui/bin/python -m environments.ui")
    assert told.rc == 2
    assert "CALVINVERSE_UI_PORT" in told.stderr
    assert "Traceback" not in told.stderr
