"""What is wrong with a template: every fault at once, each with file, line and what was probably meant."""
# ruff: noqa: E501 - a row of a table is a line

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.bootstrap.providers import STEP_KINDS
from environments.checking import tasks
from environments.domain.faults import Fault
from environments.domain.template import make_bundle, parse_template
from environments.service.inspecting import template_faults

HEAD = '[template]\nname = "shop"\n'
PARAMETERS = """[parameters.tier]
type = "string"
default = "small"
[parameters.limits]
type = "object"
additionalProperties = false
default = { rps = 1 }
[parameters.limits.properties.rps]
type = "integer"
[parameters.count]
type = "integer"
default = 1
[parameters.key]
type = "string"
writeOnly = true
"""
JOB = """variable "environment" {}
variable "image" {
  type = string
}
variable "count" {
  type    = number
  default = 1
}
job "app" {
  group "app" {
    count = var.count
    network {
      mode = "bridge"
      port "http" {}
    }
    service {
      name = "${var.environment}--web"
      port = "http"
      check {
        type     = "http"
        path     = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }
    service {
      name = "${var.environment}--db"
      port = "http"
    }
    task "web" {
      driver = "docker"
      consul {}
      vault {}
      config {
        image = var.image
      }
      template {
        destination = "local/a"
        data        = <<-EOT
          {{ key (printf "environments/%s/tier" (env "NOMAD_NAMESPACE")) }}
        EOT
      }
      resources {
        memory = 64
      }
    }
  }
}
"""
SETTINGS = """[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { tier = "{{ parameters.tier }}" } }
"""
APP = """[[steps]]
name = "app"
uses = "nomad.job"
needs = ["settings"]
with = { file = "app.nomad.hcl", variables = { image = "{{ images.web }}", count = "{{ parameters.count }}" } }
"""
CHECK = """[[steps]]
name = "answers"
uses = "check.http"
needs = ["app"]
with = { service = "web" }
"""
OUTPUTS = """[outputs]
url = "{{ steps.app.services.web.url }}"
"""
GOOD = HEAD + PARAMETERS + SETTINGS + APP + CHECK + OUTPUTS
MODULE = """variable "size" {
  type = number
}
variable "zone" {
  default = "a"
}
locals {
  name = "x-${var.zone}"
}
module "inner" {
  source = "./inner"
}
output "id" {
  value = "${local.name}-${var.size}-${module.inner.x}"
}
output "password" {
  value     = "x"
  sensitive = true
}
"""
NET = """[[steps]]
name = "net"
uses = "opentofu.module"
with = { folder = "net", variables = { size = 3 } }
[outputs]
id = "{{ steps.net.id }}"
"""


def found(text: str, **files: str) -> list[Fault]:
    content = {"template.toml": text, "app.nomad.hcl": JOB, "net/main.tf": MODULE, "net/inner/main.tf": ""}
    content |= {path.replace("__", "/").replace("_hcl", ".hcl").replace("_tf", ".tf"): files[path] for path in files}
    return template_faults(make_bundle({path: text.encode() for path, text in content.items()}), STEP_KINDS)


def told(text: str, **files: str) -> list[str]:
    return [str(fault) for fault in found(text, **files) if not fault.warning]


