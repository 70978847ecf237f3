"""What `registry` is for: it keeps images, hands them out and forgets them, as its user."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

LIMIT = 10.0
DATA = "/var/lib/registry"

# Runs in the container, where starting a program is what takes time: makes all requests of a list (method, path, body,
# headers) one after the other. A path `+…` goes on where the answer before pointed to, with what follows as its query.
CALLS = """
import http.client, json, sys
connection = http.client.HTTPConnection("127.0.0.1", 5000, timeout=5)
answers = []
for method, path, body, headers in json.load(sys.stdin):
    if path.startswith("+"):
        location = answers[-1]["headers"]["Location"].removeprefix("http://127.0.0.1:5000")
        path = location + ("&" if "?" in location else "?") + path[1:]
    connection.request(method, path, body.encode(), headers)
    answer = connection.getresponse()
    found = {"status": answer.status, "headers": dict(answer.headers), "body": answer.read().decode()}
    answers.append(found)
print(json.dumps(answers))
"""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

Request = tuple[str, str, str, dict[str, str]]


def get(path: str, method: str = "GET") -> Request:
    """A request without a body."""
    return method, path, "", {"Accept": MANIFEST}


def put(path: str, body: str, kind: str = "application/octet-stream") -> Request:
    """A request that puts something."""
    return "PUT", path, body, {"Content-Type": kind}


def push(repository: str, content: str) -> tuple[Request, Request]:
    """The two requests that push a blob."""
    return get(f"/v2/{repository}/blobs/uploads/", "POST"), put(f"+digest={digest(content)}", content)


def digest(content: str) -> str:
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def calls(host: Host, *requests: Request) -> list[dict[str, Any]]:
    """The registry's answers: status, headers, body of each."""
    done = host.run("echo %s | python3 -c %s", json.dumps(requests), CALLS)
    assert done.succeeded, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module", autouse=True)
def listens(host: Host, health: Callable[[], CommandResult]) -> None:
    """The registry, once it is healthy."""
    deadline = time.monotonic() + LIMIT
    while (told := health()).failed and time.monotonic() < deadline:
        time.sleep(0.1)
    assert told.succeeded, told.stderr


def test_it_runs_as_its_user(host: Host) -> None:
    running = host.check_output("cat /proc/1/cmdline | tr '\\0' ' '").split()
    assert running == ["/usr/bin/tini", "-s", "--", "registry", "serve", "/etc/registry/config.yml"]
    assert host.check_output("stat -c %U /proc/1 $(readlink /proc/1/cwd)").split() == ["calvinverse", "calvinverse"]


def test_a_blob_is_handed_out_until_it_is_deleted(host: Host) -> None:
    content = "a layer"
    blob = f"/v2/test/blob/blobs/{digest(content)}"
    version, begun, pushed, found, deleted, gone = calls(
        host, get("/v2/"), *push("test/blob", content), get(blob), get(blob, "DELETE"), get(blob)
    )
    assert [answer["status"] for answer in (version, begun, pushed)] == [200, 202, 201]
    assert (found["status"], found["body"]) == (200, content)
    assert found["headers"]["Docker-Content-Digest"] == digest(content)
    assert (deleted["status"], gone["status"]) == (202, 404)


def test_an_image_is_found_by_tag_and_by_digest_until_it_is_deleted(host: Host) -> None:
    layer, config = "another layer", "{}"
    described = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)}],
    }
    manifest = json.dumps(described)
    image = f"/v2/test/image/manifests/{digest(manifest)}"
    *_, pushed, by_tag, by_digest, tags, deleted, gone = calls(
        host,
        *push("test/image", layer),
        *push("test/image", config),
        put("/v2/test/image/manifests/one", manifest, MANIFEST),
        get("/v2/test/image/manifests/one"),
        get(image),
        get("/v2/test/image/tags/list"),
        get(image, "DELETE"),
        get(image),
    )
    assert pushed["status"] == 201, pushed["body"]
    assert [by_tag["body"], by_digest["body"]] == [manifest, manifest]
    assert json.loads(tags["body"])["tags"] == ["one"]
    assert (deleted["status"], gone["status"]) == (202, 404)


def test_its_data_is_for_its_user_alone(host: Host) -> None:
    assert host.check_output(f"stat -c '%U %a' {DATA}") == "calvinverse 700"
    assert host.check_output("find %s ! -user 10001", DATA) == ""


def test_it_listens_nowhere_else_and_sends_nothing_anywhere(host: Host, container: dict[str, Any]) -> None:
    listening = [line.split() for line in host.check_output("cat /proc/net/tcp").splitlines()[1:]]
    assert {fields[1] for fields in listening if fields[3] == "0A"} == {"0100007F:1388"}
    assert "OTEL_TRACES_EXPORTER=none" in container["Config"]["Env"]


def test_its_health_check_fails_where_nothing_listens(host: Host) -> None:
    told = host.run("REGISTRY_HTTP_ADDR=:5999 python3 /usr/local/lib/registry/health.py")
    assert told.rc == 1
    assert "it doesn't answer" in told.stderr
