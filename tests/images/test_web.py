"""What `web` is for: a page over TLS with its message, proof of its secret, a certificate that can be renewed."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.support.web_image import make_certificate

SECRET = "correct horse battery staple"
MESSAGE = '<b>hello</b> & "welcome"'
LIMIT = 10.0

FETCH = """
import json, ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/tmp/web.pem")
for path in sys.argv[1:]:
    try:
        answer = urllib.request.urlopen("https://localhost:8443" + path, context=context, timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    found = {"status": answer.status, "type": answer.headers["Content-Type"], "body": answer.read().decode()}
    print(json.dumps(found))
"""

# Starts a second one, tells it to stop, and says how many milliseconds that took.
STOP = """
python3 -m app >/tmp/second.log 2>&1 & process=$!
until grep -q listening /tmp/second.log; do sleep 0.05; done
began=$(date +%s%3N)
kill -TERM $process
wait $process
echo $(($(date +%s%3N) - began))
"""

SERIAL = """
import socket, ssl
context = ssl.create_default_context(cafile="/tmp/web.pem")
with context.wrap_socket(socket.create_connection(("127.0.0.1", 8443), 5), server_hostname="localhost") as connection:
    print(int(connection.getpeercert()["serialNumber"], 16))
"""


def write(host: Host, path: str, content: str) -> None:
    """Puts a file into the container whole, as a template of the orchestrator would."""
    encoded = base64.b64encode(content.encode()).decode()
    host.check_output("echo %s | base64 -d > %s.new && mv %s.new %s", encoded, path, path, path)


def fetch_all(host: Host, *paths: str) -> list[dict[str, str | int]]:
    """The service's answers, verified against its certificate; waits until the service listens."""
    deadline = time.monotonic() + LIMIT
    form = "python3 -c %s" + " %s" * len(paths)
    while (done := host.run(form, FETCH, *paths)).failed and time.monotonic() < deadline:
        time.sleep(0.1)
    assert done.succeeded, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def fetch(host: Host, path: str) -> dict[str, str | int]:
    """One answer of the service."""
    return fetch_all(host, path)[0]


@pytest.fixture(scope="module", autouse=True)
def served(host: Host, health: Callable[[], CommandResult]) -> None:
    """The service with what it waits for: until then it runs but doesn't listen, and is not healthy."""
    assert health().rc == 1
    write(host, "/tmp/web.pem", make_certificate()[1])
    assert fetch(host, "/health") == {
        "status": 503,
        "type": "text/plain; charset=utf-8",
        "body": "the message is missing\n",
    }
    write(host, "/tmp/message", MESSAGE)
    assert fetch(host, "/health")["body"] == "the secret is missing\n"
    told = health()
    assert (told.rc, told.stdout) == (1, "the secret is missing\n")
    write(host, "/tmp/secret", SECRET + "\n")


def test_it_runs_its_service_as_its_user(host: Host) -> None:
    running = host.check_output("cat /proc/1/cmdline | tr '\\0' ' '").split()
    assert running[0] == "/usr/bin/tini"
    assert running[-3:] == ["python3", "-m", "app"]


def test_it_is_healthy_once_it_has_everything(host: Host) -> None:
    assert fetch(host, "/health") == {"status": 200, "type": "text/plain; charset=utf-8", "body": "ok\n"}


def test_its_health_check_says_so_too(health: Callable[[], CommandResult]) -> None:
    told = health()
    assert (told.rc, told.stdout) == (0, "ok\n")


def test_the_page_shows_the_message_escaped(host: Host) -> None:
    page = str(fetch(host, "/")["body"])
    assert "&lt;b&gt;hello&lt;/b&gt; &amp; &quot;welcome&quot;" in page
    assert MESSAGE not in page
    assert "validation" in page


def test_the_page_follows_a_change_of_the_message(host: Host) -> None:
    write(host, "/tmp/message", "another")
    page, state = fetch_all(host, "/", "/api")
    assert "<h1>another</h1>" in str(page["body"])
    assert json.loads(str(state["body"]))["message"] == "another"


def test_it_proves_that_it_has_its_secret(host: Host) -> None:
    expected = hmac.new(SECRET.encode(), b"n-42", hashlib.sha256).hexdigest()
    proof, refused = fetch_all(host, "/proof?nonce=n-42", "/proof")
    assert proof["body"] == expected + "\n"
    assert refused["status"] == 400


def test_it_never_shows_its_secret(host: Host) -> None:
    shown = fetch_all(host, "/", "/api", "/health", "/proof?nonce=1", "/nothing")
    assert not any(SECRET in str(answer["body"]) for answer in shown)


def test_a_renewed_certificate_is_used_without_a_restart(host: Host, health: Callable[[], CommandResult]) -> None:
    serial, renewed = make_certificate()
    write(host, "/tmp/web.pem", renewed)
    assert int(host.check_output("python3 -c %s", SERIAL)) == serial
    assert health().succeeded


def test_it_stops_at_once_when_told_to(host: Host) -> None:
    milliseconds = host.check_output("WEB_PORT=8444 timeout 10 sh -c %s", STOP)
    assert int(milliseconds) < 2000
    assert "stopped" in host.check_output("cat /tmp/second.log")