def job(old: str, new: str) -> list[str]:
    """The faults of the good template when its job file says something else."""
    assert old in JOB
    changed = {"app.nomad.hcl": JOB.replace(old, new, 1)}
    content = {"template.toml": GOOD, **changed}
    bundle = make_bundle({path: text.encode() for path, text in content.items()})
    return [str(fault) for fault in template_faults(bundle, STEP_KINDS)]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_good_templates_have_no_faults() -> None:
    assert [*map(str, found(GOOD))] == []
    assert [*map(str, found(HEAD + NET))] == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        # keys and tables
        ('name = "shop"', 'nam = "shop"', 'template.nam: there is no such key; did you mean "name"?'),
        ("[template]", "[templat]", "there is no table [templat]; write [template]"),
        (OUTPUTS, "[output]\n", 'there is no table [output]; did you mean "[outputs]"?'),
        ('needs = ["app"]', 'need = ["app"]', "step 'answers': need: there is no such key; did you mean \"needs\"?"),
        ('needs = ["app"]', 'needs = ["ap"]', "step 'answers' needs 'ap', which is no step; did you mean \"app\"?"),
        ('"check.http"', '"check.htp"', "uses 'check.htp', which is no step kind"),
        ("[[steps]]\n", '[lifetime]\ndefault = "2d"\nmaximum = "1d"\n[[steps]]\n', "lifetime.default is longer than"),
        ('uses = "consul.kv"', 'uses = "consul.kv"\nneeds = ["answers"]', "the steps form a cycle: "),
        ('uses = "consul.kv"', 'uses = "consul.kv"\ntimeout = []', "step 'settings': timeout: it must be a duration"),
        ('uses = "consul.kv"', 'uses = "consul.kv"\non_failure = "stpo"', 'did you mean "stop"?'),
        ('service = "web"', 'servic = "web"', 'with.servic: there is no such key; did you mean "service"?'),
        ('service = "web"', 'service = "web", scheme = "htps"', 'did you mean "https"?'),
        ('service = "web"', 'service = "web", status = "{{ 900 }}"', "with.status: "),
        # schemas
        ('type = "string"\ndefault', 'type = ["null", "strng"]\ndefault', "there is no type 'strng'; did you mean \"string\"?"),
        ('default = "small"', 'default = "a"\nminLength = "1"', "parameters.tier.minLength: it must be a whole number, not '1'"),
        ('default = "small"', 'default = "a"\nminLength = -1', "parameters.tier.minLength: it must be at least 0, not -1"),
        ('default = "small"', 'defualt = "small"', "parameters.tier.defualt: 'defualt' is no keyword of JSON Schema; did"),
        ("default = 1\n[parameters.key]", "default = 1\nminimun = 3\n[parameters.key]", 'did you mean "minimum"?'),
        ('default = "small"', 'default = "a"\npatern = "a"', 'did you mean "pattern"?'),
        ('default = "small"', "default = 3", "parameters.tier.default: the default doesn't fit: 3 is not of type 'string'"),
        ('type = "string"\ndefault', 'type = "strng"\ndefault', "there is no type 'strng'; did you mean \"string\"?"),
        ('properties.rps]\ntype = "integer"', 'properties.rps]\ntype = "integer"\nmaxmum = 3', 'did you mean "maximum"?'),
        ('default = "small"', "default = 2026-11-26", "parameters.tier.default: 2026-11-26 is a date or a time"),
        ("rps = 1", "rps = inf", "parameters.limits.default.rps: inf is a number that JSON doesn't have"),
        # expressions
        ("{{ parameters.tier", "{{ parameters.teir", 'there is no parameters.teir; did you mean "parameters.tier"?'),
        ("{{ parameters.tier", "{{ parameter.tier", 'there is no name \'parameter\' in expressions; did you mean "parameters"?'),
        ("parameters.tier }}", "parameters.limits.rsp }}", 'did you mean "parameters.limits.rps"?'),
        ("parameters.tier }}", "parameters.tier | uper }}", "there is no filter 'uper'; did you mean \"upper\"?"),
        ("parameters.tier }}", "parameters.tier is stirng }}", "there is no test 'stirng'; did you mean \"string\"?"),
        ("{{ parameters.tier }}", "{{ lower(parameters.tier) }}", 'as a filter it is written "… | lower"'),
        ("parameters.tier }}", "parameters.tier.foo }}", "parameters.tier is a text, which has no 'foo'"),
        ("parameters.tier }}", "parameters.key }}", "parameters.key is a secret parameter, which expressions can't use"),
        ("parameters.tier }}", "environment.nme }}", 'did you mean "environment.name"?'),
        ("parameters.tier }}", "steps.app.job }}", "step 'settings' does not need 'app'; add \"app\" to its needs"),
        ("parameters.tier }}", "steps.settings.prefix }}", "is an output of this step itself"),
        ("{{ parameters.tier }}", "{{ parameters.tier", "unexpected end of template"),
        *(
            ("{{ parameters.tier }}", said, "an expression can't read other files: there are no include,")
            for said in ("{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as x %}", "{% from 'x' import y %}")
        ),
        ('{ tier = "{{ parameters.tier }}" }', '{ tier = [{ a = ["{{ parameters.teir }}"] }] }', "with.keys.tier[0].a[0]: "),
        ("services.web.url", "services.wbe.url", 'did you mean "steps.app.services.web"?'),
        ("services.web.url", "services.db.url", "steps.app.services.db.url is not known: neither a check nor a tag"),
        ("services.web.url", "service.web.url", 'there is no steps.app.service; did you mean "steps.app.services"?'),
        ("steps.app.services", "steps.ap.services", 'there is no steps.ap; did you mean "steps.app"?'),
        ("steps.app.services.web.url", "steps.settings.keys.teir", 'did you mean "steps.settings.keys.tier"?'),
        ("{{ parameters.tier }}", "{{ parameters.tier + }}", "with.keys.tier: the expression ends too early: a value is missing"),
        ("{{ parameters.tier }}", "{{ parameters.tier tier }}", "with.keys.tier: an operator is missing before 'tier'"),
        ("{{ parameters.tier }}", "{{ (1 }}", "with.keys.tier: ')' is missing before '}'"),
        ("{{ parameters.tier }}", "{{ 1 & 2 }}", "with.keys.tier: '&' can't stand in an expression"),
        ("{{ parameters.tier }}", "{% if true %}x", "with.keys.tier: {% if %} has no {% endif %}"),
        ("{{ parameters.tier }}", "{% foo %}", "with.keys.tier: there is no tag {% foo %}"),
        ("{{ parameters.tier }}", "{% endif %}", "with.keys.tier: {% endif %} ends nothing: there is no {% if %} before it"),
        ("{{ parameters.tier }}", "{% include 'x' %}", "with.keys.tier: an expression can't read other files"),
        ("{{ parameters.tier }}", "{{ 'a'.nope }}", "with.keys.tier: a text has no 'nope'"),
        # step kinds
        ('service = "web"', 'service = "web", status = 9', "with.status: it must be at least 100"),
        ('service = "web"', 'service = "web", scheme = "ftp"', "with.scheme: it must be 'http' or 'https'"),
        ('uses = "consul.kv"', 'uses = "consul.kv"\nretries = -1', "step 'settings': retries: it must be at least 0"),
        (OUTPUTS, OUTPUTS + 'wrong = 5\n', "outputs.wrong: it must be a text or a table"),
        ('service = "web"', 'service = "wbe"', "no step makes a service 'wbe'; did you mean \"web\"?"),
        ('"app.nomad.hcl"', '"ap.nomad.hcl"', 'has no file \'ap.nomad.hcl\'; did you mean "app.nomad.hcl"?'),
        ("tier = \"{{ parameters.tier }}\"", "tier = 2026-11-26", "step 'settings': with.keys.tier: 2026-11-26 is a date"),
        ("{ tier = ", '{ "/x" = 1, tier = ', "'/x' can't be a key"),
        (", count =", ", cuont = 1, count =", "app.nomad.hcl declares no variable 'cuont'"),
        ('"{{ parameters.count }}"', '"{{ parameters.limits }}"', "must be a number, and parameters.limits is a table"),
        ('"{{ parameters.count }}"', '"many"', "with.variables.count: the variable 'count' must be a number"),
        (
            CHECK,
            '[[steps]]\nname = "pw"\nuses = "vault.secret"\nwith = { from_parameters = { a = "kye" } }\n' + CHECK,
            "'kye' is no parameter with writeOnly = true; did you mean \"key\"?",
        ),
        (
            CHECK,
            '[[steps]]\nname = "pw"\nuses = "vault.secret"\nwith = { from_parameters = { a = "tier" } }\n' + CHECK,
            "set writeOnly = true in [parameters.tier]",
        ),
        *(
            (CHECK, f'[[steps]]\nname = "cert"\nuses = "vault.certificate"\nwith = {{ {options} }}\n{CHECK}', said)
            for options, said in [
                ('names = ["*.example.com"]', "with.names[0]: no certificate is issued for the wildcard"),
                ('names = ["bad name"]', "'bad name' is no DNS name"),
                ('names = ["münchen.example"]', 'write "xn--mnchen-3ya.example"'),
                ('names = ["a_b.example"]', "a name has no underscore"),
                ('names = ["a.example."]', 'ends with a dot, so it matches no address; write "a.example"'),
                ('service = "web", ttl = "1m"', "1m is too short"),
                ('service = "web", ttl = "3655d"', "3655d is longer than the CA is valid"),
                ('service = "a_b"', "'a_b' can't be the name of a service"),
            ]
        ),
    ],
)  # fmt: skip
def test_a_fault_of_the_template_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    said = told(text)
    assert any(fault in one for one in said), said
    assert len(said) == 1, said
    line = int(said[0].split(":")[1])
    changed = [number for number, one in enumerate(text.splitlines(), 1) if one not in GOOD.splitlines()]
    if changed and "cycle" not in fault:
        assert line in changed, (said, changed)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("memory = 64", "memroy = 64", 'there is no argument \'memroy\' in a block \'resources\'; did you mean "memory"?'),
        ("resources {", "resuorces {", 'there is no block \'resuorces\' in a block \'task\'; did you mean "resources"?'),
        ('driver = "docker"', 'driver = "dokcer"', "there is no driver 'dokcer'; did you mean \"docker\"?"),
        ("image = var.image", "imgae = var.image", "the driver 'docker' has no option 'imgae'; did you mean \"image\"?"),
        ("count = var.count", "count = var.cuont", "var.cuont is used, but no variable 'cuont' is declared; did you"),
        ("count = var.count", 'count = "many"', "'count' must be a number, not 'many'"),
        ("count = var.count", "count = uper(var.count)", "there is no function 'uper'; did you mean \"upper\"?"),
        ("count = var.count", 'update { health_check = "manual" }', "health_check can't be \"manual\": Calvinverse never"),
        ("count = var.count", 'count = file("x")', "the function 'file' can't be used: Nomad's servers read no files"),
        ("count = var.count", "count = [1", "the block 'job' that begins here has no closing brace"),
        ("count = var.count", "memory = 3", "there is no argument 'memory' in a block 'group'"),
        ("vault {}", "vault = {}", "'vault' is a block in a block 'task', not an argument"),
        ("vault {}", 'vault {\n role = "root"\n}', "role can't be 'root': the role is the environment's"),
        ('interval = "1s"', 'interval = "1 second"', "'interval' must be a duration"),
        ('type     = "http"', 'type     = "htp"', "'type' can't be 'htp'; there are 'http', 'tcp', 'script', 'grpc'; did you"),
        ('port = "http"', 'port = "htp"', "no network of the group has a port 'htp'; did you mean \"http\"?"),
        ('"${var.environment}--web"', '"web"', 'write name = "${var.environment}--web"'),
        ('"${var.environment}--web"', '"${NOMAD_NAMESPACE}--web"', "does not begin with the environment's prefix"),
        ('"${var.environment}--web"', '"${var.environment}-web"', 'write name = "${var.environment}--web"'),
        ('"${var.environment}--web"', '"${var.environment}--my_web"', "'my_web' can't be the name of a service"),
        ('name = "${var.environment}--web"', "", "the service has no name"),
        ('job "app" {', 'job "App" {', "'App' can't be a job's name"),
        ('job "app" {', 'job "app" {\n  namespace = "other"', "namespace can't be 'other'"),
        ('job "app" {', 'job "app" {\n  type = "servcie"', 'did you mean "service"?'),
        ('variable "image" {', 'variable "imgae" {', "the variable 'imgae' has no default, and the step gives it no value"),
        ("type = string", "tpye = string", 'did you mean "type"?'),
        ('"environments/%s/tier" (env "NOMAD_NAMESPACE")', '"shop/%s/tier" (env "NOMAD_NAMESPACE")', "key reads 'shop/"),
        ('(printf "environments/%s/tier" (env "NOMAD_NAMESPACE"))', '"environments/other/tier"', "a job reads only what is"),
        ("environments/%s/tier", "environments/%s/teir", "no step writes the key 'teir'"),
        ('port "http" {}\n    }', 'port "http" {}\n    }\n    volume "x" {\n type = "host"\n source = "data"\n}', "host volume"),
        ('mode = "bridge"', 'mode = "host"', "mode can't be 'host': the group uses the node's network"),
        ("image = var.image", 'network_mode = "host"\n image = var.image', "network_mode can't be 'host': the task leaves the"),
        (
            "image = var.image",
            'network_mode = "container:x"\n image = var.image',
            "leave it out, or write network = \"host\" in [template] of template.toml",
        ),
        ("consul {}", 'consul {}\n volume_mount {\n volume = "x"\n destination = "/x"\n}', "the group has no volume 'x'"),
        ('task "web" {', "task {", "a block 'task' needs one name"),
        ('network {\n      mode = "bridge"\n', 'network { mode = "bridge"\n', "'network' in one line can hold one argument and nothing else"),
        ("resources {\n        memory = 64\n", "resources { memory = 64\n", "'resources' in one line can hold one argument"),
        ("resources {\n        memory = 64\n      }", "resources { memory = 64, cpu = 5 }", "a line end is missing behind the value of"),
        ("memory = 64\n      }", "memory = 64 }", "a line end is missing behind the value of 'memory'"),
        ("consul {}", "consul {} # x\n vault {} restart {}", "a line end is missing behind the block 'vault'"),
        ("memory = 64", "memory = 64 +", "the value of 'memory' ends too early"),
        ("memory = 64", "memory = 64 cpu = 5", "a line end is missing behind the value of 'memory'"),
        ("memory = 64", "memory = [1 2]", "a comma is missing"),
        ("memory = 64", "memory = { a = 1 b = 2 }", "a comma or a line end is missing"),
        ("memory = 64", "memory = max(1, ,2)", "here must be a value"),
        ("memory = 64", 'memory = "${1 +}"', "here must be a value"),
        ("memory = 64", "memory = [for a of [1] : a]", "the word 'in' is missing"),
        ("memory = 64", "memory = true ? 1", "the value of 'memory' ends too early"),
        ("memory = 64", "memory = var.image image", "a line end or an operator is missing before 'image'"),
        ("type = string", "type = any", "the variable 'image': a variable can't have the type 'any' in Nomad: it must be exact"),
        ("type = string", "type = object({ a = string, b = optional(number, 3) })", "can't have the type 'optional' in Nomad"),
        ("type = string", 'type = "string"', "the variable 'image': the type is written without quotes"),
        ("type = string", "type = list", "behind 'list' there must be what it holds, such as list(string)"),
        ("type = string", "type = strng", "there is no type 'strng'; did you mean \"string\"?"),
        ("default = 1\n}\njob", 'default = "x"\n}\njob', "the default of the variable 'count' must be a number"),
        ("default = 1\n}\njob", "default = [1]\n}\njob", "the default of the variable 'count' must be a number"),
    ],
)  # fmt: skip
def test_a_fault_of_the_job_file_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    said = job(old, new)
    assert any(fault in one for one in said), said
    line = line_of(JOB, old) - (new == "") if "brace" not in fault else 9
    lines = {int(one.split(":")[1]) for one in said if fault in one}
    assert lines <= set(range(line, line + 1 + new.count("\n") + old.count("\n"))), (said, line)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("var.size", "var.sise", "net/main.tf:14: var.sise is used, but no variable 'sise' is declared; did you mean"),
        ("local.name", "local.nam", 'did you mean "local.name"?'),
        ("module.inner", "module.iner", 'did you mean "module.inner"?'),
        ('"./inner"', '"./iner"', "net/main.tf:11: the module has no folder './iner'; did you mean \"./inner\"?"),
        ('"./inner"', '"../inner"', "'../inner' is outside of the module's folder"),
        ('variable "size"', 'variable "sise"', "the module declares no variable 'size'; did you mean \"sise\"?"),
        ('output "id"', 'outptu "id"', 'there is no block \'outptu\' at the top of a module\'s file; did you mean "output"?'),
        ('output "id"', 'output "ids"', 'there is no steps.net.id; did you mean "steps.net.ids"?'),
        ('output "id" {', 'output "id" {\n  sensitive = true', "steps.net.id is sensitive"),
        ("value = ", "valeu = ", "there is no argument 'valeu' in a block 'output'; did you mean \"value\"?"),
        ("type = number", 'type = number\n  default = "x"', "the default of the variable 'size' must be a number"),
        ("type = number", "type = number\n  defualt = 3", 'did you mean "default"?'),
        ("type = number", "type = 1 +", "the value of 'type' ends too early"),
        ("type = number", "type = list(number)", "with.variables.size: the variable 'size' must be a list"),
    ],
)  # fmt: skip
def test_a_fault_of_a_module_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    assert old in MODULE
    said = told(HEAD + NET, net__main_tf=MODULE.replace(old, new, 1))
    assert any(fault in one for one in said), said


