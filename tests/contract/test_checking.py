"""Looks at templates, parameters and expressions: the same in processes of their own as right here; limits there."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.bootstrap.providers import STEP_KINDS
from environments.checking.pool import CheckPool
from environments.client.bundles import read_bundle
from environments.domain.errors import (
    CheckTooCostly,
    ImageNotPublished,
    InvalidParameters,
    InvalidTemplate,
    SchemaUnsupported,
    ServiceUnavailable,
    TooManyRequests,
)
from environments.domain.template import Bundle, make_bundle, parse_template
from environments.domain.template_parts import Template
from environments.service.checking import Checks, DirectChecks
from environments.service.rendering import known_images
from images.places import CHECKOUT

WEB = read_bundle(CHECKOUT / "environments" / "templates" / "web")
HEAD = '[template]\nname = "x"\n[[steps]]\nname = "a"\nuses = "consul.kv"\n'

NAMES = {
    "parameters": {"a": 1, "b": ["x", "y"], "c": "{{ 1 }}"},
    "steps": {},
    "images": known_images({"web": "sha256:1"}),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[CheckPool]:
    pool = CheckPool()
    yield pool
    pool.stop()


@pytest.fixture(params=["direct", "pool"])
def checks(request: pytest.FixtureRequest) -> Checks:
    if request.param == "direct":
        return DirectChecks(STEP_KINDS)
    pool: CheckPool = request.getfixturevalue("pool")
    return pool


def bundle(text: str) -> Bundle:
    return make_bundle({"template.toml": text.encode()})


def with_parameter(schema: str) -> Template:
    return parse_template(f"{HEAD}[parameters.p]\n{schema}\n")


def test_a_template_is_checked(checks: Checks) -> None:
    assert checks.template("ada", WEB) == []
    faults = checks.template("ada", bundle(f'{HEAD}with = {{ keyz = {{}} }}\n[parameters.p]\ntype = "nothing"\n'))
    assert any(fault.sentence.startswith("step 'a': with.keyz") for fault in faults)
    assert any(fault.sentence.startswith("parameters.p.type: ") and fault.line is not None for fault in faults)
    assert checks.template("ada", bundle("[")) == checks.template("ada", bundle("["))


def test_parameters_are_checked(checks: Checks) -> None:
    template = with_parameter('type = "integer"\nmaximum = 9\ndefault = 3')
    assert checks.parameters("ada", template, {}, frozenset()) == {"p": 3}
    with pytest.raises(InvalidParameters, match="10 is greater than the maximum of 9") as error:
        checks.parameters("ada", template, {"p": 10, "q": 1}, frozenset())
    assert error.value.details["problems"] == [
        "q: there is no such parameter",
        "p: 10 is greater than the maximum of 9",
    ]
    assert "template show x" in error.value.hint
    known = with_parameter('type = "string"\nwriteOnly = true')
    assert checks.parameters("ada", known, {}, frozenset({"p"})) == {}


def test_a_schema_that_cannot_be_run_names_what_to_change(checks: Checks) -> None:
    with pytest.raises(SchemaUnsupported, match=r"'p'.*\(\?!x\)") as error:
        checks.parameters("ada", with_parameter("type = 'string'\npattern = '^(?!x)'"), {"p": "y"}, frozenset())
    assert error.value.details == {"parameter": "p", "keyword": "pattern", "value": "^(?!x)"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ parameters.a * 2 }}", 2),
        ("{{ parameters.b | join('-') }}", "x-y"),
        ("{% for part in parameters.b %}{{ part }};{% endfor %}", "x;y;"),
        ("{{ parameters.c ~ parameters.c * 2 }}", "{{ 1 }}{{ 1 }}{{ 1 }}"),
        ("{{ images.web.upper() }}", "SHA256:1"),
    ],
)
def test_expressions_are_evaluated(checks: Checks, text: str, value: Any) -> None:
    assert checks.expression(text, NAMES, "here") == value


def test_faults_of_expressions_are_told(checks: Checks) -> None:
    with pytest.raises(InvalidTemplate, match=r"^here: "):
        checks.expression("{{ parameters.zz * 2 }}", NAMES, "here")
    with pytest.raises(ImageNotPublished, match=r"here: No image 'other' is published"):
        checks.expression("{{ images.other * 2 }}", NAMES, "here")
    with pytest.raises(InvalidTemplate, match="that templates must not do"):
        checks.expression("{{ ''.__class__.mro() * 2 }}", NAMES, "here")


COSTLY: dict[str, Callable[[Checks], object]] = {
    "product": lambda checks: checks.expression("{{ 'x' * 10**10 }}", NAMES, "here"),
    "power": lambda checks: checks.expression("{{ 9**(9**9) }}", NAMES, "here"),
    "loops": lambda checks: checks.expression(
        "{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}", NAMES, "here"
    ),
    "padding": lambda checks: checks.expression("{{ 'x'.ljust(10**10) }}", NAMES, "here"),
    "doubling": lambda checks: checks.expression(
        "{% set ns = namespace(x='a') %}{% for i in range(90) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        NAMES,
        "here",
    ),
    "unique": lambda checks: checks.parameters(
        "eve1",
        with_parameter('type = "array"\nuniqueItems = true'),
        {"p": [{"a": [number]} for number in range(20_000)]},
        frozenset(),
    ),
    "alternatives": lambda checks: checks.parameters(
        "eve2",
        with_parameter(
            'type = "array"\nitems = { "$ref" = "#/$defs/a" }\n[parameters.p."$defs".a]\nanyOf = ['
            + '{ items = { "$ref" = "#/$defs/a" }, minItems = 2 }, ' * 3
            + '{ items = { "$ref" = "#/$defs/a" }, minItems = 3 } ]'
        ),
        {"p": nested(30)},
        frozenset(),
    ),
    "expression of a template": lambda checks: checks.template(
        "eve3", bundle(HEAD + 'with = { keys = { a = "{{ 9**(9**9) }}" } }\n')
    ),
    "keys": lambda checks: checks.template("eve4", bundle(".".join("a" * 100_000) + " = 1\n" + HEAD)),
    "alternatives of a template": lambda checks: checks.template(
        "eve5",
        bundle(f'{HEAD}[parameters.p]\ntype = "array"\nanyOf = [{{ "$ref" = "#" }}, {{ "$ref" = "#" }}]\n'),
    ),
}


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("name", COSTLY)
def test_what_costs_too_much_is_ended_and_the_next_is_answered(pool: CheckPool, name: str) -> None:
    with contextlib.suppress(CheckTooCostly, InvalidTemplate, InvalidParameters):
        answer = COSTLY[name](pool)
        assert answer, "a fault is told, or it is too costly"
    assert pool.template("ada", WEB) == []


def test_the_costly_part_is_named(pool: CheckPool) -> None:
    text = f'{HEAD}with = {{ keys = {{ a = "{{{{ 9**(9**9) }}}}" }} }}\n'
    with pytest.raises(CheckTooCostly, match=r"Checking the template takes more than .* at step 'a'") as error:
        pool.template("eve6", bundle(text))
    assert error.value.details["place"] == "step 'a'"
    with pytest.raises(CheckTooCostly, match=r"template 'x' takes more than .* at parameter 'p'"):
        COSTLY["unique"](pool)


def test_one_owner_neither_takes_all_processes_nor_all_time(pool: CheckPool) -> None:
    """Mallory's checks are refused after a few; meanwhile others are answered at once."""
    refused: list[TooManyRequests] = []
    ended = threading.Event()

    def attack() -> None:
        while not ended.is_set():
            try:
                pool.parameters(
                    "mallory",
                    with_parameter('type = "array"\nuniqueItems = true'),
                    {"p": [{"a": [number]} for number in range(20_000)]},
                    frozenset(),
                )
            except TooManyRequests as error:
                refused.append(error)
                ended.wait(0.1)
            except CheckTooCostly:
                continue

    threads = [threading.Thread(target=attack) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert pool.template("ada", WEB) == []
        wait_for(lambda: bool(refused))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert all(error.details["retry_after"] >= 1 for error in refused)


def test_a_checking_process_has_nothing_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALVINVERSE_SECRET_OF_A_TEST", "x")
    with (Path("/dev/null")).open() as inherited:
        os.set_inheritable(inherited.fileno(), True)
        pool = CheckPool(size=1)
        try:
            assert pool.expression("{{ 1 * 1 }}", {}, "here") == 1
            [process] = [process._running for process in pool._processes]
            assert process is not None
            environ = Path(f"/proc/{process.pid}/environ").read_text()
            assert "CALVINVERSE" not in environ
            assert len(environ.split("\0")) < 6
            files = [str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
            assert len(files) <= 4
            assert all(file.startswith("pipe:") or file == "/dev/null" for file in files)
            assert Path(f"/proc/{process.pid}/cwd").readlink() == Path("/")
        finally:
            pool.stop()


def test_a_process_that_dies_is_replaced() -> None:
    pool = CheckPool(size=1)
    try:
        assert pool.template("ada", WEB) == []
        [process] = [process._running for process in pool._processes]
        assert process is not None
        os.kill(process.pid, 9)
        process.wait()
        assert pool.template("ada", WEB) == []
    finally:
        pool.stop()


def test_stopping_ends_running_checks() -> None:
    pool = CheckPool(size=1)
    pool.template("ada", WEB)
    pids = children(pool)
    told: list[Exception] = []

    def look() -> None:
        try:
            while True:
                with contextlib.suppress(CheckTooCostly):
                    COSTLY["loops"](pool)
        except ServiceUnavailable as error:
            told.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    wait_for(lambda: busy(pids))
    pool.stop()
    thread.join(60)
    assert len(told) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def children(pool: CheckPool) -> list[int]:
    return [process._running.pid for process in pool._processes if process._running is not None]


def busy(pids: list[int]) -> bool:
    """Whether one of them has a child."""
    listed = subprocess.run(["ps", "-A", "-o", "ppid="], capture_output=True, text=True, check=True, timeout=120).stdout
    return bool({int(pid) for pid in listed.split()} & set(pids))
