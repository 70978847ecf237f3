"""Whatever is sent to the API, as a user or as an admin: no 500, no hang, no growth."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.api.metrics import METHODS, OTHER
from environments.web.account_pages import HOME_PATH
from environments.web.forms import FIELD
from tests.fuzz import SECONDS, reaching
from tests.fuzz.bodies import bodies
from tests.fuzz.place import LEAVER, VISITOR, Fuzzed, Routes, all_routes
from tests.support.cluster import Cluster
from tests.support.promises import CHECKOUT
from tests.support.service_process import ServiceProcess

SHARE = 0.3
"""Of all seconds, for each of a user and an admin; the rest is for templates."""

MORE_MEMORY = 100 * 1024
"""KiB by which the service may grow: what it keeps on purpose."""

MORE_THREADS = 60
MORE_FILES = 60

LEFT_OUT = ("GET /v1/events",)
"""A stream without end."""

ENDING = ("/sign-out", "/sessions/revoke")
"""Pages that end sessions."""


@pytest.fixture(scope="module")
def fuzzed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """A service on a real cluster; see `Fuzzed`."""
    service = ServiceProcess(tmp_path_factory.mktemp("fuzz") / "state", cluster.agents.site.connections_file)
    try:
        fuzzed = Fuzzed(service)
        yield fuzzed
        fuzzed.destroy_all()
        fuzzed.http.close()
    finally:
        service.stop()


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Routes:
    """Method and path of every route; see `all_routes`."""
    return all_routes(tmp_path_factory.mktemp("routes"))


def schemathesis(fuzzed: Fuzzed, who: str, seconds: float, folder: Path) -> str:
    """Lets it ask for so long; what it said. In a process of its own, whose warnings are not ours."""
    schema = folder / "openapi.json"
    known = reaching.values(fuzzed.ids)
    schema.write_text(json.dumps(reaching.reaching(fuzzed.http.get("/openapi.json").json(), known)))
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
        "FUZZ_SPARED": json.dumps(fuzzed.spared),
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


def test_whatever_comes_over_the_wire_is_answered(fuzzed: Fuzzed, routes: Routes) -> None:
    """Made-up methods, paths, headers and bodies, with and without a token; nothing of them becomes a series."""
    known = reaching.values(fuzzed.ids)

    @settings(max_examples=int(10 * SECONDS), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        method=st.one_of(_METHODS, _TOKEN),
        path=st.one_of(_PATH.map("/".join), st.sampled_from(sorted(routes.paths))),
        header=st.dictionaries(_TOKEN, st.text("abc=:;/ 0\x7f", max_size=30), max_size=3),
        body=_BODY,
        who=st.sampled_from(["", "user", "admin"]),
    )
    def ask(method: str, path: str, header: dict[str, str], body: bytes, who: str) -> None:
        if path == "/v1/events":
            return
        if path.startswith("/"):
            path = reaching.filled(path, known, {})
        head = {**header, **(fuzzed.bearing(who) if who else {})}
        _answered(fuzzed, method, f"/{path.removeprefix('/')}", head, body)

    ask()
    _no_new_series(fuzzed, routes)


def test_whatever_is_sent_to_a_route_is_answered(fuzzed: Fuzzed, routes: Routes) -> None:
    """Each route, page and endpoint, also those that OpenAPI doesn't have; with forms, by whoever is signed in."""
    known, inputs = reaching.values(fuzzed.ids), fuzzed.inputs(routes.pages)
    sound = bodies(reaching.reaching(fuzzed.http.get("/openapi.json").json(), known))
    visitor, leaving = fuzzed.sessions[VISITOR][0], list(fuzzed.sessions[LEAVER])
    asked = [
        (method, path, who)
        for method, path in routes.every
        for who in (("", "visitor") if path in routes.pages else ("user", "admin"))
        if f"{method} {path}" not in LEFT_OUT
    ]

    @settings(
        max_examples=max(4, int(10 * SECONDS / len(asked))),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(method: str, path: str, who: str, data: st.DataObject) -> None:
        chosen = {name: data.draw(st.sampled_from(known[upto])) for upto, name in reaching.fields(path)}
        target = quote(reaching.filled(path, known, chosen))
        if path not in routes.pages:
            allowed = sound.get((method, path), st.nothing()).map(lambda body: json.dumps(body).encode())
            body = data.draw(allowed if (method, path) in sound and data.draw(st.booleans()) else _BODY)
            _answered(fuzzed, method, target, fuzzed.bearing(who), body)
            return
        target += f"?{data.draw(_form(inputs))}"
        body = data.draw(st.one_of(_form(inputs).map(str.encode), _BODY))
        session = who and (visitor if path not in ENDING else leaving.pop() if leaving else "")
        head = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        _answered(fuzzed, method, target, head | (fuzzed.visiting(session) if session else {}), body)

    for method, path, who in sorted(asked, key=lambda one: one[0] == "DELETE"):  # last: it takes from others
        ask(method, path, who)
    home = f"{fuzzed.service.address}{HOME_PATH}"
    signed_in = httpx2.get(home, headers=fuzzed.visiting(visitor), timeout=60, trust_env=False)
    assert signed_in.status_code == 200
    reached = _no_new_series(fuzzed, routes)
    missed = {path for _, path, _ in asked if path not in reached and not path.startswith(reaching.CLOSED)}
    assert not missed, f"no request got as far as {sorted(missed)}"


def _form(inputs: Mapping[str, Sequence[str]]) -> st.SearchStrategy[str]:
    """Some fields of forms, with what stands in them or with anything else; often with the token that forms need."""
    text = st.one_of(_PIECE, st.text(max_size=20))
    some = st.fixed_dictionaries(
        {}, optional={name: st.one_of(st.sampled_from(there), text) for name, there in inputs.items()}
    )
    tokens = st.sampled_from([{}, *({FIELD: one} for one in inputs[FIELD])])
    return st.tuples(some, tokens).map(lambda both: urlencode({**both[0], **both[1]}, errors="replace"))


def _answered(fuzzed: Fuzzed, method: str, target: str, head: Mapping[str, str], body: bytes) -> int:
    """The status of what a request is answered with; fails for what nobody foresaw."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    answer = _sent(fuzzed.service.port, "\r\n".join([*lines, "", ""]).encode() + body)
    status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/") else b"0"
    assert not status.startswith(b"5") or status in (b"501", b"502", b"503"), answer[:500]
    assert b"Traceback" not in answer
    return int(status)


def _no_new_series(fuzzed: Fuzzed, routes: Routes) -> set[str]:
    """The routes in metrics; fails when a label is made up, so that it is no route that the service has."""
    series = fuzzed.series()
    found, methods = (
        {line.partition(f'{label}="')[2].partition('"')[0] for line in series if f'{label}="' in line}
        for label in ("route", "method")
    )
    made_up = found - routes.paths - {"none"}
    assert not made_up, f"labels of metrics that are no route, see `route_path`: {sorted(made_up)}"
    assert methods <= {*METHODS, OTHER}, methods
    return found


def _sent(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            if len(answer) > 1_000_000:
                break
        return answer
