"""What `base` is for: Python, certificates, an init and time zones, at few packages."""

import json
from collections.abc import Callable

from testinfra.backend.base import CommandResult
from testinfra.host import Host


def test_it_has_the_python_of_debian_12(host: Host) -> None:
    assert host.check_output("python3 --version").startswith("Python 3.11.")
    assert host.check_output("cat /etc/debian_version").startswith("12.")


def test_python_speaks_tls_with_the_certificates_of_the_system(host: Host) -> None:
    program = "import json, ssl; print(json.dumps(ssl.create_default_context().cert_store_stats()))"
    assert json.loads(host.check_output("python3 -c %s", program))["x509_ca"] > 100


def test_it_knows_time_zones(host: Host) -> None:
    program = "from zoneinfo import ZoneInfo; print(ZoneInfo('Europe/Amsterdam').key)"
    assert host.check_output("python3 -c %s", program) == "Europe/Amsterdam"


def test_its_init_reaps_and_forwards(host: Host) -> None:
    assert host.run("/usr/bin/tini -s -- sh -c 'exit 3'").rc == 3


def test_it_keeps_licences_and_no_manuals(host: Host) -> None:
    assert host.run("test -s /usr/share/doc/python3/copyright").succeeded
    assert host.check_output("find /usr/share/man /usr/share/locale -type f 2>/dev/null | head -n 5") == ""


def test_its_users_folder_is_private_and_empty(host: Host) -> None:
    assert host.check_output("stat -c '%U %a' /var/lib/calvinverse") == "calvinverse 700"
    assert host.check_output("find /var/lib/calvinverse -mindepth 1") == ""


def test_its_health_check_runs_its_python(health: Callable[[], CommandResult]) -> None:
    assert health().succeeded