def test_faults_are_told_all_at_once_and_in_their_order() -> None:
    text = GOOD.replace("{{ parameters.tier", "{{ parameters.teir").replace('service = "web"', 'servic = "web"')
    text = text.replace('default = "small"', "default = 3").replace("[outputs]", "[lifetime]\nx = 1\n[outputs]")
    said = told(text)
    assert len(said) == 4
    assert [one.split(": ")[0] for one in said] == sorted(
        (one.split(": ")[0] for one in said), key=lambda place: int(place.split(":")[1])
    )


@pytest.mark.parametrize(
    "value",
    [
        "{{ parameters.nothing | default('x') }}",
        "{{ 1 if parameters.nothing is defined else 2 }}",
        "{% for x in parameters.limits %}{{ x.y }}{{ loop.index }}{% endfor %}",
        "{{ parameters.limits.keys() | list }}",
        "{{ parameters.tier.upper() }}",
        "{{ parameters['tier'] }}",
        "{% set a = parameters.limits %}{{ a.b }}",
        "{{ images['build-agent'] }} {{ environment.id }}",
        "{{ namespace(x=1).x }}",
        "# {{ '{{ parameters.nothing }}' }}",
    ],
)
def test_what_can_be_rendered_is_no_fault(value: str) -> None:
    assert told(GOOD.replace('"{{ parameters.tier }}"', f'"""{value}"""')) == []


