"""What a real Nomad runs is what was typed: in environment, arguments, templates and services, after a restart too."""

import base64
import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from environments.domain.errors import InvalidJob
from environments.providers.nomad import values as nomad_values
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.go_template import Place, places
from environments.providers.nomad.rules import adopt
from environments.steps.base import Owner
from environments.steps.hcl import literals as hcl
from tests.fakes.nomad_at_run_time import PIECES, configured, environment
from tests.support import images_here, workloads
from tests.support.cluster import Cluster
from tests.support.workloads import Backends, await_done

NAME = "values"
OWNER = Owner("env-values", NAME)

JOB = r"""
variable "image" { type = string }
variable "environment" { type = string }
variable "values" { type = list(string) }
variable "table" { type = map(string) }
variable "nested" {}
variable "json" { type = string }
variable "base64" { type = string }
variable "words" { type = list(string) }
variable "size" { type = string }
variable "limit" { type = string }

locals {
  sizes = { small = 1, large = 3 }
  typed = { for number, value in var.values : "V${number}" => value }
  made = {
    JOINED   = join("", var.values)
    TABLE    = join(";", [for key, value in var.table : "${key}=${value}"])
    NESTED   = jsonencode(var.nested)
    JSON     = jsondecode(var.json)[0]
    BASE64   = base64decode(var.base64)
    UPPER    = upper(var.values[0])
    FORMAT   = format("%s and $${NOMAD_ALLOC_INDEX}", var.values[0])
    OWN      = "$${NOMAD_ALLOC_INDEX}"
    CHOSEN   = var.size == "large" ? "$${NOMAD_GROUP_NAME}" : "none"
    RESTARTS = local.sizes[var.size]
  }
}

job app {
  type = "service"

  group "app" {
    service {
      name     = "${var.environment}--app"
      provider = "consul"
      port     = "1"
      tags     = var.words
      meta {
        word = var.words[0]
      }
    }

    task "app" {
      driver       = "docker"
      kill_timeout = var.limit

      # job "other" { the check isn't confused by comments
      config {
        image        = var.image
        force_pull   = false
        init         = true
        network_mode = "host"
        command      = "/usr/bin/bash"
        args         = concat(["-c", <<-EOT
          env -0 | base64 -w0 > $NOMAD_TASK_DIR/env
          printf '%s\0' "$@" | base64 -w0 > $NOMAD_TASK_DIR/args
          touch $NOMAD_TASK_DIR/done
          while :; do sleep 1; done
        EOT
        , "bash", "$${NOMAD_GROUP_NAME}: ${var.values[0]}."], var.values)
      }

      env = merge(local.typed, local.made)

      vault {}

      template {
        destination = "local/words"
        data        = "${join("\n", var.words)}\n{{ env \"NOMAD_GROUP_NAME\" }}"
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def backends(cluster: Cluster) -> Backends:
    return Backends(cluster.connections)


@pytest.fixture(scope="module")
def nomad(cluster: Cluster) -> NomadClient:
    return NomadClient(lambda: cluster.connections)


@pytest.fixture(scope="module")
def place(backends: Backends) -> Iterator[None]:
    with workloads.environment(backends, NAME):
        yield


def variables(values: list[str]) -> dict[str, Any]:
    return {
        "image": images_here.reference("base"),
        "environment": NAME,
        "values": values,
        "table": {value: value for value in values[:20]},
        "nested": {"a": [*values[:20], {"b": values[20:30], "n": 1.5, "t": True, "z": None}]},
        "json": json.dumps(["".join(values[:9])]),
        "base64": base64.b64encode("".join(values[:9]).encode()).decode(),
        "words": ["Hello, world!", "50% off", "$5", "a'b", "x=y;z", "é \U0001f600", "a:b/c@d"],
        "size": "large",
        "limit": "2s",
    }


def hostile(count: int, seed: int) -> list[str]:
    """Texts made of hostile pieces: those that come in other tests at random, here the same each time."""
    chance = random.Random(seed)
    return ["${VAULT_TOKEN}", *PIECES, *("".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(count))]


def composed(text: str) -> str:
    """As HCL has it: accents belong to their letters."""
    return normalize("NFC", text)


def test_what_runs_is_what_was_typed(backends: Backends, nomad: NomadClient, place: None) -> None:
    given = variables(hostile(200, 1))
    values = given["values"]
    job = adopt(nomad_values.read(nomad.parse, JOB, given), "app", OWNER, host_network=True)
    backends.nomad.call("POST", f"/v1/jobs?namespace={NAME}", {"Job": job})
    allocation = await_done(backends.nomad, NAME, "app")
    path = f"/v1/client/allocation/{allocation}/restart?namespace={NAME}"
    for again in (False, True):
        if again:
            before = _handed(backends, allocation, "env", raw=True)
            backends.nomad.call("PUT", path, {"AllTasks": True})
            _await_start(backends, allocation)
            assert before
        env = dict(item.split("=", 1) for item in _handed(backends, allocation, "env"))
        assert {key: found for key, found in env.items() if key[0] == "V" and key[1:].isdigit()} == {
            f"V{number}": value for number, value in enumerate(values)
        }
        assert composed(env["JOINED"]) == composed("".join(values))
        assert {composed(key) for key in given["table"]} == {composed(key) for key in given["table"].values()}
        assert sorted(env["TABLE"]) == sorted(
            ";".join(f"{composed(key)}={item}" for key, item in given["table"].items())
        )
        assert json.loads(env["NESTED"]) == given["nested"]
        assert env["JSON"] == env["BASE64"] == "".join(values[:9])
        assert env["UPPER"] == values[0].upper()
        assert (env["OWN"], env["CHOSEN"], env["RESTARTS"]) == ("0", "app", "3")
        assert env["FORMAT"] == f"{values[0]} and 0"
        assert env["VAULT_TOKEN"] not in "".join(env[f"V{number}"] for number in range(len(values)))
        args = _handed(backends, allocation, "args")
        assert [*map(composed, args)] == [f"app: {values[0]}.", *map(composed, values)]
    shown = f"/v1/client/fs/cat/{allocation}?namespace={NAME}&path=app/local/words"
    assert backends.nomad.call("GET", shown) == "\n".join([*given["words"], "app"])
    (instance,) = backends.consul.call("GET", f"/v1/catalog/service/{NAME}--app") or []
    assert instance["ServiceTags"] == given["words"]
    assert instance["ServiceMeta"]["word"] == given["words"][0]


@pytest.mark.parametrize("seed", range(2, 12))
def test_the_rules_hold_for_what_nomad_makes_of_a_job_file(nomad: NomadClient, seed: int) -> None:
    given = variables(hostile(60, seed))
    job = nomad_values.read(nomad.parse, JOB, given)
    env = environment(job)
    assert [env[f"V{number}"] for number in range(len(given["values"]))] == given["values"]
    assert json.loads(env["NESTED"]) == given["nested"]
    args = _task(job)["Config"]["args"]
    assert [composed(configured(found)) for found in args[4:]] == [*map(composed, given["values"])]


FIELDS = [
    ("meta", "meta { k = var.x }"),
    ("group meta", 'group "h" { meta { k = var.x } }'),
    ("constraint", "constraint { attribute = var.x }"),
    ("constraint value", 'constraint {\n attribute = "$${attr.kernel.name}"\n value = var.x\n }'),
    ("affinity", "affinity { attribute = var.x }"),
    ("spread", "spread { attribute = var.x }"),
    ("a name in env", "TASK env = { (var.x) = 1 }"),
    ("destination", 'TASK template {\n data = "a"\n destination = var.x\n }'),
    ("delimiter", 'TASK template {\n data = "a"\n destination = "a"\n left_delimiter = var.x\n }'),
    ("data", 'TASK template {\n data = "a ${var.x}"\n destination = "a"\n }'),
    ("decoded data", 'TASK template {\n data = join("", jsondecode(jsonencode([var.x])))\n destination = "a"\n }'),
    ("yaml", 'TASK template {\n data = yamldecode(yamlencode([var.x]))[0]\n destination = "a"\n }'),
    ("yaml text", 'TASK template {\n data = yamlencode([var.x])\n destination = "a"\n }'),
    ("artifact", "TASK artifact { source = var.x }"),
    ("artifact option", 'TASK artifact {\n source = "http://127.0.0.1"\n options { k = var.x }\n }'),
    ("user", "TASK user = var.x"),
    ("service tag", 'TASK service {\n name = "a"\n tags = [var.x]\n }'),
    ("service meta", 'TASK service {\n name = "a"\n meta { k = var.x }\n }'),
    ("check", 'TASK service {\n name = "a"\n check {\n type = "http"\n path = var.x\n }\n }'),
    ("volume", 'TASK volume_mount {\n volume = "a"\n destination = var.x\n }'),
    ("identity", "TASK identity {\n name = var.x\n file = true\n }"),
    ("network", 'group "h" { network { hostname = var.x } }'),
    ("dns", 'group "h" {\n network {\n dns { servers = [var.x] }\n }\n }'),
    ("kill_signal", "TASK kill_signal = var.x"),
    ("label of a container", "TASK config {\n labels = { (var.x) = 1 }\n }"),
    ("log of a container", "TASK config {\n logging {\n config { tag = var.x }\n }\n }"),
]


@pytest.mark.parametrize(("field", "text"), FIELDS)
def test_elsewhere_a_value_that_nomad_would_act_on_is_refused(nomad: NomadClient, field: str, text: str) -> None:
    block = text.replace("{ ", "{\n").replace(" }", "\n}")
    if block.startswith("TASK"):
        block = f'group "g" {{\n task "t" {{\n driver = "docker"\n {block.removeprefix("TASK")}\n }}\n }}'
    file = f'variable "x" {{ type = string }}\njob "app" {{\n {block}\n}}\n'
    for value in ("${VAULT_TOKEN}{{.ID}}", "${attr.kernel.name}{{ env `X` }}"):
        with pytest.raises(InvalidJob, match=r"'x' (would become code|decides the structure)"):
            nomad_values.read(nomad.parse, file, {"x": value})
    if field != "delimiter":
        assert nomad_values.read(nomad.parse, file, {"x": "plain"})


EXPRESSIONS = [
    "var.x",
    "upper(var.x)",
    "title(var.x)",
    "trimspace(var.x)",
    "substr(var.x, 1, 3)",
    'trimprefix(var.x, "$")',
    'replace(var.x, "a", "{")',
    'replace(var.x, "VAULT", "$${VAULT")',
    'regex_replace(var.x, "[^ -~]", "")',
    'regex_replace(var.x, "([A-Z]+)", "$${$1}")',
    'join("$", split("a", var.x))',
    'join("$${", split("a", var.x))',
    "jsonencode([var.x])",
    "jsondecode(var.json)[0]",
    "yamlencode({ (var.x) = 1 })",
    "yamldecode(var.json)[0]",
    "base64encode(var.x)",
    "base64decode(var.base64)",
    "base64decode(base64decode(var.twice))",
    "jsondecode(base64decode(var.json_base64))[0]",
    'try(base64decode(var.base64), "none")',
    'try(yamldecode(var.x).a, var.x, "none")',
    "urlencode(var.x)",
    "sha256(var.x)",
    'format("%q and %s", var.x, var.y)',
    'format("%#v", var.list)',
    'join("", sort(var.list))',
    'join("", setunion(var.list, ["q"]))',
    'join("", concat(var.list, ["a"]))',
    "element(var.list, 1)",
    'join("", [for key, value in var.table : "${key}${value}"])',
    '"%{ for item in var.list }${item}%{ endfor }"',
    'merge({ a = var.x }, var.table)["a"]',
    "zipmap([var.x], [var.x])[var.x]",
    'csvdecode("a,b\\n${var.x},c")[0].a',
    'var.x == "dev" ? "$${NOMAD_ALLOC_INDEX}" : var.x',
    'strlen(var.x) > 4 ? var.x : "$${NOMAD_ALLOC_INDEX}"',
    'lookup({ dev = "$${NOMAD_ALLOC_INDEX}" }, var.x, "none")',
    '"a $${NOMAD_ALLOC_INDEX} ${var.x} $${NOMAD_ALLOC_INDEX}"',
    '"$${NOMAD_${var.y}}"',
    '"$${${var.y}"',
    '"${var.y}${var.x}"',
    '"${var.y}{VAULT_TOKEN}"',
]
"""What may be done with values in a job file; there is no function of HCL that couldn't stand here."""


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_expression_makes_a_value_code(nomad: NomadClient, expression: str) -> None:
    head = "".join(f'variable "{name}" {{}}\n' for name in ("x", "y", "json", "base64", "twice", "json_base64"))
    head += 'variable "list" { type = list(string) }\nvariable "table" { type = map(string) }\n'
    fields = f'env {{\n A = {expression}\n OWN = "${{NOMAD_ALLOC_INDEX}}"\n }}\n config {{\n args = [{expression}]\n }}'
    data = f'template {{\n destination = "a"\n data = format("{{{{ env \\"X\\" }}}} %v", {expression})\n }}'
    files = [f'{head}job "app" {{\n group "g" {{\n task "t" {{\n {part}\n }}\n }}\n }}' for part in (fields, data)]
    chance = random.Random(expression)
    for text in [*chance.sample(PIECES, 2), *hostile(2, chance.randrange(1000))[-2:], "${NOMAD_ALLOC_INDEX}", "dev"]:
        given = _encodings(text, chance.choice(["$", "{", "x", "}", "${", "VAULT_TOKEN"]))
        with suppress(InvalidJob):
            # The author's own `${…}` is acted on, and nothing else.
            plain = nomad.parse(files[0].replace("$${NOMAD_ALLOC_INDEX}", "@own@"), hcl.assignments(given))
            wanted = str(_task(plain)["Env"]["A"]).replace("@own@", "0")
            job = nomad_values.read(nomad.parse, files[0], given)
            argument = configured(str(_task(job)["Config"]["args"][0]))
            assert [*map(composed, (environment(job)["A"], argument))] == [composed(wanted)] * 2
            assert environment(job)["OWN"] == "0"
        with suppress(InvalidJob):
            text_of = _task(nomad_values.read(nomad.parse, files[1], given))["Templates"][0]["EmbeddedTmpl"]
            code = "".join(
                sign for sign, place in zip(text_of, places(text_of), strict=True) if place is not Place.TEXT
            )
            assert code == '{{ env "X" }}'


