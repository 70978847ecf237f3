"""nomad.job on twins in memory: what it makes, what it refuses, how it tells of failures, how it all goes away."""

import base64
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.errors import (
    BackendUnavailable,
    ForeignResource,
    Interrupted,
    InvalidJob,
    InvalidTemplate,
    StepFailed,
    StepTimeout,
)
from environments.providers.nomad import plan as nomad_plan
from environments.providers.nomad.fields import DOLLAR
from environments.providers.nomad.ports import Edit, JobPlan, Rollout, Task, TaskEvent
from environments.providers.nomad.rules import adopt, declared, job_label
from environments.providers.vault.secret_words import secret_words
from environments.steps.base import Owner, Presence
from environments.steps.hcl import literals as hcl
from environments.steps.marks import MARK
from tests.fakes.backends.nomad_instances import Fate
from tests.support.step_harness import ALPHA, JOB, Run, StepHarness, bundle

OPTIONS: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 2}}


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


def test_the_job_runs_in_the_environments_namespace_with_its_marks(world: StepHarness) -> None:
    outputs = world.apply("nomad.job", OPTIONS)
    assert outputs["job"] == "web"
    assert outputs["namespace"] == "alpha"
    assert outputs["services"]["web"]["name"] == "alpha--web"
    job = world.nomad.job("alpha", "web")
    assert job is not None
    assert (job["Namespace"], job["Meta"]) == ("alpha", {MARK: "env-1"})
    assert world.nomad.namespace("alpha") == {MARK: "env-1"}
    policy = world.consul.policy("env-alpha")
    assert policy is not None
    assert policy.description == "calvinverse environment env-1"
    assert policy.rules["key_prefix"] == {"environments/alpha/": {"policy": "read"}}
    assert policy.rules["service_prefix"] == {"alpha--": {"policy": "write"}, "": {"policy": "read"}}


def test_resources_are_known_before_anything_is_made(world: StepHarness) -> None:
    intended = world.resources("nomad.job", OPTIONS)
    assert [
        (item.ref.kind, item.ref.address, item.shared) for item in sorted(intended, key=lambda item: -item.rank)
    ] == [
        ("consul.services", "alpha--", True),
        ("vault.identity", "jwt-nomad/alpha", True),
        ("consul.tokens", "env-alpha", True),
        ("consul.policy", "env-alpha", True),
        ("nomad.namespace", "alpha", True),
        ("vault.folder", "secret/environments/alpha/", True),
        ("consul.kv", "environments/alpha/", True),
        ("nomad.job", "alpha/web", False),
    ]
    assert world.nomad.registrations == 0
    assert {item.ref.kind for item in intended} <= set(world.registry.handlers)


