"""Whatever is sent to the API, as a user or as an admin: no 500, no hang, no growth."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import SECONDS
from tests.support.cluster import Cluster
from tests.support.promises import CHECKOUT
from tests.support.service_process import ServiceProcess

SHARE = 0.3
"""Of all seconds, for each of a user and an admin; the rest is for templates."""

MORE_MEMORY = 100 * 1024
"""KiB by which the service may grow: what it keeps on purpose."""

MORE_THREADS = 60
MORE_FILES = 60

CASE = CHECKOUT / "tests" / "cases" / "attack" / "notes"

LEFT_OUT = ("GET /v1/events", "DELETE /v1/tokens/{token_id}")
"""A stream without end, and what would end the token that everything is asked with."""


@dataclass(frozen=True)
class Size:
    """What the service's process takes: KiB, threads, open files."""

    memory: int
    threads: int
    files: int


class Fuzzed:
    """A service that runs, and what it takes."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        token = (service.state / "service" / "token").read_text().strip()
        self.tokens = {"admin": token}
        self.http = self.as_who("admin")
        self.tokens["user"] = self.http.post("/v1/tokens", json={"owner": "user"}).json()["secret"]

    def as_who(self, who: str) -> httpx2.Client:
        """Asks as an admin or a user."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return httpx2.Client(base_url=self.service.address, headers=headers, timeout=60, trust_env=False)

    def size(self) -> Size:
        """Measured, once nothing is going on any more."""
        folder = Path("/proc", str(self.service.pid))
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
        return Size(int(status["VmRSS"].split()[0]), int(status["Threads"]), len(list((folder / "fd").iterdir())))

    def series(self) -> list[str]:
        """The service's series, as Prometheus reads them."""
        text = self.http.get("/metrics").text
        return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def fuzzed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """A service on a real cluster, with a template and two environments."""
    service = ServiceProcess(tmp_path_factory.mktemp("fuzz") / "state", cluster.agents.site.connections_file)
    try:
        service.start()
        fuzzed = Fuzzed(service)
        files = {"template.toml": base64.b64encode((CASE / "template.toml").read_bytes()).decode()}
        assert fuzzed.http.post("/v1/templates", json={"files": files}).status_code == 200
        for who in fuzzed.tokens:
            with fuzzed.as_who(who) as person:
                body = {"name": f"fuzz-{who}", "template": "attack-notes", "ttl": "1h"}
                assert person.post("/v1/environments", json=body).status_code == 202
        yield fuzzed
        _destroy_all(fuzzed)
        fuzzed.http.close()
    finally:
        service.stop()


def _destroy_all(fuzzed: Fuzzed) -> None:
    """The cluster is for other tests too."""
    end = time.monotonic() + 120
    while left := fuzzed.http.get("/v1/environments").json():
        for view in left:
            if view["state"] not in ("destroying", "destroyed") and view["managed_by"] is None:
                fuzzed.http.post(f"/v1/environments/{view['id']}/destroy")
        if all(view["managed_by"] for view in left):
            return
        assert time.monotonic() < end, [(view["name"], view["state"], view["failure"]) for view in left]
        time.sleep(0.5)


