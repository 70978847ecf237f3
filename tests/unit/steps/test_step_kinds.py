"""consul.kv, vault.secret, vault.certificate and check.http on twins in memory."""

import pytest

from environments.domain.errors import ForeignResource, InvalidName, InvalidParameters, InvalidTemplate, StepTimeout
from environments.domain.references import SecretReference
from environments.domain.template import TEMPLATE_FILE
from environments.providers.consul.ports import Instance, Put
from environments.providers.http.check import Answer
from environments.steps.base import Owner, Presence
from environments.steps.marks import MARK
from tests.support.step_harness import ALPHA, TEMPLATE, Run, StepHarness, bundle

OTHER = Owner("env-2", "alpha")
PREFIX = "environments/alpha/"


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


# --- consul.kv ---


def test_keys_are_written_as_text_or_json(world: StepHarness) -> None:
    keys = {"a": "text", "b": 3, "c": [1, {"d": None}], "e/f": True, "g": "ü"}
    outputs = world.apply("consul.kv", {"keys": keys})
    tree = world.consul.tree(PREFIX)
    assert {key.removeprefix(PREFIX): entry.value.decode() for key, entry in tree.items()} == {
        ".owner": "env-1",
        "a": "text",
        "b": "3",
        "c": '[1, {"d": null}]',
        "e/f": "true",
        "g": "ü",
    }
    assert outputs["prefix"] == PREFIX
    assert outputs["keys"]["e/f"] == f"{PREFIX}e/f"
    world.apply("consul.kv", {"keys": {"a": "text"}, "encoding": "json"})
    assert world.consul.tree(PREFIX)[f"{PREFIX}a"].value == b'"text"'


def test_a_key_that_the_step_no_longer_has_is_deleted_and_those_of_other_steps_stay(world: StepHarness) -> None:
    world.apply("consul.kv", {"keys": {"a": 1, "b": 1}}, step="one")
    world.apply("consul.kv", {"keys": {"c": 1}}, step="two")
    world.apply("consul.kv", {"keys": {"b": 2}}, step="one")
    tree = world.consul.tree(PREFIX)
    assert {key.removeprefix(PREFIX): entry.value for key, entry in tree.items() if "owner" not in key} == {
        "b": b"2",
        "c": b"1",
    }


def test_unchanged_keys_are_not_written_again(world: StepHarness) -> None:
    world.apply("consul.kv", {"keys": {"a": 1}})
    before = world.consul.tree(PREFIX)
    run = Run()
    world.apply("consul.kv", {"keys": {"a": 1}}, run)
    assert world.consul.tree(PREFIX) == before
    assert run.effects == 0


def test_more_keys_than_a_transaction_takes_are_written(world: StepHarness) -> None:
    world.apply("consul.kv", {"keys": {f"k{number}": number for number in range(150)}})
    assert len(world.consul.tree(PREFIX)) == 151
    world.apply("consul.kv", {"keys": {"k0": 0}})
    assert len(world.consul.tree(PREFIX)) == 2


@pytest.mark.parametrize("key", [f"{PREFIX}.owner", f"{PREFIX}a"])
def test_a_prefix_of_somebody_else_is_neither_written_nor_deleted(world: StepHarness, key: str) -> None:
    world.consul.commit([Put(key, b"env-2")])
    before = world.consul.tree("")
    with pytest.raises(ForeignResource, match="environments/alpha/"):
        world.apply("consul.kv", {"keys": {"a": 1}})
    assert world.presence("consul.kv", PREFIX) is Presence.FOREIGN
    world.destroy("consul.kv", PREFIX)
    assert world.consul.tree("") == before


@pytest.mark.parametrize("key", [".owner", "/a", "a//b", "../b", "", "a b"])
def test_impossible_keys_are_refused(world: StepHarness, key: str) -> None:
    assert world.registry.executors["consul.kv"].check({"keys": {key: 1}}, bundle())
    with pytest.raises(InvalidTemplate):
        world.apply("consul.kv", {"keys": {key: 1}})


# --- vault.secret ---


def test_a_generated_secret_is_kept_when_applied_again(world: StepHarness) -> None:
    options = {"generate": {"password": {"length": 12, "alphabet": "xy"}}}
    outputs = world.apply("vault.secret", options, step="db")
    assert outputs == {
        "path": "secret/data/environments/alpha/db",
        "references": {"password": SecretReference("env-1", "db", "environments/alpha/db", "password")},
    }
    assert world.secrets.read("environments/alpha/db") == {"password": "x" * 12}
    again = StepHarness()
    again.secrets.mark("environments/alpha/db", {MARK: "env-1"})
    again.secrets.write("environments/alpha/db", {"password": "kept", "old": 1}, 0)
    again.apply("vault.secret", options, step="db")
    assert again.secrets.read("environments/alpha/db") == {"password": "kept"}


