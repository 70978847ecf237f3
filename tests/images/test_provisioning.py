"""What `provisioning` is for: it runs the service as its user, and keeps its data in one folder."""

import json
import time
from collections.abc import Callable
from typing import Any

from testinfra.backend.base import CommandResult
from testinfra.host import Host

LIMIT = 30.0
DATA = "/var/lib/calvinverse"

LARGEST = 350 * 1024 * 1024
"""Bytes that the image may take, its parent included: nodes fetch it before they can run the service."""

IMPORT_ALL = """
import importlib, json, pkgutil, environments
missing = {}
for module in pkgutil.walk_packages(environments.__path__, "environments."):
    if not module.name.endswith("__main__") and ".migrations." not in module.name:
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing[module.name] = error.name
print(json.dumps(missing))
"""

GIT = """
set -eu
cd "$(mktemp -d)"
git init --quiet --initial-branch=main source
cd source
echo hello >file
git add file
git -c user.name=n -c user.email=e@example.org commit --quiet --message=first
cd ..
git init --quiet --bare --initial-branch=none --template= copy
git -C copy ls-remote --quiet "file://$PWD/source" HEAD >refs
git -C copy fetch --quiet --depth=1 --no-tags --no-write-fetch-head "file://$PWD/source" +refs/heads/main:refs/it
git -C copy ls-tree -r -z --long --full-tree refs/it: >tree
echo refs/it:file | git -C copy cat-file --batch | grep -x hello
rm -rf "$PWD"
"""

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


def test_it_is_no_larger_than_it_may_be(image: dict[str, Any]) -> None:
    size = image["Size"] / 1024 / 1024
    assert image["Size"] <= LARGEST, f"{size:.1f} MiB; `doit bench:sizes` says of what"


def test_it_has_what_the_service_imports_and_no_terminal_ui(host: Host) -> None:
    missing: dict[str, str] = json.loads(host.check_output("/opt/calvinverse/bin/python -c %s", IMPORT_ALL))
    assert {package.split(".")[0] for package in missing.values()} <= {"images", "jobs"}, missing
    for package in ("tui", "textual", "rich"):
        assert host.run("/opt/calvinverse/bin/python -c 'import %s'", package).failed


def test_it_says_that_it_has_no_terminal_ui(host: Host) -> None:
    told = host.run("calvinverse tui")
    assert told.rc == 9
    assert told.stderr.startswith("error: The terminal UI is not installed here.")


def test_it_has_no_providers_but_those_that_modules_are_given(host: Host) -> None:
    found = host.check_output("find / -xdev -name 'terraform-provider-*' -type f 2>/dev/null; true").split()
    assert [path.rpartition("/")[2].partition("_v")[0] for path in found] == ["terraform-provider-time"]


def test_it_has_neither_perl_nor_tests_of_libraries(host: Host) -> None:
    assert not any(host.package(name).is_installed for name in ("perl", "liberror-perl", "git-man"))
    assert host.check_output("find /opt/calvinverse -type d '(' -name tests -o -name testing ')'") == ""


def test_it_holds_nothing_to_build_with(host: Host) -> None:
    assert host.run("PATH=$PATH:/opt/calvinverse/bin; command -v pip pip3 gcc cc").stdout == ""


def test_it_reads_git_repositories_over_https_and_ssh(host: Host) -> None:
    # Nobody listens there: that is told by the helper for the protocol, which therefore is there and starts.
    for url in ("https://127.0.0.1:9/x.git", "ssh://127.0.0.1:9/x.git"):
        told = host.run("git ls-remote %s", url)
        assert told.failed
        assert "refused" in told.stderr or "connect" in told.stderr, told.stderr


def test_git_does_all_that_the_service_asks_of_it(host: Host) -> None:
    assert host.check_output("sh -c %s", GIT) == "hello"


def test_opentofu_applies_a_module_with_the_providers_that_are_there(host: Host) -> None:
    """Nothing is fetched: the container has no network that leads anywhere."""
    folder = host.check_output("mktemp -d")
    mirror = host.check_output("echo $CALVINVERSE_PROVIDERS")
    settings = f'provider_installation {{ filesystem_mirror {{ path = "{mirror}" }} }}'
    module = """
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
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
