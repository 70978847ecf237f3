"""What `edge` is for: it answers for its name with its certificate, reads that again when told, and stops when told."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.support.authorities import MadeAuthority, make_authority

LIMIT = 30.0
NAME = "calvinverse.localhost"

# A service behind the edge; it answers with the headers that it got.
SERVICE = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.ThreadingHTTPServer(("127.0.0.1", 8400), Handler).serve_forever()
"""

# Asks the edge for the name of its address; prints the certificate (hex) and the body.
ASK = """
import http.client, json, socket, ssl
context = ssl.create_default_context(cafile="/tmp/authority.pem")
connection = http.client.HTTPSConnection("127.0.0.1", 8443, timeout=5, context=context)
plain = socket.create_connection(("127.0.0.1", 8443), timeout=5)
connection.sock = context.wrap_socket(plain, server_hostname="calvinverse.localhost")
shown = connection.sock.getpeercert(binary_form=True).hex()
connection.request("GET", "/", headers={"Host": "calvinverse.localhost", "Calvinverse-Client": "192.0.2.1"})
answer = connection.getresponse()
print(json.dumps([shown, answer.status, answer.read().decode()]))
"""


def put(host: Host, path: str, text: str) -> None:
    """Writes a file in the container, in one step."""
    host.check_output("printf %%s %s > %s.new && mv %s.new %s", text, path, path, path)


def begin(host: Host, command: str, variables: dict[str, str] | None = None) -> None:
    """Starts something in the container that goes on."""
    settings = [f"--env={name}={value}" for name, value in (variables or {}).items()]
    line = ["docker", "exec", "--detach", *settings, host.backend.name, "sh", "-c", command]
    subprocess.run(line, check=True, capture_output=True, timeout=LIMIT)


def until(true: Callable[[], bool], host: Host) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < deadline, host.check_output("cat /tmp/log 2>/dev/null || true")
        time.sleep(0.1)


VARIABLES = {
    "EDGE_LISTEN": "0.0.0.0:8443",
    "EDGE_CERTIFICATE_FILE": "/tmp/edge.pem",
    "EDGE_SECRET_FILE": "/tmp/secret",
}


@pytest.fixture(scope="module")
def authority() -> MadeAuthority:
    return make_authority()


@pytest.fixture(scope="module")
def running(host: Host, authority: MadeAuthority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for certificates, while the edge and a service behind it run."""
    folder = tmp_path_factory.mktemp("edge")
    authority.sign(folder / "edge.pem", NAME)
    put(host, "/tmp/authority.pem", authority.pem)
    put(host, "/tmp/edge.pem", (folder / "edge.pem").read_text())
    put(host, "/tmp/secret", "a secret")
    put(host, "/tmp/service.py", SERVICE)
    put(host, "/tmp/ask.py", ASK)
    begin(host, "exec python3 /tmp/service.py > /tmp/service.log 2>&1")
    begin(host, "python3 -m app > /tmp/log 2>&1; echo $? > /tmp/ended", VARIABLES)
    until(lambda: health(host).succeeded, host)
    return folder


def health(host: Host, **changes: str) -> CommandResult:
    """The image's own health check, with the variables of what runs."""
    settings = " ".join(f"{name}={value}" for name, value in (VARIABLES | changes).items())
    return host.run(f"{settings} python3 -m app.health")


def ask(host: Host) -> tuple[str, int, str]:
    """The certificate that is shown, and status and body of an answer."""
    done = host.run("python3 /tmp/ask.py")
    assert done.succeeded, done.stderr
    shown, status, body = json.loads(done.stdout)
    return shown, status, body


def test_what_runs_by_itself_is_the_edge(image: dict[str, Any]) -> None:
    config = image["Config"]
    assert [*config["Entrypoint"], *config["Cmd"]] == ["/usr/bin/tini", "-s", "--", "python3", "-m", "app"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "app.health"]


def test_a_request_reaches_the_service(host: Host, running: Path) -> None:
    _, status, body = ask(host)
    assert status == 200
    headers = json.loads(body)
    assert headers["Calvinverse-Client"] == "127.0.0.1"
    assert headers["Calvinverse-Edge"] == "a secret"


def test_it_reads_its_certificate_again(host: Host, running: Path, authority: MadeAuthority) -> None:
    before, _, _ = ask(host)
    authority.sign(running / "edge.pem", NAME)
    put(host, "/tmp/edge.pem", (running / "edge.pem").read_text())
    host.check_output(signal_line("HUP"))
    until(lambda: ask(host)[0] != before, host)


def signal_line(name: str) -> str:
    """Sends a signal to the edge, without a tool that the image lacks."""
    return (
        "for p in /proc/[0-9]*; do "
        "[ \"$(tr '\\0' ' ' < $p/cmdline 2>/dev/null)\" != 'python3 -m app ' ] || kill -" + name + " ${p#/proc/}; done"
    )


def test_its_user_owns_its_folder_and_it_writes_nowhere_else(host: Host, running: Path) -> None:
    assert host.check_output("stat -c '%U %a' /var/lib/edge") == "edge 700"
    assert host.check_output("stat -c '%F %a' /var/lib/edge/admin.sock") == "socket 600"
    own = (
        "-not -path '/proc/*' -not -path '/sys/*' -not -path '/dev/*' -not -path '/tmp/*' -not -path '/var/lib/edge/*'"
    )
    assert host.check_output(f"find / -xdev -newer /tmp/ask.py -type f {own} 2>/dev/null | head -n 5") == ""


def test_its_health_check_fails_where_nothing_listens(host: Host, running: Path) -> None:
    told = health(host, EDGE_LISTEN="0.0.0.0:9443")
    assert told.rc == 1
    assert "it doesn't answer" in told.stdout


def test_its_health_check_fails_for_another_certificate(host: Host, running: Path, tmp_path: Path) -> None:
    make_authority().sign(tmp_path / "another.pem", NAME)
    put(host, "/tmp/another.pem", (tmp_path / "another.pem").read_text())
    assert health(host, EDGE_CERTIFICATE_FILE="/tmp/another.pem").rc == 1


def test_wrong_settings_are_named(host: Host) -> None:
    told = host.run("EDGE_LISTEN=8443 python3 -m app")
    assert told.rc == 2
    assert told.stderr.startswith("edge: EDGE_LISTEN is '8443'")
    told = host.run("EDGE_CERTIFICATE_FILE=/nowhere EDGE_SECRET_FILE=/nowhere python3 -m app")
    assert told.rc == 1
    assert told.stderr == "edge: /nowhere can't be read.\n"


def test_it_stops_when_it_is_told(host: Host, running: Path) -> None:
    host.check_output(signal_line("TERM"))
    until(lambda: host.run("test -s /tmp/ended").succeeded, host)
    assert host.check_output("cat /tmp/ended") == "0"
    assert host.run("cat /proc/[0-9]*/comm 2>/dev/null | grep -qx caddy").failed