def test_a_secret_parameter_is_written_and_kept_when_it_is_not_given_again(world: StepHarness) -> None:
    options = {"from_parameters": {"key": "pin"}, "values": {"user": "ada"}}
    with pytest.raises(InvalidParameters, match="'pin' has no value"):
        world.apply("vault.secret", options)
    outputs = world.apply("vault.secret", options, secrets={"pin": "1234"})
    assert "1234" not in str(outputs)
    world.apply("vault.secret", options)
    assert world.secrets.read("environments/alpha/one") == {"key": "1234", "user": "ada"}
    head = world.secrets.head("environments/alpha/one")
    assert head is not None
    assert head.version == 1
    world.apply("vault.secret", options, secrets={"pin": "5678"})
    assert world.secrets.read("environments/alpha/one") == {"key": "5678", "user": "ada"}


def test_a_secret_of_somebody_else_is_left_alone(world: StepHarness) -> None:
    world.secrets.mark("environments/alpha/one", {MARK: "env-2"})
    with pytest.raises(ForeignResource):
        world.apply("vault.secret", {"values": {"a": "b"}})
    world.destroy("vault.secret", "secret/environments/alpha/one")
    assert world.presence("vault.secret", "secret/environments/alpha/one") is Presence.FOREIGN


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "at least one key"),
        ({"generate": {"a": {}}, "values": {"a": "b"}}, "given in two ways"),
        ({"generate": {"a": {"length": 2}}}, "at least 8"),
        ({"generat": {"a": {}}, "values": {"a": "b"}}, 'no such key; did you mean "generate"'),
        ({"from_parameters": {"a": "nope"}}, "no parameter with writeOnly"),
    ],
)
def test_faults_of_a_secret_are_named(world: StepHarness, options: dict[str, object], fault: str) -> None:
    assert any(fault in str(found) for found in world.registry.executors["vault.secret"].check(options, bundle()))


def test_good_options_have_no_faults(world: StepHarness) -> None:
    check = world.registry.executors["vault.secret"].check
    assert check({"from_parameters": {"a": "pin"}, "generate": {"b": {}}}, bundle()) == []
    assert check({"generate": {"a": {"length": "{{ parameters.length }}"}}}, bundle()) == []


# --- vault.certificate ---


def test_the_role_covers_the_environments_names_only(world: StepHarness) -> None:
    outputs = world.apply("vault.certificate", {"service": "web", "names": ["web.example"], "ttl": "2h"})
    assert outputs == {
        "path": "pki/issue/alpha",
        "common_name": "alpha--web.service.consul",
        "alt_names": ["web.example", "localhost"],
        "ttl": "2h",
    }
    role = world.pki.role("alpha")
    assert role is not None
    assert role["allowed_domains"] == ["alpha--*.service.consul", "alpha--web.service.consul", "web.example"]
    assert role["generate_lease"] is True
    assert role["allow_any_name"] is False
    assert role["ttl"] == 7200


@pytest.mark.parametrize("service", ["*", "web/../../kv", "web?token=x", "web.service.consul", "", "${NOMAD_JOB_ID}"])
@pytest.mark.parametrize("kind", ["vault.certificate", "check.http"])
def test_a_service_that_a_value_names_is_a_plain_label(world: StepHarness, kind: str, service: str) -> None:
    with pytest.raises(InvalidName):
        world.apply(kind, {"service": service})


def test_no_value_makes_a_certificate_good_for_any_name(world: StepHarness) -> None:
    with pytest.raises(InvalidTemplate, match="asterisk that came from a value"):
        world.apply("vault.certificate", {"names": ["*"]})
    assert world.pki.role("alpha") is None
    written = {TEMPLATE_FILE: f'{TEMPLATE}\n# names = ["*.shop.example"]'}
    assert world.apply("vault.certificate", {"names": ["*.shop.example"]}, files=written)