def _encodings(text: str, other: str) -> dict[str, Any]:
    once = base64.b64encode(text.encode())
    return {
        "x": text,
        "y": other,
        "json": json.dumps([text]),
        "base64": once.decode(),
        "twice": base64.b64encode(once).decode(),
        "json_base64": base64.b64encode(json.dumps([text]).encode()).decode(),
        "list": [text, other, "dev"],
        "table": {text or "e": text, "k": other},
    }


MADE = [
    'join("", [for n in var.codes : jsondecode(format("\\"\\\\u%04x\\"", n))])',
    'join("", [for h in var.hex : jsondecode("\\"\\\\u00${h}\\"")])',
    'join("", [for n in split(",", var.text) : jsondecode(format("\\"\\\\u%04x\\"", parseint(n, 10)))])',
    'join("", [for n in jsondecode(var.json) : yamldecode(format("\\"\\\\u%04x\\"", n))])',
    'join("", [for n in var.places : substr(local.alphabet, n, 1)])',
    'join("", [for n in var.places : element(local.signs, n)])',
    'join("", [for n in var.places : lookup(local.named, "sign${n}", "")])',
    'join("", [for n in var.places : regex_replace("a", "a", local.signs[n])])',
    'join("", [for n in var.places : csvdecode("a\\n${local.signs[n]}")[0].a])',
    'join("", [for t in var.long : jsondecode(format("\\"\\\\u%04x\\"", strlen(t)))])',
    'join("", [for l in var.lists : jsondecode(format("\\"\\\\u%04x\\"", length(l)))])',
    'join("", [for n in var.codes : base64decode(format("JDEyMw%s", n == 36 ? "==" : "=="))])',
]
"""How a job file makes characters of what has none."""


