"""What only Nomad finds wrong with a job file is found when a template is checked, and nothing else is."""

import pytest

from environments.bootstrap.providers import STEP_KINDS
from environments.domain.template import Bundle, make_bundle
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.validation import NomadJudge
from environments.service.inspecting import template_faults
from tests.cases.table import HERE, Ends, read
from tests.support.cluster import Cluster

TEMPLATE = """[template]
name = "judged"
version = "1"
{parameters}
[[steps]]
name = "app"
uses = "nomad.job"
with = {{ file = "app.nomad.hcl", variables = {{ image = "{image}" }} }}
"""

KNOWN = ("{{ images.base }}", "")
GUESSED = ("{{ parameters.image }}", '[parameters.image]\ntype = "string"\n')


NETWORK = 'network {\nmode = "bridge"\n}'


def job(task: str = "", *, group: str = NETWORK, inside: str = "", before: str = "") -> str:
    return (
        f'variable "environment" {{}}\nvariable "image" {{}}\n{before}job "app" {{\n{inside}\ngroup "g" {{\n{group}\n'
        f'task "t" {{\ndriver = "docker"\nconfig {{\nimage = var.image\n}}\n{task}\n}}\n}}\n}}\n'
    )


CHECK = (
    'network {{\nmode = "bridge"\nport "http" {{}}\n}}\n'
    'service {{\nname = "${{var.environment}}--a"\nport = "http"\n{}\n}}'
)

FAULTS = {
    job('template {\ndata = "x"\n}'): "Template 1: Must specify a destination",
    job('template {\ndata = "x"\ndestination = "../../x"\n}'): "destination escapes allocation directory",
    job(group=CHECK.format('check {\ntype = "http"\npath = "/"\ntimeout = "2s"\n}')): "missing required value interval",
    job(group=CHECK.format('check {\ninterval = "2s"\ntimeout = "2s"\n}')): "invalid check type",
    job('}\ntask "t" {\ndriver = "docker"\nconfig {\nimage = var.image\n}'): "Task 2 redefines 't' from task 1",
    job(inside='type = "batch"\nperiodic {\ncrons = ["61 * * * *"]\n}'): 'Invalid cron spec "61 * * * *"',
    job(inside='periodic {\ncrons = ["@daily"]\n}'): "Periodic can only be used with",
    job(inside="priority = 500"): "job priority must be between",
    job('constraint {\nattribute = "${attr.x}"\noperator = "=~"\nvalue = "x"\n}'): 'Unknown constraint type "=~"',
    job('artifact {\nsource = "https://x/y"\nmode = "tar"\n}'): 'invalid artifact mode "tar"',
    job("resources {\ncpu = 20\n}\nresources {\ncpu = 30\n}"): "Duplicate resources block",
    job(group=f"count = -1\n{NETWORK}"): "count can't be negative",
    job("env {\nA = upper([1])\n}"): "Invalid function argument",
    job("env {\nA = upper()\n}"): "Not enough function arguments",
    job('env {\nA = ["x"]\n}'): "string required, but have tuple",
}

SAFE = [
    job(),
    job("env {\nA = var.image\n}", group=CHECK.format("")),
    job(before='variable "more" {\ntype = map(string)\ndefault = {}\n}\n', inside="meta = var.more"),
    job('vault {}\ntemplate {\ndata = "x"\ndestination = "local/x"\n}'),
]


@pytest.fixture
def judge(cluster: Cluster) -> NomadJudge:
    return NomadJudge(NomadClient(lambda: cluster.connections))


def checked(judge: NomadJudge, bundle: Bundle) -> list[str]:
    found = template_faults(bundle, STEP_KINDS)
    return [str(fault) for fault in [*found, *judge(bundle, found, {})]]


def bundle(text: str, image: str, parameters: str) -> Bundle:
    template = TEMPLATE.format(image=image, parameters=parameters)
    return make_bundle({"template.toml": template.encode(), "app.nomad.hcl": text.encode()})


def test_what_only_nomad_finds_is_found_when_a_template_is_checked(judge: NomadJudge) -> None:
    for text, said in FAULTS.items():
        for image, parameters in (KNOWN, GUESSED):
            found = checked(judge, bundle(text, image, parameters))
            assert any(said in line for line in found), (text, image, found)
            assert all(line.startswith("app.nomad.hcl:") for line in found), found
    for text in SAFE:
        for image, parameters in (KNOWN, GUESSED):
            assert checked(judge, bundle(text, image, parameters)) == []
    # What depends on a guess is nobody's fault.
    unknown = job('kill_timeout = var.image\nenv {\nA = var.image["a"]\n}')
    assert checked(judge, bundle(unknown, *GUESSED)) == []


def test_nomad_finds_nothing_wrong_with_templates_that_are_valid(judge: NomadJudge) -> None:
    refused = {}
    for case in read(HERE):
        if case.ends is not Ends.REFUSED:
            template = case.bundle()
            found = template_faults(template, STEP_KINDS)
            if told := [str(fault) for fault in judge(template, found, {})]:
                refused[case.name] = told
    assert refused == {}