def test_what_only_one_step_can_have_is_refused_with_both_named() -> None:
    again = APP.replace('"app"', '"again"', 1)
    assert told(HEAD + PARAMETERS + SETTINGS + APP + again) == [
        "template.toml:31: step 'again': the Nomad job 'app' is what step 'app' makes; only one step can have it"
    ]
    other = again.replace("app.nomad", "other.nomad")
    assert (
        told(HEAD + PARAMETERS + SETTINGS + APP + other, **{"other.nomad_hcl": JOB.replace('job "app"', 'job "b"')})
        == []
    )
    more = SETTINGS.replace('"settings"', '"more"').replace("keys = {", "keys = { own = 1,")
    (key,) = told(HEAD + PARAMETERS + SETTINGS + more)
    assert key.endswith(
        "step 'more': the key 'tier' in Consul is what step 'settings' makes; only one step can have it"
    )


def test_a_secret_that_no_step_makes_is_a_warning() -> None:
    """Somebody may put it there: that is how the world is, and the task waits for it."""
    wanted = '{{ with secret (printf "secret/data/environments/%s/nothing" (env "NOMAD_NAMESPACE")) }}{{ end }}'
    text = JOB.replace('{{ key (printf "environments/%s/tier" (env "NOMAD_NAMESPACE")) }}', wanted)
    [warning] = found(GOOD, **{"app.nomad_hcl": text})
    assert warning.warning
    assert str(warning).startswith(
        f"app.nomad.hcl:{line_of(text, wanted)}: no step of the kind vault.secret has the name"
    )