def test_applying_it_again_makes_no_second_live_object(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    before = world.nomad.allocations("alpha", "web")[1]
    world.apply("nomad.job", OPTIONS)
    assert world.nomad.allocations("alpha", "web")[1] == before


def test_an_update_replaces_the_instances(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.apply("nomad.job", {**OPTIONS, "variables": {"text": "bye", "count": 1}})
    live = [found for found in world.nomad.allocations("alpha", "web")[1] if found.desired == "run"]
    assert [found.job_version for found in live] == [1]


@pytest.mark.parametrize("fate", [Fate.FAILING, Fate.NEVER_HEALTHY])
def test_a_job_that_failed_is_started_anew_when_applied_again(world: StepHarness, fate: Fate) -> None:
    world.nomad.fate = fate
    with pytest.raises(StepFailed):
        world.apply("nomad.job", OPTIONS, Run(limit=0.3))
    world.nomad.fate = Fate.HEALTHY
    if fate is Fate.NEVER_HEALTHY:
        found = world.nomad._jobs["alpha", "web"]
        assert found.rollout is not None
        found.rollout = replace(found.rollout, status="failed")
    world.apply("nomad.job", OPTIONS)
    job = world.nomad.job("alpha", "web")
    assert job is not None
    assert job["Version"] == 1
    world.apply("nomad.job", OPTIONS)
    again = world.nomad.job("alpha", "web")
    assert again is not None
    assert again["Version"] == 1


def test_a_failure_names_the_task_and_what_it_said(world: StepHarness) -> None:
    world.nomad.fate = Fate.FAILING
    run = Run()
    with pytest.raises(StepFailed, match="task 'task': Terminated: Exit Code: 1; it wrote: cannot open the door"):
        world.apply("nomad.job", OPTIONS, run)
    assert any("Terminated: Exit Code: 1" in line for line in run.lines)


def test_a_failure_names_the_task_that_failed_first_not_a_sibling_that_was_killed_for_it(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.nomad.fate = Fate.FAILING
    told = world.nomad.allocations
    pulled = (TaskEvent(1, "Driver Failure", "Failed to pull the image", failed=True),)
    killed = (
        TaskEvent(2, "Killing", "Sent interrupt"),
        TaskEvent(3, "Terminated", "Exit Code: 137", failed=True),
    )

    def allocations(*where: Any, **wait: Any) -> Any:
        index, found = told(*where, **wait)
        tasks = (Task("server", "dead", True, killed), Task("worker", "dead", True, pulled))
        return index, [replace(one, tasks=tasks) for one in found]

    monkeypatch.setattr(world.nomad, "allocations", allocations)
    with pytest.raises(StepFailed, match="task 'worker': Driver Failure: Failed to pull the image"):
        world.apply("nomad.job", OPTIONS)


def test_what_a_task_wrote_is_quoted_without_the_environments_secrets(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.nomad.fate = Fate.FAILING
    world.apply("vault.secret", {"values": {"password": "correct-horse", "port": 5432}}, step="db")
    encoded = base64.b64encode(b"ada:correct-horse").decode()
    wrote = f"half of a secret: orse\nport 5432 \x1b[31mrefused\x1b[0m correct-horse\nsent {encoded}\n"
    monkeypatch.setattr(world.nomad, "log_tail", lambda *_: wrote)
    with pytest.raises(StepFailed, match=r"it wrote: half .* \| port 5432 refused \*\*\* \| sent ") as caught:
        world.apply("nomad.job", OPTIONS)
    assert encoded[6:-2] not in caught.value.message
    # A beginning that was cut off in the midst of a line can't be told from other text.
    monkeypatch.setattr(world.nomad, "log_tail", lambda *_: "x" * 8000 + "orse\nthe end")
    with pytest.raises(StepFailed, match="it wrote: the end"):
        world.apply("nomad.job", OPTIONS)

    def away(_owner: Owner) -> None:
        raise BackendUnavailable("OpenBao is away.")

    for number in range(51):
        world.secrets.mark(f"environments/alpha/{number}", {MARK: "env-1"})
    for words in (away, secret_words(world.secrets)):
        monkeypatch.setattr(world.registry.executors["nomad.job"], "_words", words)
        with pytest.raises(StepFailed) as caught:
            world.apply("nomad.job", OPTIONS)
        assert "it wrote" not in caught.value.message, "nobody can say what is secret in it"


def test_a_lack_of_room_is_told_and_named_in_the_end(world: StepHarness) -> None:
    world.nomad.fate = Fate.WITHOUT_ROOM
    run = Run(limit=0.3)
    with pytest.raises(StepTimeout, match=r"finds no node: .* no room for memory"):
        world.apply("nomad.job", OPTIONS, run)
    assert any("no room for memory" in line for line in run.lines)


def test_a_batch_job_is_awaited_until_it_has_completed(world: StepHarness) -> None:
    file = JOB.replace('"service"', '"batch"')
    assert world.apply("nomad.job", OPTIONS, files={"web.nomad.hcl": file})["services"] == {}
    world.nomad.fate = Fate.FAILING
    with pytest.raises(StepFailed, match="'web' failed"):
        world.apply("nomad.job", {**OPTIONS, "variables": {"text": "x", "count": 1}}, files={"web.nomad.hcl": file})


def test_a_service_that_ends_for_good_after_its_deployment_succeeded_has_failed(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.nomad.fate = Fate.HANGING_TASK
    waits = world.nomad.rollout

    def rollout(namespace: str, job: str) -> Rollout | None:
        world.nomad.give_up(namespace, job)
        return waits(namespace, job)

    monkeypatch.setattr(world.nomad, "rollout", rollout)
    with pytest.raises(StepFailed, match="'web' failed"):
        world.apply("nomad.job", OPTIONS)


@pytest.mark.parametrize("fate", [Fate.HEALTHY, Fate.FAILING])
def test_a_batch_job_has_failed_when_nomad_tries_it_no_more(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch, fate: Fate
) -> None:
    """Nomad decides a moment after the failure; unless the job file says otherwise, it tries once more."""
    goes_on = world.nomad.goes_on
    asked: list[bool] = []

    def later(namespace: str, job: str) -> bool:
        asked.append(goes_on(namespace, job))
        if len(asked) == 2:
            world.nomad.fate = fate
            world.nomad.reschedule(namespace, job)
        return asked[-1]

    monkeypatch.setattr(world.nomad, "goes_on", later)
    world.nomad.fate = Fate.FAILING
    world.nomad.follows.add(("alpha", "web"))
    options, run = {**OPTIONS, "variables": {"text": "x", "count": 1}}, Run()
    files = {"web.nomad.hcl": JOB.replace('"service"', '"batch"')}
    with pytest.raises(StepFailed, match="'web' failed") if fate is Fate.FAILING else contextlib.nullcontext():
        world.apply("nomad.job", options, run, files=files)
    assert asked == ([True, True, False] if fate is Fate.FAILING else [True, True])
    assert run.lines.count("job web: an instance has failed; Nomad will start another one") == 1


@pytest.mark.parametrize("what", ["namespace", "policy", "job"])
def test_things_of_somebody_else_are_neither_used_nor_destroyed(world: StepHarness, what: str) -> None:
    if what == "namespace":
        world.nomad.write_namespace("alpha", "", {"team": "ours"})
    elif what == "policy":
        world.consul.create_policy("env-alpha", "mine", {})
    else:
        world.nomad.write_namespace("alpha", "", {MARK: "env-1"})
        world.nomad.register("alpha", {"ID": "web", "Type": "service", "Namespace": "alpha", "TaskGroups": [_GROUP]}, 0)
    world.logins.log_in("jwt-nomad", "alpha")
    with pytest.raises(ForeignResource):
        world.apply("nomad.job", OPTIONS)
    kind, address = {
        "namespace": ("nomad.namespace", "alpha"),
        "policy": ("consul.policy", "env-alpha"),
        "job": ("nomad.job", "alpha/web"),
    }[what]
    world.destroy(kind, address)
    assert world.presence(kind, address) is Presence.FOREIGN
    if what == "namespace":
        world.destroy("vault.identity", "jwt-nomad/alpha")
        assert world.presence("vault.identity", "jwt-nomad/alpha") is Presence.FOREIGN
        assert world.logins.find("jwt-nomad", "alpha").accessors


_GROUP = {"Name": "group", "Count": 1, "Services": [], "Tasks": []}


# --- what is refused ---


def _job(**changes: Any) -> dict[str, Any]:
    task = {"Name": "task", **changes.pop("task", {})}
    service = {"Name": "alpha--web", **changes.pop("service", {})}
    group = {"Name": "group", "Count": 1, "Tasks": [task], "Services": [service], **changes.pop("group", {})}
    group.setdefault("Networks", [{"Mode": "bridge"}])
    return {"ID": "web", "Namespace": "default", "TaskGroups": [group], **changes}


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (_job(ID="other"), "its id is 'other'"),
        (_job(Namespace="meta"), "it names the namespace 'meta'"),
        (_job(VaultToken="x"), "VaultToken"),
        (_job(ConsulNamespace="x"), "ConsulNamespace"),
        (_job(service={"Name": "beta--web"}), "doesn't begin with 'alpha--'"),
        (_job(service={"Name": "alpha-web"}), "doesn't begin with 'alpha--'"),
        (_job(service={"Name": "${NOMAD_NAMESPACE}--web"}), "doesn't begin"),
        (_job(service={"Name": "alpha--${NOMAD_JOB_NAME}"}), "can't be the name of a service"),
        (_job(service={"Name": "alpha--" + "x" * 60}), "longer than 63"),
        (_job(service={"Cluster": "other"}), "Consul cluster 'other'"),
        (_job(service={"Identity": {"Audience": ["nomad-manager"]}}), "identity for 'nomad-manager'"),
        (_job(task={"Vault": {"Role": "calvinverse-manager"}}), "OpenBao role 'calvinverse-manager'"),
        (_job(task={"Vault": {"Cluster": "x"}}), "OpenBao cluster 'x'"),
        (_job(task={"Vault": {"Namespace": "x"}}), "OpenBao namespace 'x'"),
        (_job(task={"Vault": {"Policies": ["root"]}}), "OpenBao policies"),
        (_job(task={"Consul": {"Cluster": "x"}}), "Consul cluster 'x'"),
        (_job(group={"Consul": {"Partition": "x"}}), "Consul partition 'x'"),
        (_job(task={"Config": {"pid_mode": "host"}}), "pid_mode 'host'"),
        (_job(task={"Config": {"pid_mode": "container:abc"}}), "pid_mode 'container:abc'"),
        (_job(task={"Config": {"ipc_mode": "${meta.x}"}}), "ipc_mode"),
        (_job(task={"Identity": {"Audience": ["nomad-manager"]}}), "identity for 'nomad-manager'"),
        (_job(task={"Identities": [{"Audience": ["vault.io", "elsewhere"]}]}), "identity for 'elsewhere'"),
    ],
)
def test_a_job_that_asks_for_what_is_not_its_own_is_refused(job: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        adopt(job, "web", ALPHA)
    assert reason in caught.value.message


@pytest.mark.parametrize("file", ["../web.nomad.hcl", "/etc/passwd", "./web.nomad.hcl", ""])
def test_a_value_that_names_the_job_file_chooses_among_the_templates_files_only(world: StepHarness, file: str) -> None:
    with pytest.raises(InvalidTemplate, match="has no file"):
        world.apply("nomad.job", {**OPTIONS, "file": file})


@pytest.mark.parametrize("text", ["variable x {}\njob web {\n}", '# job "a" {\nvariable "x"{}\njob "web"{\n}'])
def test_labels_are_found_however_they_are_written(text: str) -> None:
    assert job_label(text) == "web"
    assert declared(text, ["x"]) == {"x"}


def test_a_plan_shows_values_as_they_were_typed(world: StepHarness) -> None:
    edits = (
        Edit((), f"Meta[{DOLLAR}]", None, "$"),
        Edit(("Group: g", "Task: t"), "Env[A]", "main", f"${{NOMAD_META_{DOLLAR}}}{{VAULT_TOKEN}}"),
        Edit(("Group: g", "Task: t", "Config"), "args[0]", "a", '${"$"}{x} ${"%"}{y}'),
    )
    (change,) = nomad_plan.changed("nomad.job", "alpha/web", JobPlan(edits))
    assert [line for line in change.details if "calvinverse" in line] == []
    assert any("${VAULT_TOKEN}" in line for line in change.details)
    assert any("${x} %{y}" in line for line in change.details)


def test_a_plain_job_and_the_identities_of_the_meta_environment_are_fine() -> None:
    identities = {"Vault": {"Role": "", "Cluster": "default"}, "Identities": [{"Audience": ["vault.io"]}]}
    assert adopt(_job(task=identities), "web", ALPHA)["Namespace"] == "alpha"
    manager = _job(service={"Name": "meta--web"}, task={"Identities": [{"Audience": ["nomad-manager"]}]})
    assert adopt(manager, "web", Owner("env-0", "meta"), trusted=True)


@pytest.mark.parametrize("text", ["{{ env `X` }}", "}} {{", '" | plugin "x', "`", "a\nb", "{"])
def test_a_text_that_could_change_a_template_never_stands_in_one(world: StepHarness, text: str) -> None:
    with pytest.raises(InvalidJob, match=r"'text' would become code of the job: .* could change the template"):
        world.apply("nomad.job", {**OPTIONS, "variables": {"text": text, "count": 1}})
    assert world.nomad.registrations == 0
    elsewhere = JOB.replace("it is ${var.text}", 'it is {{ env `A` }} "and" more')
    world.apply("nomad.job", {**OPTIONS, "variables": {"text": text, "count": 1}}, files={"web.nomad.hcl": elsewhere})


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"file": "missing.hcl"}, "no file 'missing.hcl'"),
        ({}, "file"),
        ({**OPTIONS, "extra": 1}, "extra"),
        ({"file": "web.nomad.hcl", "variables": {"unknown": 1}}, "declares no variable 'unknown'"),
        ({"file": "bad.hcl"}, "can't be a job's name"),
    ],
)
def test_faults_are_seen_before_anything_runs(world: StepHarness, options: dict[str, Any], fault: str) -> None:
    files = {"bad.hcl": 'job "${var.x}" {}\njob "y" {\n}'}
    check = world.registry.executors["nomad.job"].check
    assert any(fault in str(found) for found in check(options, bundle(files)))
    assert check(OPTIONS, bundle()) == []