@pytest.mark.parametrize("expression", MADE)
@pytest.mark.parametrize("code", ["${VAULT_TOKEN}", '{{ env "NOMAD_JOB_NAME" }}', "A\nEXTRA=1"])
def test_no_expression_makes_code_of_numbers(nomad: NomadClient, expression: str, code: str) -> None:
    alphabet = "".join(sorted({*code, *"$aB1"}))
    given = {
        "codes": [*map(ord, code)],
        "hex": [f"{ord(sign):02x}" for sign in code],
        "text": ",".join(str(ord(sign)) for sign in code),
        "json": json.dumps([*map(ord, code)]),
        "places": [*map(alphabet.index, code)],
        "long": ["x" * ord(sign) for sign in code],
        "lists": [[1] * ord(sign) for sign in code],
    }
    head = "".join(f'variable "{name}" {{}}\n' for name in given)
    head += f"""locals {{
      alphabet = {json.dumps(alphabet)}
      signs = split("", local.alphabet)
      named = {{ for n, sign in local.signs : "sign${{n}}" => sign }}
    }}
    """
    template = f'template {{\n destination = "a"\n data = "A=${{{expression}}}\\n"\n env = ENV\n }}'
    parts = {
        "${VAULT_TOKEN}": [f"env {{\n A = {expression}\n }}", f"config {{\n args = [{expression}]\n }}"],
        "A\nEXTRA=1": [template.replace("ENV", "true")],
    }.get(code, [template.replace("ENV", "false")])
    for part in parts:
        file = f'{head}job "app" {{\n group "g" {{\n task "t" {{\n driver = "docker"\n {part}\n }}\n }}\n }}'
        if "JDEyMw" in expression:
            assert nomad_values.read(nomad.parse, file, given)
            continue
        with pytest.raises(
            InvalidJob, match=r"(would become code|decides the structure|does not identify|CSV parse error)"
        ):
            nomad_values.read(nomad.parse, file, given)