def test_an_image_that_is_not_published_is_a_warning() -> None:
    """It may be published before the first environment is made."""
    bundle = make_bundle({"template.toml": GOOD.encode(), "app.nomad.hcl": JOB.encode()})
    assert template_faults(bundle, STEP_KINDS, images=["web"]) == []
    [warning] = template_faults(bundle, STEP_KINDS, images=["wbe", "base"])
    assert warning.warning
    said = "step 'app': with.variables.image: no image 'web' is published; until one is, the step fails"
    assert warning.sentence == f'{said}; did you mean "wbe"?'
    assert warning.line == line_of(GOOD, "images.web")


def test_what_is_read_although_it_stands_elsewhere_is_a_warning() -> None:
    """Templates that were pushed with it are read as they were."""
    text = (
        'version = "2"\n' + HEAD + 'lifetime.default = "1h"\n' + SETTINGS.replace("parameters.tier", "environment.id")
    )
    assert [str(fault) for fault in found(text) if fault.warning] == [
        "template.toml:1: version stands outside of [template]; it belongs in [template]",
        "template.toml:4: template.lifetime: it stands inside of [template]; [lifetime] is a table of its own",
    ]
    assert told(text) == []
    assert parse_template(text).version == "2"


def test_a_label_needs_no_quotes() -> None:
    assert job('job "app" {', "job app {") == []
    assert job('task "web" {', "task web {") == []


