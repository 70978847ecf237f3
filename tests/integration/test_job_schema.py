"""What is said of the blocks and arguments of job files is what Nomad says: each of them, on Nomad itself."""

from collections import deque
from collections.abc import Iterator

import pytest

from environments.domain.errors import InvalidJob
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.schema import CHOICES, FREE, FUNCTIONS, KINDS, NEEDED
from environments.providers.nomad.structure import structure_faults
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import parse
from tests.support.cluster import Cluster

VALUES = {"s": '"x"', "n": "1", "b": "true", "d": '"5s"', "l": '["x"]', "a": '{ a = "b" }'}
NUMBERS = {"exclude_outbound_ports"}


@pytest.fixture(scope="module")
def nomad(cluster: Cluster) -> NomadClient:
    return NomadClient(lambda: cluster.connections)


def places() -> dict[str, list[tuple[str, str]]]:
    """For each kind of block the blocks around it, outermost first, as name and kind."""
    found = {"job": [("job", "job")]}
    waiting = deque(["job"])
    while waiting:
        kind = waiting.popleft()
        for name, inner in KINDS[kind].blocks.items():
            if inner != FREE and inner not in found:
                found[inner] = [*found[kind], (name, inner)]
                waiting.append(inner)
    return found


def file(around: list[tuple[str, str]], inside: str) -> str:
    text = inside
    for name, kind in reversed(around):
        needed = NEEDED.get(kind, "")
        more = "" if not needed or f"{needed} =" in text else f"{needed} = {_value(kind, needed)}\n"
        label = ' "cpu"' if KINDS[kind].labels else ""
        text = f"{name}{label} {{\n{more}{text}\n}}"
    return text


def _value(kind: str, argument: str) -> str:
    if (kind, argument) in CHOICES:
        return f'"{CHOICES[kind, argument][0]}"'
    if (kind, argument) == ("task_scaling", "type"):
        return '"vertical_cpu"'
    if (kind, argument) == ("scaling", "type"):
        return '"horizontal"'
    return "[1]" if argument in NUMBERS else VALUES[KINDS[kind].arguments[argument]]


def refusal(nomad: NomadClient, text: str) -> str:
    try:
        nomad.parse(text, "")
    except InvalidJob as error:
        return error.message
    return ""


def written() -> Iterator[tuple[str, str]]:
    for kind, around in places().items():
        for argument in KINDS[kind].arguments:
            yield f"{kind}.{argument}", file(around, f"{argument} = {_value(kind, argument)}")
        for name, inner in KINDS[kind].blocks.items():
            if inner == FREE and (kind, name) not in {("check", "header"), ("gateway", "mesh")}:
                yield f"{kind}.{name}", file(around, f'{name} {{\n a = "b"\n}}')


def test_nomad_knows_every_argument_and_block_that_there_is_said_to_be(nomad: NomadClient) -> None:
    refused = {what: said for what, text in written() if (said := refusal(nomad, text))}
    assert refused == {}


@pytest.mark.parametrize("form", ["unheard = 1", "unheard {\n}"])
def test_what_there_is_said_not_to_be_is_refused_by_nomad(nomad: NomadClient, form: str) -> None:
    for around in places().values():
        text = file(around, form)
        assert any("unheard" in fault.message for fault in structure_faults(Source("x", parse(text))))
        assert "unheard" in refusal(nomad, text)


def test_nomad_knows_every_function(nomad: NomadClient) -> None:
    for name in sorted(FUNCTIONS):
        said = refusal(nomad, f'job "a" {{\n name = {name}()\n}}')
        assert "There is no function named" not in said


def test_a_label_needs_no_quotes(nomad: NomadClient) -> None:
    assert nomad.parse('job app {\n group g {\n task t {\n driver = "docker"\n}\n}\n}', "")["ID"] == "app"