@pytest.mark.parametrize("text", ["", 'job "A b" {', 'job "a" {\n}\njob "b" {', 'job "${var.x}" {'])
def test_the_name_of_a_job_is_written_out(text: str) -> None:
    with pytest.raises(InvalidJob):
        job_label(text)


@given(st.text())
def test_a_literal_never_holds_a_template_or_ends_early(text: str) -> None:
    try:
        literal = hcl.literal(text)
    except InvalidJob:
        assert any(0xD800 <= ord(character) <= 0xDFFF or character == "\0" for character in text)
        return
    inside = literal[1:-1]
    assert literal[0] == literal[-1] == '"'
    assert inside.isascii()
    assert not set(inside) & set('"$%\n\r')


def test_all_json_values_have_literals() -> None:
    value = {"a b": [1, -2.5, True, False, None, "x"], "c": {}}
    assert hcl.literal(value) == '{"a b" = [1, -2.5, true, false, null, "x"], "c" = {}}'
    with pytest.raises(InvalidJob):
        hcl.assignments({"not a name": 1})
    with pytest.raises(InvalidJob):
        hcl.literal({1, 2})


# --- crashes ---


STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("settings", "consul.kv", {"keys": {"a": 1, "b": "x"}}),
    ("password", "vault.secret", {"generate": {"password": {}}}),
    ("certificate", "vault.certificate", {"service": "web"}),
    ("app", "nomad.job", OPTIONS),
]