def reaching(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with names that lead somewhere: without them nearly everything would end at `not found`."""
    known = {"enum": ["fuzz-user", "fuzz-admin", "fuzz-new-1", "fuzz-new-2"]}
    for path, methods in schema["paths"].items():
        if path.startswith("/v1/environments/{name}"):
            for operation in methods.values():
                for parameter in operation.get("parameters", []):
                    if parameter["name"] == "name":
                        parameter["schema"] = {"anyOf": [known, {"type": "string"}]}
    created = schema["components"]["schemas"]["CreateRequest"]["properties"]
    created["template"] = {"anyOf": [{"enum": ["attack-notes"]}, {"type": "string"}]}
    created["name"] = {"anyOf": [{"enum": ["fuzz-new-1", "fuzz-new-2"]}, {"type": "string"}]}
    return schema


def schemathesis(fuzzed: Fuzzed, who: str, seconds: float, folder: Path) -> str:
    """Lets it ask for so long; what it said. In a process of its own, whose warnings are not ours."""
    schema = folder / "openapi.json"
    schema.write_text(json.dumps(reaching(fuzzed.http.get("/openapi.json").json())))
    command = [str(Path(sys.executable).parent / "st"), "run", str(schema), "--url", fuzzed.service.address]
    command += ["--header", f"Authorization: Bearer {fuzzed.tokens[who]}", "--max-time", str(max(1, int(seconds)))]
    command += ["--checks", "nothing_internal,nothing_hangs", "--phases", "coverage,fuzzing", "--continue-on-failure"]
    command += ["--request-timeout", "30", "--suppress-health-check", "all", "--generation-database", "none"]
    for name in LEFT_OUT:
        command += ["--exclude-name", name]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(CHECKOUT / "tests" / "fuzz" / "hooks.py"),
        "FUZZ_TOKEN": fuzzed.tokens[who],
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds + 300, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-20_000:]
    return said


@pytest.mark.parametrize("who", ["user", "admin"])
def test_whatever_is_asked_is_answered(fuzzed: Fuzzed, tmp_path: Path, who: str) -> None:
    said = schemathesis(fuzzed, who, SECONDS * SHARE * 0.2, tmp_path)  # what is loaded once is loaded now
    before = fuzzed.size()
    said = schemathesis(fuzzed, who, SECONDS * SHARE * 0.8, tmp_path)
    print(said[-3000:])
    with fuzzed.as_who(who) as person:
        assert person.get("/self/info").status_code == 200  # its token is still good
    after = fuzzed.size()
    print(before, after)
    assert after.memory - before.memory < MORE_MEMORY
    assert after.threads - before.threads < MORE_THREADS
    assert after.files - before.files < MORE_FILES
    assert "Traceback" not in fuzzed.service.log.read_text()


_METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "LOCK", "UNLOCK", "TRACE"])
_TOKEN = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=20)
_PIECE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=20)
_PATH = st.lists(st.one_of(_PIECE, st.sampled_from(["v1", "environments", "modules", "..", "%00", "%2e%2e", "state"])))
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_BODY = st.one_of(st.binary(max_size=300), _JSON.map(lambda value: json.dumps(value).encode()))


def test_whatever_comes_over_the_wire_is_answered(fuzzed: Fuzzed) -> None:
    """Made-up methods, paths, headers and bodies, with and without a token; nothing of them becomes a series."""
    known = set(fuzzed.http.get("/openapi.json").json()["paths"])

    @settings(max_examples=int(10 * SECONDS), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        method=st.one_of(_METHODS, _TOKEN),
        path=_PATH,
        header=st.dictionaries(_TOKEN, st.text("abc=:;/ 0\x7f", max_size=30), max_size=3),
        body=_BODY,
        who=st.sampled_from(["", "user", "admin"]),
    )
    def ask(method: str, path: list[str], header: dict[str, str], body: bytes, who: str) -> None:
        head = [f"{method} /{'/'.join(path)} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        head += ["Connection: close", *(f"{name}: {value}" for name, value in header.items())]
        if who:
            head += [f"Authorization: Bearer {fuzzed.tokens[who]}", "Content-Type: application/json"]
        answer = _sent(fuzzed.service.port, "\r\n".join([*head, "", ""]).encode() + body)
        status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/") else b"none"
        assert not status.startswith(b"5") or status in (b"501", b"503"), answer[:500]
        assert b"Traceback" not in answer

    ask()
    series = fuzzed.series()
    routes, methods = (
        {line.partition(f'{label}="')[2].partition('"')[0] for line in series if f'{label}="' in line}
        for label in ("route", "method")
    )
    assert len(routes - known) < 8, routes - known
    assert len(methods) < 16, methods


def _sent(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            if len(answer) > 1_000_000:
                break
        return answer