@pytest.mark.parametrize(
    "good",
    [
        'c = { a = b ? c : d, "e${1}" : "f",\n (g) = -1\n h.i = !true }',
        "c = [for x, y in { a = 1 } : {\n a = x\n b = 1\n } if y != null]\n d = {for k in [1] : k => k...}",
        'c = merge({ a = 1 }, {\n b = 2\n })["b"]\n d = (1\n + 2) * max([1, 2]...)\n e = {}\n f = []',
        'c = "%{ if true ~}x%{ else }y%{ endif }${~ 1 ~}"\n d = split(<<EOT\n x } ${upper("}")}\nEOT\n, "")\n e = [{}][*].a',
        "c = [ # x\n 1, // y\n 2 /* z */,\n ]\n d = 1e+5 > 2 && true || 3 % 2 == 1 ? [\n1] : []",
    ],
)  # fmt: skip
def test_expressions_that_nomad_reads_are_no_faults(good: str) -> None:
    text = f"locals {{\n {good.replace('b ? c : d', 'true ? 1 : 2')}\n}}\nlocals {{ one = 1 }}\nlocals {{}}\n{JOB}"
    assert told(GOOD, **{"app.nomad_hcl": text.replace("(g)", '("g")').replace("h.i", "h")}) == []


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("number", '"3"'), ("number", "null"), ("bool", '"1"'), ("string", "true"), ("set(string)", "[]"),
        ("object({ any = string })", "{ any = 1 }"), ("map(list(string))", "{ for a in [1] : a => a }"),
        ("tuple([string, number])", '["a", 1]'), ("number", '[1, "]"][0]'), ("number", "(1 + 2)"),
    ],
)  # fmt: skip
def test_a_default_that_nomad_converts_is_no_fault(kind: str, default: str) -> None:
    text = f'variable "x" {{\n  type = {kind}\n  default = {default}\n}}\n{JOB}'
    assert told(GOOD, **{"app.nomad_hcl": text}) == []