def _create(world: StepHarness, run: Callable[[], Run]) -> None:
    for step, uses, options in STEPS:
        world.apply(uses, options, run(), step=step)


def _inventory(world: StepHarness) -> list[tuple[str, str]]:
    intended = [item for step, uses, options in STEPS for item in world.resources(uses, options, step=step)]
    own = [item for item in reversed(intended) if not item.shared]
    shared = sorted((item for item in intended if item.shared), key=lambda item: -item.rank)
    return [(item.ref.kind, item.ref.address) for item in [*own, *shared]]


def _live(world: StepHarness) -> None:
    """What the jobs of a healthy environment do."""
    world.pki.issue("alpha")
    world.consul.log_in("env-alpha")
    world.logins.log_in("jwt-nomad", "alpha")
    world.nomad.write_variable("alpha", "nomad/jobs/web", {"a": "b"})


def test_interrupted_anywhere_and_done_again_nothing_is_made_twice_and_nothing_is_left() -> None:
    untouched = StepHarness()
    _create(untouched, Run)
    for stop_at in range(1, 10):
        for step, _, _ in STEPS:
            world = StepHarness()
            for name, uses, options in STEPS:
                if name == step:
                    with contextlib.suppress(Interrupted):
                        world.apply(uses, options, Run(stop_at=stop_at), step=name)
                world.apply(uses, options, step=name)
            assert len(world.nomad.allocations("alpha", "web")[1]) == 2
            assert world.consul.services("") == ["alpha--web"]
            assert len(world.consul.instances("alpha--web")[1]) == 2
            head = world.secrets.head("environments/alpha/password")
            assert head is not None
            assert head.version == 1
            _live(world)
            _destroy(world, stop_at)
            assert [item for item in _inventory(world) if world.presence(*item) is not Presence.ABSENT] == []
            assert world.consul.tree("") == {}


def _destroy(world: StepHarness, stop_at: int) -> None:
    for kind, address in _inventory(world):
        try:
            world.destroy(kind, address, Run(stop_at=stop_at))
        except Interrupted:
            world.destroy(kind, address)
        assert world.presence(kind, address) is Presence.ABSENT, (kind, address)


def test_ghosts_in_the_catalogue_are_taken_out(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    assert world.presence("consul.services", "alpha--") is Presence.OURS
    run = Run()
    world.destroy("consul.services", "alpha--", run)
    assert world.presence("consul.services", "alpha--") is Presence.ABSENT
    assert any("still registered" in line for line in run.lines)


def test_a_policy_takes_the_tokens_with_it_that_only_it_can_find(world: StepHarness) -> None:
    world.apply("nomad.job", OPTIONS)
    world.consul.log_in("env-alpha")
    world.destroy("consul.policy", "env-alpha")
    assert world.consul._tokens == {}
