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
    assert host.run("PATH=$PATH:/opt/calvinverse/bin; command -v pip pip3 gcc cc").stdout == ""


def test_it_reads_git_repositories_over_https_and_ssh(host: Host) -> None:
    # Nobody listens there: that is told by the helper for the protocol, which therefore is there and starts.
    for url in ("https://127.0.0.1:9/x.git", "ssh://127.0.0.1:9/x.git"):
        told = host.run("git ls-remote %s", url)
        assert told.failed
        assert "refused" in told.stderr or "connect" in told.stderr, told.stderr


def test_opentofu_applies_a_module_with_the_providers_that_are_there(host: Host) -> None:
    """Nothing is fetched: the container has no network that leads anywhere."""
    folder = host.check_output("mktemp -d")
    mirror = host.check_output("echo $CALVINVERSE_PROVIDERS")
    settings = f'provider_installation {{ filesystem_mirror {{ path = "{mirror}" }} }}'
    module = """
terraform {
  required_providers {
    restapi = { source = "Mastercard/restapi" }
    time    = { source = "hashicorp/time" }
  }
}
provider "restapi" { uri = "http://127.0.0.1:1" }
resource "time_static" "now" {}
output "year" { value = time_static.now.year }
"""
    host.check_output("printf %%s %s > %s/main.tf", module, folder)
    host.check_output("printf %%s %s > %s/rc", settings, folder)
    tofu = f"cd {folder} && export HOME={folder} TF_CLI_CONFIG_FILE={folder}/rc CHECKPOINT_DISABLE=1 && tofu"
    host.check_output(f"{tofu} init -input=false -no-color")
    host.check_output(f"{tofu} apply -input=false -no-color -auto-approve")
    assert int(host.check_output(f"{tofu} output -raw year")) > 2000
    assert host.check_output("find %s -type f ! -perm 755", mirror) == ""
    assert host.check_output("find %s ! -user 0", mirror) == ""
    host.check_output("rm -r %s", folder)
