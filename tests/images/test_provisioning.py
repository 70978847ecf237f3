"""What `provisioning` is for: it runs the service as its user, and keeps its data in one folder."""

import json
import time
from collections.abc import Callable

from testinfra.backend.base import CommandResult
from testinfra.host import Host

LIMIT = 30.0
DATA = "/var/lib/calvinverse"

FETCH = """
import json, sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen("http://127.0.0.1:8400" + sys.argv[1], timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps({"status": answer.status, "body": answer.read().decode()}))
"""


def fetch(host: Host, path: str) -> dict[str, str | int]:
    """The service's answer; waits until it listens."""
    deadline = time.monotonic() + LIMIT
    while (done := host.run("python3 -c %s %s", FETCH, path)).failed and time.monotonic() < deadline:
        time.sleep(0.2)
    assert done.succeeded, done.stderr
    answer: dict[str, str | int] = json.loads(done.stdout)
    return answer


def test_it_serves(host: Host) -> None:
    assert fetch(host, "/self/liveness")["status"] == 200
    running = host.check_output("cat /proc/1/cmdline | tr '\\0' ' '").split()
    assert running[0] == "/usr/bin/tini"
    assert running[-2:] == ["calvinverse", "serve"]


def test_it_is_ready_with_its_database(host: Host) -> None:
    assert fetch(host, "/self/readiness")["status"] == 200


def test_its_health_check_agrees(host: Host, health: Callable[[], CommandResult]) -> None:
    fetch(host, "/self/liveness")
    told = health()
    assert told.succeeded, told.stderr
    other = host.run("CALVINVERSE_PORT=8499 /opt/calvinverse/bin/python /opt/calvinverse/health.py")
    assert other.rc == 1
    assert "it doesn't answer" in other.stderr


def test_it_answers_nobody_without_a_token(host: Host) -> None:
    assert fetch(host, "/v1/environments")["status"] == 401


def test_its_data_is_for_its_user_alone(host: Host) -> None:
    fetch(host, "/self/liveness")
    assert host.check_output("find %s -type f | head -n 1", DATA) != ""
    assert host.check_output("find %s ! -user 10001", DATA) == ""
    assert host.check_output("find %s -type f -perm /077", DATA) == ""


def test_its_command_line_is_there(host: Host) -> None:
    assert host.run("calvinverse --help").rc == 0


def test_it_holds_nothing_to_build_with(host: Host) -> None:
    assert host.run("PATH=$PATH:/opt/calvinverse/bin; command -v pip pip3 gcc cc git").stdout == ""