def test_numbers_and_conditions_stand_in_a_job(nomad: NomadClient) -> None:
    file = r"""
variable "n" { type = number }
variable "tls" { type = bool }
variable "size" { type = string }
variable "ports" { type = list(number) }
variable "environment" { type = string }
locals {
  sizes = { small = 20, large = 200 }
}
job "app" {
  group "g" {
    count = var.n
    network {
      port "http" { static = var.ports[0] }
    }
    task "t" {
      driver       = "docker"
      kill_timeout = "${var.n}s"
      config {
        args = concat(
          ["--n=${var.n}", var.tls ? "$${NOMAD_PORT_https}" : "$${NOMAD_PORT_http}"],
          [for p in var.ports : "-p${p}"]
        )
      }
      env {
        N     = var.n
        INDEX = "$${NOMAD_ALLOC_INDEX} of ${var.n}"
        TLS   = "${var.tls}"
      }
      template {
        destination = "a"
        data        = <<-EOT
          n = ${var.n}
          {{ range $i := loop ${var.n} }}{{ $i }}{{ end }}
          {{ key "environments/${var.environment}/${var.n}" }}
        EOT
      }
      template {
        destination = "b"
        env         = true
        data        = <<-EOT
          N=${var.n}
          TLS="${var.tls}"
          K={{ key "environments/${var.environment}/k" | toJSON }}
          {{ with secret "secret/data/environments/${var.environment}/key" }}KEY={{ .Data.data.key }}{{ end }}
        EOT
      }
      template {
        destination = "c"
        env         = true
        data        = join("\n", [for number, port in var.ports : "PORT_${number}=${port}"])
      }
      resources {
        cpu    = local.sizes[var.size]
        memory = 32 * var.n
      }
    }
  }
}
"""
    for tls in (True, False):
        given = {"n": 2, "tls": tls, "size": "large", "ports": [8080, 8081], "environment": "alpha"}
        assert nomad_values.read(nomad.parse, file, given)["TaskGroups"][0]["Count"] == 2