def test_a_text_without_an_end_is_one_fault() -> None:
    assert job("memory = 64", "memory = <<EOT\nx ${") == ["app.nomad.hcl:44: the text that begins here has no end"]


def test_a_wrong_value_is_told_once_and_in_plain_words() -> None:
    steps = """[[steps]]
uses = "consul.kv"
[[steps]]
name = "pw"
uses = "vault.secret"
with = { generate = { a = { length = 3, alphabet = "x" } }, values = { c = [1] } }
[[steps]]
name = "tested"
uses = "consul.kv"
with = { keys = { j = "{{ 'a' is notest }}" } }
[outputs]
a = "{{ steps.nope.x }}"
"""
    assert [fault.split(": ", 1)[1] for fault in told(HEAD + steps)] == [
        "step 1: name: it is missing",
        "step 1: with.keys: it is missing",
        "step 'pw': with.generate.a.length: it must be at least 8",
        "step 'pw': with.generate.a.alphabet: it must have at least 2 characters",
        "step 'pw': with.values.c: it must be a text, a number, or true or false",
        "step 'tested': with.keys.j: there is no test 'notest'; did you mean \"test\"?",
        "output 'a': there is no steps.nope; there are: pw, tested",
    ]


@pytest.mark.parametrize("deep", [f"[{'.'.join('a' * 50_000)}]", f"x = {'[' * 5000}{']' * 5000}"])
def test_what_is_nested_too_deeply_to_be_worked_with_is_one_fault(deep: str) -> None:
    assert told(f"{HEAD}{deep}\n") == ["template.toml: template.toml is nested too deeply"]


def test_a_byte_order_mark_says_nothing() -> None:
    """Editors of Windows begin files with it."""
    assert [*map(str, found(f"\ufeff{GOOD}", **{"app.nomad_hcl": f"\ufeff{JOB}"}))] == []
    assert parse_template(f"\ufeff{GOOD}").name == "shop"


ANYTHING = st.text(alphabet="ab \t{}\"'$%<=#/*\\.[]()-é", max_size=40)


@settings(max_examples=150, deadline=None)
@given(ANYTHING, ANYTHING, ANYTHING)
def test_comments_heredocs_and_texts_never_change_the_verdict(one: str, two: str, three: str) -> None:
    """Whatever stands in them: `job "x" {`, a brace too many, the name of a variable that isn't there."""
    quoted = one.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    inert = two.replace("${", "$${").replace("%{", "%%{")
    text = JOB.replace(
        'job "app" {',
        f'# {one}\n// {two}\n/* {three.replace("*/", "")}\njob x {{ */\nlocals {{\n  a = "{quoted}"\n'
        f'  b = <<EOT\n {inert}\n job "no" {{ var.nothing\nEOT\n}}\njob "app" {{ # {three}\n',
    )
    assert [*map(str, found(GOOD, **{"app.nomad_hcl": text}))] == []


DATA = '{{ key (printf "environments/%s/tier" (env "NOMAD_NAMESPACE")) }}'