def test_certificates_are_revoked_even_without_a_lease(world: StepHarness) -> None:
    world.apply("vault.certificate", {"service": "web"})
    certificate = world.pki.issue("alpha")
    world.pki._leases.clear()
    assert world.presence("vault.certificates", "pki/issue/alpha") is Presence.OURS
    world.destroy("vault.pki-role", "pki/roles/alpha")
    world.destroy("vault.certificates", "pki/issue/alpha")
    assert world.presence("vault.certificates", "pki/issue/alpha") is Presence.ABSENT
    assert certificate.unit == "calvinverse env-1"


def test_a_role_of_somebody_else_and_its_certificates_are_left_alone(world: StepHarness) -> None:
    world.apply("vault.certificate", {"service": "web"}, owner=OTHER)
    world.pki.issue("alpha")
    with pytest.raises(ForeignResource):
        world.apply("vault.certificate", {"service": "web"})
    world.destroy("vault.pki-role", "pki/roles/alpha")
    world.destroy("vault.certificates", "pki/issue/alpha")
    assert world.presence("vault.pki-role", "pki/roles/alpha") is Presence.FOREIGN
    assert world.presence("vault.certificates", "pki/issue/alpha", OTHER) is Presence.OURS


def test_a_second_certificate_step_is_a_fault(world: StepHarness) -> None:
    check = world.registry.executors["vault.certificate"].check
    twice = TEMPLATE + "".join(f'[[steps]]\nname = "{name}"\nuses = "vault.certificate"\n' for name in ("a", "b"))
    assert check({"service": "web"}, bundle()) == []
    assert check({"service": "web"}, bundle({"template.toml": twice}))
    assert check({"ttl": "1h"}, bundle())
    assert check({"service": "web", "ttl": "soon"}, bundle())


# --- check.http ---


def _serve(world: StepHarness, number: int, passing: bool = True, scheme: str = "https") -> str:
    world.consul.register(
        Instance(f"i{number}", "alpha--web", "node", "127.0.0.1", 8000 + number, (scheme,), {}, passing)
    )
    return f"{scheme}://127.0.0.1:{8000 + number}/health"


OPTIONS = {"service": "web", "path": "/health"}


def test_every_passing_instance_is_asked_with_the_ca(world: StepHarness) -> None:
    urls = [_serve(world, 1), _serve(world, 2)]
    _serve(world, 3, passing=False)
    assert world.apply("check.http", OPTIONS) == {"service": "alpha--web", "instances": urls}
    assert world.web.asked == [(url, world.pki.chain()) for url in urls]


def test_plain_http_is_asked_without_a_ca(world: StepHarness) -> None:
    url = _serve(world, 1, scheme="http")
    world.apply("check.http", OPTIONS)
    assert world.web.asked == [(url, None)]


@pytest.mark.parametrize(
    ("answer", "options", "outcome"),
    [
        (Answer(500, ""), {}, "answered 500 instead of 200"),
        (Answer(200, "hello"), {"contains": "bye"}, "doesn't hold 'bye'"),
        ("certificate verify failed", {}, "gave no answer: certificate verify failed"),
        (None, {}, "no healthy instance of alpha--web"),
    ],
)
def test_the_last_outcome_is_told(
    world: StepHarness, answer: Answer | str | None, options: dict[str, object], outcome: str
) -> None:
    if answer is not None:
        world.web.answers[_serve(world, 1)] = answer
    with pytest.raises(StepTimeout, match=outcome):
        world.apply("check.http", {**OPTIONS, **options}, Run(limit=0.3))


def test_its_own_timeout_counts_when_it_is_shorter(world: StepHarness) -> None:
    run = Run(limit=30)
    with pytest.raises(StepTimeout, match="no healthy instance"):
        world.apply("check.http", {**OPTIONS, "timeout": "1s"}, run)
    assert run.time_left > 25


def test_check_http_has_no_resources_and_names_faults(world: StepHarness) -> None:
    assert world.resources("check.http", OPTIONS) == []
    check = world.registry.executors["check.http"].check
    job = '[[steps]]\nname = "job"\nuses = "nomad.job"\nwith = { file = "web.nomad.hcl" }\n'
    files = bundle({TEMPLATE_FILE: f"{TEMPLATE}{job}"})
    assert check(OPTIONS, files) == []
    assert check({"service": "web", "path": "health"}, files)
    assert check({"service": "web", "path": "{{ parameters.path }}"}, files) == []
    assert check({"path": "/"}, files)
    [fault] = check({"service": "wbe"}, files)
    assert str(fault) == "template.toml: with.service: no step makes a service 'wbe'; did you mean \"web\"?"
    assert ALPHA.name == "alpha"
