"""Hostile templates and parameters, sent to a running service: refused in words, and nobody else has to wait."""

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from environments.checking.pool import CheckPool
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from tests.fakes.kinds import KINDS_HERE
from tests.fakes.service import Served, served
from tests.support.busy import patient

HEAD = '[template]\nname = "x"\n[[steps]]\nname = "a"\nuses = "fake"\n'
DEEP = f'{{"name": "a", "template": "web", "parameters": {{"message": {"[" * 300}{"]" * 300}}}}}'


def waits() -> float:
    """Seconds after which an answer is lost: more on a busy machine."""
    return patient(30.0)


class Caller:
    """The service over HTTP, as one person."""

    def __init__(self, api: Served, token: str) -> None:
        self.http = httpx2.Client(
            base_url=api.address, headers={"Authorization": f"Bearer {token}"}, timeout=httpx2.Timeout(waits())
        )

    def post(self, path: str, body: Any) -> httpx2.Response:
        return self.http.post(path, json=body)

    def validate(self, text: str, **files: str) -> httpx2.Response:
        return self.post("/v1/templates/validate", _push(text, files))

    def push(self, text: str, **files: str) -> httpx2.Response:
        return self.post("/v1/templates", _push(text, files))

    def must_push(self, text: str) -> None:
        """Pushes; after attacks of the same admin it may have to wait its turn."""
        until = time.monotonic() + 60
        while (answer := self.push(text)).status_code == 429 and time.monotonic() < until:
            time.sleep(float(answer.headers["Retry-After"]))
        assert answer.status_code == 200, answer.text

    def create(self, name: str, template: str, **parameters: Any) -> httpx2.Response:
        return self.post("/v1/environments", {"name": name, "template": template, "parameters": parameters})