@pytest.mark.parametrize(
    "good",
    [
        '{{/* key "other/path" */}}{{- /* secret "secret/data/other" */ -}}{{/* }} {{ kee */}}',
        '{{ "{{ key \\"other\\" }}" }}{{ `{{ key "x" }} {{ if` }} $${x} %%{y} {{ "{{" }} }}',
        '{{ if true }}a{{ else if false }}b{{ else }}c{{ end }}{{ with $k := "a" }}{{ $k }}{{ end }}',
        '{{- range $i, $v := ls "environments/${var.environment}/x" -}}{{ continue }}{{ break }}{{ else }}{{ end -}}',
        '{{ with secret (printf "secret/data/environments/%s/x" (env "NOMAD_NAMESPACE")) }}{{ .Data.data.key | toJSON }}{{ end }}',
        '{{ sprig_upper "a" }}{{ "a" | toUpper | base64Encode | indent 2}}{{ define "T" }}x{{ end }}{{ template "T" . }}',
        "{{ scratch.Set \"a\" 'b' }}{{ (index (services) 0).Name }}{{ add -1 +1.5e+3 0x1F }}{{ printf `\\\n` | print }}",
        "{{ if ${local.open} }}{{ ${local.end} }} ${local.more} {{ end }}{{ end }}",
        "{{ if\n  true }}x{{ end }}",
        "no action }} at all, 'a \"quote",
    ],
)  # fmt: skip
def test_what_nomad_reads_in_a_template_is_no_fault(good: str) -> None:
    locals_ = 'locals {\n  open = "true"\n  end = "end"\n  more = "{{ if true }}"\n}\n'
    text = locals_ + JOB.replace(DATA, good)
    assert told(GOOD, **{"app.nomad_hcl": text}) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("{{ if true }}x", "the 'if' that begins here has no end; write {{ end }} behind its content"),
        ("{{ range services }}{{ with .Name }}{{ end }}", "the 'range' that begins here has no end"),
        ("x{{ end }}", "this 'end' has no block to end"),
        ("{{ else }}", "this 'else' belongs to no 'if', 'range' or 'with'"),
        ("{{ break }}", "'break' is outside of a 'range'"),
        ("{{ if }}x{{ end }}", "a value must follow 'if'"),
        ("{{ define }}x{{ end }}", "a name in quotes must follow 'define'"),
        ("{{ if true }}{{ end x }}", "nothing can follow 'end'"),
        ('{{ kee "a" }}', "there is no function 'kee' in templates; did you mean \"key\"?"),
        ("{{ .a | tojson }}", "there is no function 'tojson' in templates; did you mean \"toJSON\"?"),
        ("{{ .a | }}", "a function or a value is missing after '|'"),
        ("{{ | toJSON }}", "a function or a value is missing before '|'"),
        ('{{ .a | "b" }}', '"b" is no function; a pipe must lead to a function'),
        ('{{ "a }}', "the text that begins here has no closing quote"),
        ('{{ "a\n" }}', "the text that begins here has no closing quote"),
        ("{{ env `a }}", "the text that begins here has no closing quote"),
        ('{{ env "a"', "the action that begins here has no end"),
        ("{{/* a }}", "the comment that begins here has no end"),
        ('{{ print (env "a" }}', "the bracket that begins here has no end"),
        ('{{ env "a") }}', "there is one closing bracket too many"),
        ("{{ .Data.my-key }}", "'-' can't stand in an action"),
        ("{{ }}", "the action is empty"),
    ],
)  # fmt: skip
def test_what_keeps_a_template_of_a_job_from_being_read_is_told(bad: str, fault: str) -> None:
    [said] = job(DATA, bad)
    assert said.startswith(f"app.nomad.hcl:{line_of(JOB, DATA)}: in the template: {fault}")


def test_a_fault_reaches_whoever_asks_with_its_place() -> None:
    """Through the process that checks, as JSON."""
    bundle = make_bundle({"template.toml": GOOD.replace("tier }}", "teir }}").encode(), "app.nomad.hcl": JOB.encode()})
    answer = tasks.read(tasks.answer(_encoded(bundle), STEP_KINDS, lambda place: None))
    [told] = answer
    assert told["file"] == "template.toml"
    assert (told["line"], told["suggestion"]) == (line_of(GOOD, "tier }}"), 'did you mean "parameters.tier"?')
    assert "path" not in told


def _encoded(bundle: object) -> bytes:
    import json

    return json.dumps(tasks.ask_template(bundle)).encode()  # type: ignore[arg-type]


STARTERS = [f"environments/starters/{name}" for name in ("page", "stack", "module")]


@pytest.mark.parametrize(
    "folder", ["environments/templates/web", "environments/templates/preview", "jobs/meta", "jobs/build", *STARTERS]
)
def test_shipped_templates_have_no_faults(folder: str) -> None:
    root = Path(__file__).parents[3] / folder
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert [*map(str, template_faults(make_bundle(files), STEP_KINDS))] == []
