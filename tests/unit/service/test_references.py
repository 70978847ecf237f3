"""References to secrets: values of a type of their own, which no text and no JSON of people or modules becomes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.environment import Environment
from environments.domain.errors import InvalidTemplate
from environments.domain.lifecycle import State
from environments.domain.references import MASK, SecretReference, from_json, references_in, to_json
from environments.domain.template import make_bundle, parse_template
from environments.domain.template_parts import Output
from environments.engine.contexts import Contexts
from environments.service.reading import shown_outputs
from environments.service.rendering import render
from environments.service.secret_outputs import checked_output, option_faults, output_faults
from tests.fakes.things import FakeThings, thing_registry

REFERENCE = SecretReference("env-1", "password", "environments/demo/password", "password")

plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["$secret", "$$secret", "a"]) | st.text(), inner),
    max_leaves=8,
)
references = st.builds(SecretReference, st.text(), st.text(), st.text(), st.text())


# --- in JSON ----------------------------------------------------------------------------------------------------------


@given(plain_json)
def test_no_json_of_people_becomes_a_reference(value: Any) -> None:
    kept = json.loads(json.dumps(to_json(value)))
    assert from_json(kept) == value
    assert not any(references_in(from_json(kept)))


@given(references)
def test_a_reference_comes_back_from_json_wherever_it_stands(reference: SecretReference) -> None:
    value = {"references": {"a": reference}, "list": [reference]}
    kept = to_json(value)
    assert from_json(json.loads(json.dumps(kept))) == value
    # The same, typed by a person: it is kept so that it never is one.
    assert from_json(to_json(kept)) == kept


# --- in expressions ---------------------------------------------------------------------------------------------------

NAMES = {"steps": {"p": {"references": {"k": REFERENCE}, "path": "secret/data/x"}}, "parameters": {"x": "text"}}
WHOLE = "{{ steps.p.references.k }}"


@pytest.mark.parametrize("expression", [WHOLE, "{{ steps.p.references.k if true else parameters.x }}"])
def test_a_whole_reference_stays_one(expression: str) -> None:
    assert render(expression, NAMES, "here") is REFERENCE


@pytest.mark.parametrize(
    "expression",
    [
        "a {{ steps.p.references.k }}",
        "{{ steps.p.references.k }}\n.",
        "{{ steps.p.references.k }}{{ steps.p.references.k }}",
        "{{ steps.p.references }} all",
        "{% for r in [steps.p.references.k] %}{{ r }}{% endfor %}",
        "{% set r = steps.p.references.k %}{{ r }}",
    ],
)
def test_a_reference_is_not_written_into_a_text(expression: str) -> None:
    with pytest.raises(InvalidTemplate, match="here: the reference to the secret 'password' of step 'password'"):
        render(expression, NAMES, "here")


@pytest.mark.parametrize(
    "expression",
    [
        "{{ steps.p.references.k ~ '' }}",
        "{{ steps.p.references.k | string }}",
        "{{ [steps.p.references.k] | join }}",
        "{{ '%s' | format(steps.p.references.k) }}",
        "{{ steps.p.references.k.path }}",
        "{{ steps.p.references.k.before }}",
        "{{ parameters.x }}",
        "secret:environments/demo/password#password",
    ],
)
def test_a_text_that_was_made_of_a_reference_is_none(expression: str) -> None:
    value = render(expression, NAMES, "here")
    assert isinstance(value, str)
    with pytest.raises(InvalidTemplate, match="output 'x' is secret, but its value is no reference"):
        checked_output(value, Output(value=expression, secret=True), _environment(), "output 'x'")


@pytest.mark.parametrize("call", ["__class__('a','b','c','d')", "replace(path='x')", "model_copy()", "_asdict()"])
def test_an_expression_makes_no_reference_of_another(call: str) -> None:
    with pytest.raises(InvalidTemplate):
        render(f"{{{{ steps.p.references.k.{call} }}}}", NAMES, "here")


def test_a_reference_of_another_environment_is_no_secret_output() -> None:
    foreign = SecretReference("env-2", "password", "environments/demo/password", "password")
    output = Output(value=WHOLE, secret=True)
    assert checked_output(REFERENCE, output, _environment(), "output 'x'") is REFERENCE
    with pytest.raises(InvalidTemplate, match="no reference that a step of this environment made"):
        checked_output(foreign, output, _environment(), "output 'x'")


def test_a_reference_in_an_output_that_is_not_secret_is_refused() -> None:
    for value in (REFERENCE, {"a": [REFERENCE]}):
        with pytest.raises(InvalidTemplate, match="only a secret output"):
            checked_output(value, Output(value=WHOLE), _environment(), "output 'x'")


@pytest.mark.parametrize("kind", ["options", "nested"])
def test_a_step_is_not_told_a_reference(kind: str) -> None:
    """A key in Consul, a variable of a job, a path of a check: all of them are options."""
    says = "\"{{ steps['p']['references'].values() | first }}\""
    options = f"{{ says = {says if kind == 'options' else f'{{ a = [{says}] }}'} }}"
    template = f"""