INJECT = Path(__file__).parents[1] / "cases" / "attack" / "inject"


@pytest.mark.parametrize("case", ["list.json", "text.json"])
def test_a_list_or_a_decoded_text_is_no_code_of_a_template(nomad: NomadClient, case: str) -> None:
    file = (INJECT / "app.nomad.hcl").read_text()
    plain = {"image": "any", "environment": NAME, "lines": ["plain"], "text": '["hi"]'}
    data = [found["EmbeddedTmpl"] for found in _task(nomad_values.read(nomad.parse, file, plain))["Templates"]]
    assert data == ["A: plain\n", "B: hi\n"]
    with pytest.raises(InvalidJob, match="could change the template"):
        nomad_values.read(nomad.parse, file, {**plain, **json.loads((INJECT / case).read_text())})


def _task(job: Any) -> Any:
    return job["TaskGroups"][0]["Tasks"][0]


def _handed(backends: Backends, allocation: str, name: str, *, raw: bool = False) -> list[str]:
    path = f"/v1/client/fs/cat/{allocation}?namespace={NAME}&path=app/local/{name}"
    found = str(backends.nomad.call("GET", path))
    return [found] if raw else base64.b64decode(found).decode().removesuffix("\0").split("\0")


def _await_start(backends: Backends, allocation: str) -> None:
    end = time.monotonic() + workloads.LIMIT
    while time.monotonic() < end:
        found = backends.nomad.call("GET", f"/v1/allocation/{allocation}?namespace={NAME}")
        state = found["TaskStates"]["app"]
        if state["Restarts"] and state["State"] == "running":
            time.sleep(1)
            return
        time.sleep(0.2)
    raise AssertionError("the task doesn't start again")
