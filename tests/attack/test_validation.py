"""Attack 3: checking a template does nothing but check it, for admins, in bounded time and memory."""

import base64
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.attack_harness import Person, Target, refused, until

SLOWEST = 30.0
"""Seconds that a check may take on a busy machine; what is attacked would take minutes, or for ever."""

HEAD = '[template]\nname = "attack-checked"\n'
STEP = '[[steps]]\nname = "a"\nuses = "consul.kv"\nwith = { keys = { a = "b" } }\n'
MODULE = '[[steps]]\nname = "m"\nuses = "opentofu.module"\nwith = { folder = "m" }\n'


def files(text: str, **more: str) -> dict[str, str]:
    everything = {"template.toml": text, **{name.replace("__", "/"): content for name, content in more.items()}}
    return {name: base64.b64encode(content.encode()).decode() for name, content in everything.items()}


def parameter(lines: str) -> str:
    return f"{HEAD}[parameters.p]\n{lines}\n{STEP}"


def validate(person: Person, given: dict[str, str]) -> tuple[Any, float]:
    began = time.monotonic()
    response = person.http.post("/v1/templates/validate", json={"files": given}, timeout=120)
    return response, time.monotonic() - began


def looked_at(person: Person, given: dict[str, str]) -> tuple[Any, float] | None:
    """The answer and how long it took; None for whoever has to wait because of what they sent before."""
    response, seconds = validate(person, given)
    return None if response.status_code == 429 else (response, seconds)


def test_users_may_not_have_templates_checked(mallory: Person) -> None:
    response, _ = validate(mallory, files(HEAD + STEP))
    assert refused(response) == "forbidden"


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, and who asked it for what."""
    hits: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            body = b'{"type": "integer", "enum": ["root-token-value"]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", hits
    server.shutdown()
    thread.join(120)
    server.server_close()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
def test_no_reference_is_followed(admin: Person, asked: tuple[str, list[str]], keyword: str) -> None:
    address, hits = asked
    lines = f'type = "string"\ndefault = "zz"\n"{keyword}" = "{address}/v1/agent/self"'
    response, seconds = validate(admin, files(parameter(lines)))
    assert seconds < SLOWEST
    assert response.status_code < 500
    assert "root-token-value" not in response.text
    assert hits == []
    pushed = admin.http.post("/v1/templates", json={"files": files(parameter(lines))})
    assert pushed.status_code < 500
    assert hits == []


@pytest.mark.parametrize("where", ["file:///dev/zero", "file:///etc/passwd", "/etc/passwd", "../../../etc/passwd"])
def test_no_file_is_read(target: Target, admin: Person, where: str) -> None:
    before = memory(target)
    lines = f'type = "string"\ndefault = "zz"\n"$ref" = "{where}"'
    response, seconds = validate(admin, files(parameter(lines)))
    assert seconds < SLOWEST
    assert response.status_code < 500
    assert "root:" not in response.text
    assert memory(target) - before < 200 * 1024


def memory(target: Target) -> int:
    """KiB that the service's process has."""
    lines = Path("/proc", str(target.process()), "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


PATTERN = 'type = "string"\ndefault = "{text}"\npattern = "^(a+)+$"'
MANY = "[" + ",".join(f"{{ x = {number} }}" for number in range(3000)) + "]"
NESTED = '{ type = "integer" }'
for _ in range(9):
    NESTED = f"{{ anyOf = [{NESTED}, {NESTED}] }}"

COSTLY = {
    "pattern": parameter(PATTERN.format(text="a" * 60 + "!")),
    "property names": parameter(
        'type = "object"\ndefault = { "%s" = 1 }\n[parameters.p.patternProperties]\n"^(a|a)*$" = { type = "string" }'
        % ("a" * 60 + "!")
    ),
    "unique items": parameter(f'type = "array"\nuniqueItems = true\ndefault = {MANY}'),
    "moments that never come": f'{HEAD}[drift]\nschedule = "0 0 30 2 *"\n{STEP}',
    "moments that hardly come": f'{HEAD}[drift]\nschedule = "* * 29 2 1#5"\n{STEP}',
    "moments that never come in any": f'{HEAD}[drift]\nschedule = "0 0 31 4,6,9,11 *"\n{STEP}',
    "any of": parameter(f'type = "string"\ndefault = "x"\nanyOf = [{NESTED}, {NESTED}]'),
}
MODULES = {
    "comments": "/*" * 60_000,
    "heredocs": "".join(f"<<m{number}x\n" for number in range(8000)),
    "words": "a " * 60_000,
    "one word": "a" * 120_000,
    "strings": '"' * 60_001,
}


@pytest.mark.parametrize("way", sorted(COSTLY))
def test_no_schema_takes_the_service_away(admin: Person, alice: Person, way: str) -> None:
    _stands(admin, alice, files(COSTLY[way]))


@pytest.mark.parametrize("way", sorted(MODULES))
def test_no_module_takes_the_service_away(admin: Person, alice: Person, way: str) -> None:
    _stands(admin, alice, files(HEAD + MODULE, m__main_tf=""), m=MODULES[way])


def _stands(admin: Person, alice: Person, given: dict[str, str], m: str | None = None) -> None:
    """The check ends in time, and others are answered meanwhile."""
    if m is not None:
        given = {**given, "m/main.tf": base64.b64encode(m.encode()).decode()}
        given.pop("m/main_tf")
    found: list[tuple[Any, float]] = []
    thread = threading.Thread(target=lambda: found.append(until(lambda: looked_at(admin, given), "it is looked at")))
    thread.start()
    slowest = 0.0
    while thread.is_alive():
        began = time.monotonic()
        assert alice.http.get("/self/info", timeout=SLOWEST).status_code == 200
        slowest = max(slowest, time.monotonic() - began)
        thread.join(0.2)
    assert slowest < SLOWEST / 2
    ((response, seconds),) = found
    assert response.status_code < 500
    assert seconds < SLOWEST


def test_a_value_that_a_pattern_is_slow_for_is_checked_in_time(admin: Person, mallory: Person) -> None:
    """The pattern was good when it was pushed; what a user types makes it slow."""
    text = HEAD.replace("checked", "pattern") + '[parameters.p]\ntype = "string"\npattern = "^(a+)+$"\n' + STEP

    def answer() -> Any:
        # Whoever has had costly things checked waits a little.
        pushed = admin.http.post("/v1/templates", json={"files": files(text)})
        return None if pushed.status_code == 429 else pushed

    pushed = until(answer, "the template is looked at")
    if pushed.status_code == 422:
        return
    assert pushed.status_code == 200, pushed.text
    began = time.monotonic()
    assert refused(mallory.ask("checked", "attack-pattern", {"p": "a" * 60 + "!"})) == "invalid_parameters"
    assert time.monotonic() - began < SLOWEST
