"""What `web` is for: a page over TLS with its message, proof of its secret, a certificate that can be renewed."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testinfra.host import Host

SECRET = "correct horse battery staple"
MESSAGE = '<b>hello</b> & "welcome"'
LIMIT = 10.0

FETCH = """
import json, ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/tmp/web.pem")
try:
    answer = urllib.request.urlopen("https://localhost:8443" + sys.argv[1], context=context, timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps({"status": answer.status, "type": answer.headers["Content-Type"], "body": answer.read().decode()}))
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


def certificate() -> tuple[int, str]:
    """A self-made certificate for localhost with its key, as PEM, and its serial number."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    serial = x509.random_serial_number()
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return serial, made.public_bytes(serialization.Encoding.PEM).decode() + private.decode()


def fetch(host: Host, path: str) -> dict[str, str | int]:
    """The service's answer, verified against its certificate; waits until the service listens."""
    deadline = time.monotonic() + LIMIT
    while (done := host.run("python3 -c %s %s", FETCH, path)).failed and time.monotonic() < deadline:
        time.sleep(0.1)
    assert done.succeeded, done.stderr
    answer: dict[str, str | int] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module", autouse=True)
def served(host: Host) -> None:
    """The service with what it waits for: until then it runs but doesn't listen."""
    write(host, "/tmp/web.pem", certificate()[1])
    assert fetch(host, "/health") == {
        "status": 503,
        "type": "text/plain; charset=utf-8",
        "body": "the message is missing\n",
    }
    write(host, "/tmp/message", MESSAGE)
    assert fetch(host, "/health")["body"] == "the secret is missing\n"
    write(host, "/tmp/secret", SECRET + "\n")


def test_it_runs_its_service_as_its_user(host: Host) -> None:
    running = host.check_output("cat /proc/1/cmdline | tr '\\0' ' '").split()
    assert running[0] == "/usr/bin/tini"
    assert running[-3:] == ["python3", "-m", "app"]


def test_it_is_healthy_once_it_has_everything(host: Host) -> None:
    assert fetch(host, "/health") == {"status": 200, "type": "text/plain; charset=utf-8", "body": "ok\n"}


def test_the_page_shows_the_message_escaped(host: Host) -> None:
    page = str(fetch(host, "/")["body"])
    assert "&lt;b&gt;hello&lt;/b&gt; &amp; &quot;welcome&quot;" in page
    assert MESSAGE not in page
    assert "validation" in page


def test_the_page_follows_a_change_of_the_message(host: Host) -> None:
    write(host, "/tmp/message", "another")
    assert "<h1>another</h1>" in str(fetch(host, "/")["body"])
    assert json.loads(str(fetch(host, "/api")["body"]))["message"] == "another"


def test_it_proves_that_it_has_its_secret(host: Host) -> None:
    expected = hmac.new(SECRET.encode(), b"n-42", hashlib.sha256).hexdigest()
    assert fetch(host, "/proof?nonce=n-42")["body"] == expected + "\n"
    assert fetch(host, "/proof")["status"] == 400


def test_it_never_shows_its_secret(host: Host) -> None:
    shown = [str(fetch(host, path)["body"]) for path in ("/", "/api", "/health", "/proof?nonce=1", "/nothing")]
    assert not any(SECRET in body for body in shown)


def test_a_renewed_certificate_is_used_without_a_restart(host: Host) -> None:
    serial, renewed = certificate()
    write(host, "/tmp/web.pem", renewed)
    assert int(host.check_output("python3 -c %s", SERIAL)) == serial


def test_it_stops_at_once_when_told_to(host: Host) -> None:
    start = "WEB_PORT=8444 WEB_ADDRESS=127.0.0.1 python3 -m app 2>/tmp/second.log & echo $!"
    process = host.check_output(start)
    deadline = time.monotonic() + LIMIT
    while "listening" not in host.file("/tmp/second.log").content_string and time.monotonic() < deadline:
        time.sleep(0.1)
    started = time.monotonic()
    host.check_output("kill -TERM %s && while kill -0 %s 2>/dev/null; do sleep 0.05; done", process, process)
    assert time.monotonic() - started < 2.0
    assert "stopped" in host.file("/tmp/second.log").content_string