[template]
name = "things"
[[steps]]
name = "p"
uses = "test.thing"
[[steps]]
name = "b"
uses = "test.thing"
needs = ["p"]
with = {options}
"""
    bundle = make_bundle({"template.toml": template.encode()})
    contexts = Contexts(thing_registry(FakeThings()), _environment(), bundle, {}, {})
    with pytest.raises(InvalidTemplate, match="step 'b': the reference to the secret 'password'"):
        contexts.prepare(bundle.template().step("b"), {"p": {"references": {"k": REFERENCE}}})


def test_a_secret_output_that_a_parameter_chose_fails_the_deployment_in_words() -> None:
    template = """
[template]
name = "t"
[parameters.x]
type = "string"
[[steps]]
name = "p"
uses = "vault.secret"
[outputs.it]
value = "{{ parameters.x or steps.p.references.k }}"
secret = true
"""
    bundle = make_bundle({"template.toml": template.encode()})
    given = {"p": {"references": {"k": REFERENCE}}}
    typed = _environment().model_copy(update={"parameters": {"x": "secret:environments/prod/database#password"}})
    for whole in (True, False):
        with pytest.raises(InvalidTemplate, match="output 'it' is secret, but its value is no reference"):
            Contexts(thing_registry(FakeThings()), typed, bundle, {}, {}).outputs(given, whole=whole)
    empty = typed.model_copy(update={"parameters": {"x": ""}})
    found = Contexts(thing_registry(FakeThings()), empty, bundle, {}, {}).outputs(given, whole=True)
    assert found["it"] == {"value": REFERENCE, "description": "", "secret": True}


# --- when a template is pushed ----------------------------------------------------------------------------------------

TEMPLATE = """
[template]
name = "t"
[parameters.x]
type = "string"
[[steps]]
name = "password"
uses = "vault.secret"
[[steps]]
name = "other"
uses = "consul.kv"
[outputs.it]
value = "{value}"
secret = {secret}
"""


@pytest.mark.parametrize(
    ("value", "secret", "says"),
    [
        ("{{ steps.password.references.password }}", True, None),
        ("{{ steps['password'].references['pass-word'] }}", True, None),
        ("{{ steps.password.references.a if parameters.x else steps.password.references.b }}", True, None),
        ("{{ parameters.x }}", True, "must be one whole expression"),
        ("secret:environments/demo/password#password", True, "must be one whole expression"),
        ("x{{ steps.password.references.password }}", True, "must be one whole expression"),
        ("{{ steps.password.path }}", True, "steps.password.path is no reference"),
        ("{{ steps.other.references.password }}", True, "steps.other.references.password is no reference"),
        ("{{ steps.password.references.password }}", False, "that reference alone, with secret = true"),
        ("x{{ steps.password.references.password | upper }}", False, "that reference alone, with secret = true"),
        ("{{ steps.other.url }}", False, None),
    ],
)
def test_what_can_be_seen_of_an_output_is_told_at_once(value: str, secret: bool, says: str | None) -> None:
    template = parse_template(TEMPLATE.format(value=value.replace('"', "'"), secret=str(secret).lower()))
    found = list(output_faults(template))
    assert [(says or "?") in fault.message for fault in found] == ([] if says is None else [True])
    if not secret:
        assert bool(list(option_faults(template, {"keys": [{"a": value}]}))) == (says is not None)


def test_what_looks_like_a_reference_stays_text_where_people_see_it() -> None:
    lookalike = "secret:environments/prod/database#password"
    shown = shown_outputs({"a": {"value": lookalike, "secret": False}, "b": {"value": [REFERENCE]}})
    assert (shown["a"].value, shown["a"].secret) == (lookalike, False)
    assert (shown["b"].value, shown["b"].secret) == (MASK, True), "hidden by its type"


def _environment() -> Environment:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Environment(
        id="env-1",
        name="demo",
        owner="ada",
        template="t",
        template_version="1",
        bundle="sha256:0",
        state=State.READY,
        state_since=now,
        created_at=now,
    )