def _push(text: str, files: dict[str, str]) -> dict[str, Any]:
    named = {"template.toml": text, **{name.replace("_", "."): content for name, content in files.items()}}
    return {"files": {name: base64.b64encode(content.encode()).decode() for name, content in named.items()}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pool = CheckPool(KINDS_HERE)
    try:
        with served(tmp_path_factory.mktemp("service"), pool) as api:
            yield api
    finally:
        pool.stop()


@pytest.fixture
def admin(api: Served) -> Iterator[Caller]:
    caller = Caller(api, api.token)
    with caller.http:
        yield caller


@pytest.fixture
def mallory(api: Served) -> Iterator[Caller]:
    caller = Caller(api, api.service.tokens.create_token(api.service.admin, owner="mallory").secret)
    with caller.http:
        yield caller


def parameter(schema: str, name: str = "x") -> str:
    return f"{HEAD.replace(chr(34) + 'x', chr(34) + name, 1)}[parameters.p]\n{schema}\n"


def test_only_admins_can_validate_templates(admin: Caller, mallory: Caller) -> None:
    for text in (HEAD, "[", parameter('type = "string"\n"$ref" = "file:///etc/passwd"')):
        refused = mallory.validate(text)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert admin.validate(HEAD).json()["problems"] == []


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
def test_nothing_is_fetched_for_a_template(admin: Caller, keyword: str) -> None:
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for target in (
                f"http://127.0.0.1:{server.server_port}/v1/agent/self",
                "file:///dev/zero",
                "file:///etc/passwd",
            ):
                text = parameter(f'type = "string"\ndefault = "zz"\n"{keyword}" = "{target}"')
                [problem] = admin.validate(text).json()["problems"]
                assert problem.startswith(f"template.toml:9: parameters.p.{keyword}: '{target}' ")
                pushed = admin.push(text)
                assert (pushed.status_code, pushed.json()["code"]) == (422, "invalid_template")
                assert "root:" not in pushed.text
        finally:
            server.shutdown()
            thread.join()
    assert paths == []


@pytest.mark.parametrize(
    "expression", ["'x' * 10**10", "('x' * 10**10) | length", "parameters.p ~ 'x' * 10**10", "'x' | center(10**10)"]
)
def test_a_constant_that_can_never_be_made_is_a_fault(admin: Caller, expression: str) -> None:
    """Such a template would be taken, and each of its environments would fail."""
    text = (
        parameter('type = "string"')
        + f'[[steps]]\nname = "b"\nuses = "fake"\nwith = {{ b = "{{{{ {expression} }}}}" }}\n'
    )
    [problem] = admin.validate(text).json()["problems"]
    assert "needs more memory" in problem
    assert admin.validate(text.replace(expression, "'x' * 10")).json()["problems"] == []


def test_an_older_template_with_what_is_not_run_says_what_to_change(
    api: Served, admin: Caller, mallory: Caller
) -> None:
    """It can't be pushed any more. What was made from it is destroyed like anything else."""
    for name, schema, value in (
        ("old-ref", 'type = "string"\n"$ref" = "http://127.0.0.1:1/x"', "http://127.0.0.1:1/x"),
        ("old-pattern", "type = \"string\"\npattern = '^(?!main$)'", "^(?!main$)"),
    ):
        text = parameter(schema, name)
        assert admin.push(text).json()["code"] == "invalid_template"
        with api.service.database.write() as tx:
            bundle = make_bundle({"template.toml": text.encode()})
            tx.templates.push(name, bundle, "root", api.service.requests._clock(), None)
        assert any(view["name"] == name for view in mallory.http.get("/v1/templates").json())
        answer = mallory.create("made-before", name, p="z")
        assert (answer.status_code, answer.json()["code"]) == (422, "schema_unsupported")
        assert answer.json()["details"]["parameter"] == "p"
        assert answer.json()["details"]["value"] == value
        assert value in answer.json()["detail"]
        asked = {"kind": "create", "template": name, "parameters": {"p": "z"}}
        plan = mallory.post("/v1/environments/made-before/plan", asked)
        assert plan.json()["code"] == "schema_unsupported"


def test_an_environment_of_such_a_template_is_destroyed(api: Served, admin: Caller) -> None:
    admin.must_push(parameter('type = "string"\ndefault = "a"', "aged"))
    made = admin.create("aged-one", "aged")
    assert made.status_code == 202, made.text
    text = parameter('type = "string"\ndefault = "a"\npattern = \'(?=a)\'', "aged")
    with api.service.database.write() as tx:
        bundle = make_bundle({"template.toml": text.encode()})
        tx.templates.push("aged", bundle, "root", api.service.requests._clock(), None)
        environment = tx.environments.get(made.json()["environment"]["id"])
        assert environment is not None
        tx.environments.change(environment.id, bundle=bundle.digest)
    api.service.finish("aged-one", State.READY)
    updated = admin.http.put("/v1/environments/aged-one", json={"parameters": {"p": "b"}})
    assert (updated.status_code, updated.json()["code"]) == (422, "schema_unsupported"), updated.text
    gone = admin.http.post("/v1/environments/aged-one/destroy")
    assert gone.status_code == 202, gone.text


HOSTILE_TEMPLATES = {
    "pattern": parameter(f'type = "string"\ndefault = "{"a" * 30}!"\npattern = "^(a+)+$"'),
    "program": parameter('type = "string"\npattern = "((a{1000}){1000})"'),
    "unique": parameter(
        f'type = "array"\nuniqueItems = true\ndefault = [{",".join(f"{{a=[{n}]}}" for n in range(9000))}]'
    ),
    "anyOf": parameter('type = "array"\nanyOf = [{ "$ref" = "#" }, { "$ref" = "#" }]'),
    "digits": parameter(f'type = "integer"\ndefault = {"9" * 5000}'),
    "huge": parameter('type = "number"\nmultipleOf = 5e-324\ndefault = 1e308'),
    "deep": parameter(f'type = "array"\ndefault = {"[" * 5000}{"]" * 5000}'),
    "enum": parameter(f"enum = [{', '.join(f'{n}' for n in range(30_000))}]"),
    "keys": f"{HEAD}[{'.'.join('a' * 90_000)}]\n",
    "steps": HEAD + "".join(f'[[steps]]\nname = "s{n}"\nuses = "fake"\nneeds = ["a"]\n' for n in range(5000)),
    "expression": HEAD + 'with = { a = "{{ 9**(9**9) }}" }\n',
    "nested expression": f'{HEAD}with = {{ a = "{{{{ {"(" * 5000}1{")" * 5000} }}}}" }}\n',
    "not an expression": f'{HEAD}with = {{ a = "{{{{ {"not " * 9000}1 }}}}" }}\n',
    "cron": f'{HEAD}[drift]\nschedule = "{",".join(["1/1"] * 9000)} * * * *"\n',
    "cron number": f'{HEAD}[drift]\nschedule = "{"1" * 5000} * * * *"\n',
    "large": HEAD + "#" * 3_000_000,
}


@pytest.mark.parametrize("name", HOSTILE_TEMPLATES)
def test_a_hostile_template_is_answered_in_words(admin: Caller, name: str) -> None:
    answer = admin.validate(HOSTILE_TEMPLATES[name])
    document = answer.json()
    if answer.status_code == 200:
        assert all(isinstance(problem, str) and len(problem) < 1000 for problem in document["problems"])
    else:
        assert document["code"] in ("check_too_costly", "too_many_requests"), document
        assert document["hint"]


@pytest.mark.parametrize("part", ["/*", "<<m1x\n", "a ", "${", 'x = "', "terraform {"])
def test_a_hostile_module_or_job_file_is_answered_in_words(admin: Caller, part: str) -> None:
    text = part * (400_000 // len(part))
    steps = '[[steps]]\nname = "m"\nuses = "opentofu.module"\nwith = { folder = "." }\n'
    steps += '[[steps]]\nname = "j"\nuses = "nomad.job"\nwith = { file = "job.hcl" }\n'
    answer = admin.validate(HEAD + steps, main_tf=text, job_hcl=text)
    assert answer.status_code in (200, 422, 429), answer.text
    if answer.status_code == 200:
        assert any(problem.startswith("job.hcl:1: ") for problem in answer.json()["problems"])


def test_hostile_parameters_are_answered_in_words(admin: Caller, mallory: Caller) -> None:
    schemas = {
        "unique": ('type = "array"\nuniqueItems = true', [{"a": [n]} for n in range(9_000)]),
        "number": ('type = "number"\nmultipleOf = 0.1', 10**300),
        "float": ('type = "number"\nmultipleOf = 5e-324', 1e308),
        "list": ('type = "array"\nitems = { type = "integer" }', ["x" * 20] * 9_000),
        "keys": (
            'type = "object"\nadditionalProperties = false\npatternProperties = { "^(a+)+$" = {} }',
            {"a" * 90_000 + "!": 1},
        ),
        "text": ('type = "string"\npattern = "^(a|a)*$"', "a" * 200_000 + "!"),
    }
    for name, (schema, value) in schemas.items():
        admin.must_push(parameter(schema, f"h-{name}"))
        answer = mallory.create(f"h-{name}", f"h-{name}", p=value)
        assert answer.status_code in (202, 422, 429), answer.text
        assert len(answer.text) < 20_000
        if answer.status_code == 422:
            assert answer.json()["code"] in ("invalid_parameters", "check_too_costly"), answer.text
            assert "'p'" in answer.text or "p:" in answer.text or "p." in answer.text


@pytest.mark.parametrize(
    "body",
    ['{"name": "a", "template": "web", "parameters": {"replicas": 1e999}}', "[" * 100_000, DEEP],
    ids=["number", "open", "deep"],
)
def test_numbers_beyond_all_others_and_deep_bodies_are_no_json(mallory: Caller, body: str) -> None:
    answer = mallory.http.post("/v1/environments", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    "ttl",
    ["9" * 5000 + "d", "1d" * 50_000, "9" * 200_000, "99999999999w"],
    ids=["days", "parts", "digits", "weeks"],
)
def test_a_lifetime_of_many_digits_is_none(mallory: Caller, ttl: str) -> None:
    answer = mallory.post("/v1/environments", {"name": "long", "template": "web", "ttl": ttl})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_lifetime")


@pytest.mark.parametrize(
    "until",
    ["2026-12-01T18:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z", "9" * 5000],
    ids=["no offset", "before year 1", "after year 9999", "too far", "digits"],
)
def test_a_moment_has_an_offset_and_is_within_ten_years(mallory: Caller, until: str) -> None:
    for path, asked in (
        ("/v1/environments", {"name": "long", "template": "web"}),
        ("/v1/environments/long/plan", {"kind": "create", "template": "web"}),
    ):
        answer = mallory.post(path, {**asked, "until": until})
        assert answer.status_code == 422
        assert answer.json()["code"] in ("invalid_input", "invalid_lifetime")


def test_others_are_answered_while_somebody_attacks(api: Served, admin: Caller, mallory: Caller) -> None:
    """Many at once, by one person: that one is told to wait, and the others' requests go on as before."""
    admin.must_push(parameter('type = "array"\nuniqueItems = true', "slow"))
    ended = threading.Event()
    codes: set[str] = set()
    token = mallory.http.headers["Authorization"].removeprefix("Bearer ")
    value = [{"a": [n]} for n in range(15_000)]

    def attack() -> None:
        caller = Caller(api, token)
        with caller.http:
            while not ended.is_set():
                codes.add(caller.create("slow", "slow", p=value).json()["code"])

    def ask(times: list[float]) -> None:
        began = time.monotonic()
        assert admin.http.get("/v1/environments").status_code == 200
        assert admin.create(f"n{len(times)}", "web", message="x" * len(times)).status_code == 202
        times.append(time.monotonic() - began)

    quiet: list[float] = []
    for _ in range(3):
        ask(quiet)
    threads = [threading.Thread(target=attack) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        loud = list(quiet)
        until = time.monotonic() + 60
        while len(loud) < 20 or ("too_many_requests" not in codes and time.monotonic() < until):
            ask(loud)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert codes == {"too_many_requests", "check_too_costly"}
    assert max(loud[len(quiet) :]) < waits() / 2, json.dumps(loud)
