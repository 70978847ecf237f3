"""Blocks of HCL files: what is one, what only looks like one, and that looking grows linearly with the file."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.domain.errors import InvalidJob
from environments.providers.nomad.rules import declared, job_label
from environments.providers.opentofu.rules import _terraform_blocks
from environments.steps.hcl.tokens import Scanner
from environments.steps.hcl.tree import parse

TRICKS = """
# terraform { backend "s3" {} }
// terraform { backend "s3" {} }
/* terraform {
  backend "s3" {} */
locals {
  text  = "terraform { ${lookup({ a = "}" }, "a", "{")} backend {"
  other = "$${ not a template } %%{ nor this }"
  words = <<-EOT
    terraform {
      backend "s3" {
    ${ join(",", [for x in ["a"] : "${x} }"]) }
    EOT not yet
    EOT
  object = { terraform = { backend = {} } }
  merged = merge({ a = 1 }, {
    backend = {}
  })
}
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
output "out" { value = { backend = 1 } }
"""


def headers(text: str) -> list[tuple[str, ...]]:
    tree = parse(text)
    around = {id(block): outer for block, outer in tree.walk()}
    return [(block.kind, *block.labels) for block, outer in tree.walk() if outer is None or around[id(outer)] is None]


def test_blocks_are_told_from_what_looks_like_them() -> None:
    assert headers(TRICKS) == [("locals",), ("terraform",), ("required_providers",), ("output", "out")]
    assert _terraform_blocks("m.tf", TRICKS) == {"required_providers"}


@pytest.mark.parametrize(
    "text",
    [
        'terraform { backend "s3" {} }',
        'terraform {\n  backend "s3" {\n  }\n}',
        'terraform\t{\n/* } */ backend /* x */ "s3" { # {\n}\n}',
        'locals { a = "${"}"}" }\nterraform {\n  backend "local" {}\n}',
        'x = <<A\n${"\n}\nA\n"}\nA\nterraform {\n  backend "local" {}\n}',
        'a = "%{ if true }}%{ endif }"\nterraform { backend "local" {} }',
        "}}}\nterraform { backend local {} }",
        'terraform { required_version = ">1" }\nterraform { backend "s3" {} }',
    ],
)
def test_a_backend_is_seen_however_it_is_written(text: str) -> None:
    assert "backend" in _terraform_blocks("m.tf", text)


def test_a_job_file_is_read_with_the_same_rules() -> None:
    text = 'variable "a" {}\nvariable "b" { default = "job \\"x\\" {" }\n'
    text += '/* job "no" { */\njob "web" {\n group "g" {\n }\n}\n'
    assert job_label(text) == "web"
    assert declared(text, ["a"]) == {"a", "b"}
    with pytest.raises(InvalidJob, match="declares no variable 'c'"):
        declared(text, ["c"])
    with pytest.raises(InvalidJob, match="must contain one block"):
        job_label('locals {\n  x = <<E\njob "web" {\nE\n}\n')


@given(st.text(alphabet='ab1 \n{}"$%<-=#/*\\.', max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_in_two_steps_a_character_at_most(text: str) -> None:
    scanner = Scanner(text)
    assert all(token.text for token in scanner.tokens())
    assert scanner.steps <= 2 * len(text)
    for block, _ in parse(text).walk():
        assert block.kind


PARTS = [
    "/*",
    "<<a\n",
    "<<-a\nx\n",
    "a ",
    "a",
    '"',
    '"${',
    "${",
    "{",
    "}",
    "a {",
    '"\\',
    "%{",
    "<<",
    "<",
    "/",
    "#",
    "a=",
    "\n",
    '<<a\n${"',
    'a "b" {',
]


@pytest.mark.parametrize("part", PARTS)
def test_repeated_parts_cost_as_much_each_as_once(part: str) -> None:
    """Counted in steps and in the calls that they make."""

    def work(count: int) -> int:
        calls = 0

        def count_calls(*_: object) -> None:
            nonlocal calls
            calls += 1

        scanner = Scanner(part * count)
        sys.setprofile(count_calls)
        try:
            list(scanner.tokens())
            parse.__wrapped__(part * count)
        finally:
            sys.setprofile(None)
        return scanner.steps + calls

    few, many = work(200), work(2000)
    assert many <= 11 * few + 50
