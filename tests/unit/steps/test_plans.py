"""What the step kinds plan on twins in memory: exactly what applying would do to the world as it is now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.domain.errors import BackendUnavailable, ForeignResource, InvalidParameters, StepFailed
from environments.domain.plan import Action, Change
from environments.providers.consul.ports import Instance, Put, Remove
from environments.providers.consul.prefix import MARKER
from environments.providers.http.check import Answer
from environments.providers.local_cluster.agent_step import AgentLocal, AgentLocalOptions, FoundAgent, RunningAgent
from environments.providers.local_cluster.trust_step import ClusterTrust, ClusterTrustOptions, Lack
from environments.providers.nomad import plan as nomad_plan
from environments.providers.nomad.ports import Edit, JobPlan
from environments.steps.base import Owner, StepContext
from environments.steps.marks import MARK
from tests.fakes.backends.nomad_instances import Fate
from tests.support.step_harness import ALPHA, JOB, Run, StepHarness, bundle

PREFIX = "environments/alpha/"
KEYS: dict[str, Any] = {"keys": {"a": "one", "b": 2}}
SECRET: dict[str, Any] = {"generate": {"password": {}}, "values": {"user": "ada"}, "from_parameters": {"key": "pin"}}
CERTIFICATE: dict[str, Any] = {"service": "web", "ttl": "2h"}
IMAGE_JOB = JOB.replace('image = "web"', "image = var.image").replace(
    'variable "text" {}', 'variable "text" {}\nvariable "image" {}'
)
APP: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 2, "image": "sha256:aa"}}
FILES = {"web.nomad.hcl": IMAGE_JOB}
PIN = {"pin": "s3cret-pin"}
KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("consul.kv", KEYS, {}),
    ("vault.secret", SECRET, {"secrets": PIN}),
    ("vault.certificate", CERTIFICATE, {}),
    ("nomad.job", APP, {"files": FILES}),
]


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


def _told(changes: Sequence[Change]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(found.action.value, found.address, found.details) for found in changes]


@pytest.mark.parametrize(("uses", "options", "more"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_what_is_not_there_is_created_and_then_nothing_is_planned(
    world: StepHarness, uses: str, options: dict[str, Any], more: dict[str, Any]
) -> None:
    planned = world.plan(uses, options, **more)
    assert planned
    assert {found.action for found in planned} == {Action.CREATE}
    assert all(found.fingerprint for found in planned)
    assert world.plan(uses, options, **more) == planned, "planning changes nothing"
    world.apply(uses, options, **more)
    assert world.plan(uses, options, **more) == []


@pytest.mark.parametrize(("uses", "options", "more"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_everything_planned_is_in_the_inventory_or_inside_of_it(
    world: StepHarness, uses: str, options: dict[str, Any], more: dict[str, Any]
) -> None:
    intended = [item.ref for item in world.resources(uses, options, **more)]
    for change in world.plan(uses, options, **more):
        assert any(ref.kind == change.kind and change.address.startswith(ref.address) for ref in intended), change


# --- consul.kv ---


def test_keys_are_planned_one_by_one(world: StepHarness) -> None:
    assert _told(world.plan("consul.kv", KEYS)) == [
        ("create", PREFIX, ()),
        ("create", f"{PREFIX}a", ("value: one",)),
        ("create", f"{PREFIX}b", ("value: 2",)),
    ]
    world.apply("consul.kv", KEYS)
    assert _told(world.plan("consul.kv", {"keys": {"a": "two", "c": "x" * 100}})) == [
        ("change", f"{PREFIX}a", ("value: one → two",)),
        ("create", f"{PREFIX}c", (f"value: {'x' * 40}…{'x' * 19}",)),
        ("destroy", f"{PREFIX}b", ("value: 2",)),
    ]


def test_what_somebody_did_to_keys_by_hand_is_planned_back(world: StepHarness) -> None:
    world.apply("consul.kv", KEYS)
    world.consul.commit([Put(f"{PREFIX}a", b"by hand"), Remove(f"{PREFIX}b")])
    assert _told(world.plan("consul.kv", KEYS)) == [
        ("change", f"{PREFIX}a", ("value: by hand → one",)),
        ("create", f"{PREFIX}b", ("value: 2",)),
    ]
    world.apply("consul.kv", KEYS)
    assert world.plan("consul.kv", KEYS) == []
    world.consul.commit([Put(f"{PREFIX}a", b"one")])
    assert _told(world.plan("consul.kv", KEYS)) == [
        ("change", f"{PREFIX}a", ("will be marked as a key of this step again",))
    ]


def test_a_plan_of_keys_knows_whose_the_prefix_is(world: StepHarness) -> None:
    world.consul.commit([Put(f"{PREFIX}{MARKER}", b"env-2")])
    with pytest.raises(ForeignResource):
        world.plan("consul.kv", KEYS)
    executor = world.registry.executors["consul.kv"]
    assert executor.plan_removal("one", ALPHA) == ()
    executor.remove("one", ALPHA, Run())


_VALUES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2", "é\n"]), min_size=1)


@given(before=_VALUES, after=_VALUES, hand=st.dictionaries(st.sampled_from("abcd"), st.sampled_from([b"1", None])))
def test_a_plan_of_keys_is_what_applying_does(
    before: dict[str, str], after: dict[str, str], hand: dict[str, bytes | None]
) -> None:
    world = StepHarness()
    world.apply("consul.kv", {"keys": before})
    world.apply("consul.kv", {"keys": {"e": "other"}}, step="two")
    world.consul.commit(
        [Remove(PREFIX + key) if value is None else Put(PREFIX + key, value) for key, value in hand.items()]
    )
    planned = world.plan("consul.kv", {"keys": after})
    then = world.consul.tree("")
    run = Run()
    world.apply("consul.kv", {"keys": after}, run)
    now = world.consul.tree("")
    actions = {change.address: change.action for change in planned}
    assert {key for key, action in actions.items() if action is Action.CREATE} == now.keys() - then.keys()
    assert {key for key, action in actions.items() if action is Action.DESTROY} == then.keys() - now.keys()
    assert {key for key, action in actions.items() if action is Action.CHANGE} == {
        key for key in now.keys() & then.keys() if now[key] != then[key]
    }
    assert bool(run.effects) == bool(planned)
    assert world.plan("consul.kv", {"keys": after}) == []


def test_the_keys_of_a_step_that_is_gone_are_left_below_the_shared_prefix(world: StepHarness) -> None:
    world.apply("consul.kv", {"keys": {f"k{number}": number for number in range(130)}})
    world.apply("consul.kv", {"keys": {"mine": 1}}, step="two")
    executor = world.registry.executors["consul.kv"]
    left = executor.plan_removal("one", ALPHA)
    assert len(left) == 130
    assert {found.action for found in left} == {Action.DESTROY}
    run = Run()
    executor.remove("one", ALPHA, run)
    assert run.effects == 3, "in transactions of Consul's size, each announced"
    assert sorted(world.consul.tree("")) == [f"{PREFIX}{MARKER}", f"{PREFIX}mine"]
    executor.remove("one", ALPHA, Run())
    assert executor.plan_removal("one", ALPHA) == []


@pytest.mark.parametrize("uses", ["vault.secret", "vault.certificate", "nomad.job", "check.http"])
def test_other_steps_leave_nothing_but_what_the_inventory_has_as_their_own(world: StepHarness, uses: str) -> None:
    options = {kind: options for kind, options, _ in KINDS}
    if uses in options:
        world.apply(uses, options[uses], secrets=PIN, files=FILES)
        own = [item.ref for item in world.resources(uses, options[uses], files=FILES) if not item.shared]
        assert own
        shared = {"nomad.namespace", "consul.policy", "consul.tokens", "vault.identity", "consul.services"}
        shared |= {"consul.kv", "vault.folder"}
        whole = {item.ref.kind for item in world.resources(uses, options[uses], files=FILES) if item.shared}
        assert whole <= shared, "what serves the whole environment stays until its end"
        for ref in own:
            world.destroy(ref.kind, ref.address)
        assert set(world.secrets.paths("")) <= {"environments/alpha/.owner"}
        assert world.pki.role("alpha") is None
        assert world.nomad.running("alpha") == {}
    executor = world.registry.executors[uses]
    assert executor.plan_removal("one", ALPHA) == ()
    run = Run()
    executor.remove("one", ALPHA, run)
    assert run.effects == 0


# --- vault.secret ---


def _secret(world: StepHarness, options: Mapping[str, Any] = SECRET, secrets: Mapping[str, str] = PIN) -> list[Change]:
    return world.plan("vault.secret", options, secrets=secrets)


def test_a_plan_of_a_secret_names_its_keys_and_nothing_more(world: StepHarness) -> None:
    address = f"secret/{PREFIX}one"
    lines = ("password: will be generated", "user: will be written", "key: will be written from parameter 'pin'")
    assert _told(_secret(world)) == [("create", address, lines)]
    world.apply("vault.secret", SECRET, secrets=PIN)
    generated = world.secrets.read(f"{PREFIX}one")
    assert generated is not None
    world.secrets.write(f"{PREFIX}one", {"user": "eve", "key": "s3cret-other", "extra": "s3cret-extra"}, 1)
    planned = _secret(world)
    assert _told(planned) == [
        (
            "change",
            address,
            (
                "password: is missing, will be generated",
                "user: will be changed",
                "key: will be changed from parameter 'pin'",
                "extra: will be removed",
            ),
        )
    ]
    assert "s3cret" not in str(planned)
    world.apply("vault.secret", SECRET, secrets=PIN)
    assert _secret(world) == []
    world.secrets.write(f"{PREFIX}one", {**generated, "password": "set by hand"}, 3)
    assert _secret(world) == [], "a generated value is whatever is kept"


def test_a_password_stays_when_the_rule_for_new_ones_changes(world: StepHarness) -> None:
    world.apply("vault.secret", SECRET, secrets=PIN)
    before = world.secrets.read(f"{PREFIX}one")
    longer = {**SECRET, "generate": {"password": {"length": 64}}}
    assert _secret(world, longer) == []
    run = Run()
    world.apply("vault.secret", longer, run, secrets=PIN)
    assert run.effects == 0
    assert world.secrets.read(f"{PREFIX}one") == before
    changed = {**longer, "values": {"user": "grace"}}
    world.apply("vault.secret", changed, secrets=PIN)
    after = world.secrets.read(f"{PREFIX}one")
    assert before is not None
    assert after == {**before, "user": "grace"}


def test_the_fingerprint_of_a_secret_follows_its_version_not_its_values(world: StepHarness) -> None:
    world.apply("vault.secret", SECRET, secrets=PIN)
    first = _secret(world, secrets={"pin": "1"})
    assert first == _secret(world, secrets={"pin": "2"})
    world.apply("vault.secret", SECRET, secrets={"pin": "3"})
    assert [found.fingerprint for found in _secret(world, secrets={"pin": "1"})] != [first[0].fingerprint]


def test_a_secret_that_nobody_may_plan(world: StepHarness) -> None:
    with pytest.raises(InvalidParameters, match="'pin' has no value"):
        _secret(world, secrets={})
    world.apply("vault.secret", SECRET, secrets=PIN)
    assert _secret(world, secrets={}) == [], "kept where it isn't given again"
    world.secrets.mark(f"{PREFIX}one", {MARK: "env-2"})
    with pytest.raises(ForeignResource):
        _secret(world)


# --- vault.certificate ---


def test_a_plan_of_a_role_tells_its_fields(world: StepHarness) -> None:
    address = "pki/roles/alpha"
    lines = ("names: alpha--web.service.consul", "ttl: 2h")
    assert _told(world.plan("vault.certificate", CERTIFICATE)) == [("create", address, lines)]
    world.apply("vault.certificate", CERTIFICATE)
    (found,) = world.plan("vault.certificate", {**CERTIFICATE, "ttl": "1h", "names": ["web.example"]})
    assert found.action is Action.CHANGE
    assert found.details[1:] == ("ttl: 2h → 1h",)
    assert found.details[0].startswith('allowed_domains: ["alpha--*.service.consul"')
    world.pki.write_role("alpha", {"allow_any_name": True})
    assert _told(world.plan("vault.certificate", CERTIFICATE)) == [
        ("change", address, ("allow_any_name: true → false",))
    ]
    run = Run()
    world.apply("vault.certificate", CERTIFICATE, run)
    assert run.effects == 1
    assert world.plan("vault.certificate", CERTIFICATE) == []
    run = Run()
    world.apply("vault.certificate", CERTIFICATE, run)
    assert run.effects == 0
    world.apply("vault.certificate", {**CERTIFICATE}, owner=Owner("env-2", "beta"))
    with pytest.raises(ForeignResource):
        world.plan("vault.certificate", CERTIFICATE, owner=Owner("env-1", "beta"))


# --- nomad.job ---


def _app(world: StepHarness, **variables: Any) -> list[Change]:
    return world.plan("nomad.job", {**APP, "variables": {**APP["variables"], **variables}}, files=FILES)


def _apply_app(world: StepHarness, run: Run | None = None, **variables: Any) -> None:
    world.apply("nomad.job", {**APP, "variables": {**APP["variables"], **variables}}, run, files=FILES)


def test_a_plan_of_a_job_has_what_is_around_it(world: StepHarness) -> None:
    assert _told(_app(world)) == [
        ("create", "alpha", ()),
        ("create", "env-alpha", ()),
        (
            "create",
            "alpha/web",
            ("group group, count: 2", "group group, task task, image: sha256:aa", "service: alpha--web"),
        ),
    ]
    _apply_app(world)
    policy = world.consul.policy("env-alpha")
    assert policy is not None
    world.consul.update_policy(replace(policy, rules={"key_prefix": {"": {"policy": "write"}}}))
    assert _told(_app(world)) == [("change", "env-alpha", ("its rules aren't those of an environment",))]
    world.nomad.deregister("alpha", "web", purge=True)
    assert [found.address for found in _app(world)] == ["env-alpha", "alpha/web"]
    _apply_app(world)
    assert _app(world) == []


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({"count": 3}, ("group group, count: 2 → 3",)),
        (
            {"image": "sha256:bb"},
            ("group group, task task, image: sha256:aa → sha256:bb", "group group: its instances are replaced"),
        ),
        (
            {"text": "private words"},
            ("group group, task task, template changed", "group group: its instances are replaced"),
        ),
    ],
)
def test_differences_of_a_job_are_told_in_lines(
    world: StepHarness, variables: dict[str, Any], lines: tuple[str, ...]
) -> None:
    _apply_app(world)
    planned = _app(world, **variables)
    assert _told(planned) == [("change", "alpha/web", lines)]
    assert "private words" not in str(planned)
    _apply_app(world, **variables)
    assert _app(world, **variables) == []


def test_two_texts_of_a_template_have_different_fingerprints(world: StepHarness) -> None:
    _apply_app(world)
    assert _app(world, text="a")[0].details == _app(world, text="b")[0].details
    assert _app(world, text="a")[0].fingerprint != _app(world, text="b")[0].fingerprint


def test_a_template_that_is_new_or_gone_is_told(world: StepHarness) -> None:
    _apply_app(world)
    more = {"web.nomad.hcl": IMAGE_JOB.replace("template {", 'template {\n data = "x"\n }\n template {', 1)}
    (found,) = world.plan("nomad.job", APP, files=more)
    assert "group group, task task, template local/1 added" in found.details
    world.apply("nomad.job", APP, files=more)
    assert "group group, task task, template local/1 removed" in _app(world)[0].details


def _scaled(world: StepHarness) -> None:
    world.nomad.scale("alpha", "web", 5)


def _stopped(world: StepHarness) -> None:
    world.nomad.deregister("alpha", "web", purge=False)


def _given_up(world: StepHarness) -> None:
    world.nomad.give_up("alpha", "web")


def _given_up_and_forgotten(world: StepHarness) -> None:
    world.nomad.give_up("alpha", "web")
    world.nomad.forget_ended("alpha", "web")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (_scaled, "group group, count: 5 → 2"),
        (_stopped, "runs again"),
        (_given_up, "version 0 has failed and will be started again"),
        (_given_up_and_forgotten, "version 0 has failed and will be started again"),
    ],
)
def test_what_became_of_a_job_is_planned_back(
    world: StepHarness, what: Callable[[StepHarness], None], line: str
) -> None:
    _apply_app(world)
    what(world)
    (found,) = _app(world)
    assert (found.action, found.details[0]) == (Action.CHANGE, line)
    _apply_app(world)
    assert _app(world) == []
    live = [item for item in world.nomad.allocations("alpha", "web")[1] if not item.terminal]
    assert len(live) == 2


def test_values_that_change_by_themselves_do_not_decide_what_a_plan_is(world: StepHarness) -> None:
    more = {"web.nomad.hcl": JOB.replace("    task", '    service {\n name = "alpha--a${uuidv4()}"\n}\n    task', 1)}
    options: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}}

    def planned(**variables: Any) -> Change:
        found = world.plan("nomad.job", {**options, "variables": {**options["variables"], **variables}}, files=more)
        return found[-1]

    assert planned().fingerprint == planned().fingerprint
    assert planned(count=2).fingerprint != planned().fingerprint
    world.apply("nomad.job", options, files=more)
    assert planned().action is Action.CHANGE
    assert planned().fingerprint == planned().fingerprint
    assert planned(count=2).fingerprint != planned().fingerprint


def test_what_nomad_will_start_again_by_itself_is_left_to_it(world: StepHarness) -> None:
    _apply_app(world)
    world.nomad.follows.add(("alpha", "web"))
    _given_up_and_forgotten(world)
    assert _app(world) == []


def test_a_stopped_job_that_runs_again_says_so_in_one_line() -> None:
    (found,) = nomad_plan.changed("nomad.job", "alpha/web", JobPlan((Edit((), "Stop", "true", "false"),)), "runs again")
    assert found.details == ("runs again",)


def test_a_job_that_gets_another_type_is_replaced(world: StepHarness) -> None:
    batch = {"web.nomad.hcl": JOB.replace('job "web" {', 'job "web" {\n  type = "batch"')}
    options: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}}
    world.apply("nomad.job", options)
    (found,) = world.plan("nomad.job", options, files=batch)
    assert (found.action, found.address) == (Action.REPLACE, "alpha/web")
    assert "type: service → batch" in found.details
    world.apply("nomad.job", options, files=batch)
    job = world.nomad.job("alpha", "web")
    assert job is not None
    assert (job["Type"], job["Version"]) == ("batch", 0)


def test_a_job_whose_start_failed_is_planned_to_start_anew(world: StepHarness) -> None:
    world.nomad.fate = Fate.FAILING
    with pytest.raises(StepFailed):
        _apply_app(world)
    assert _app(world)[0].details[0] == "version 0 has failed and will be started again"
    world.nomad.fate = Fate.HEALTHY
    _apply_app(world)
    assert _app(world) == []


def test_an_unchanged_job_makes_no_new_version(world: StepHarness) -> None:
    _apply_app(world)
    before = world.nomad.allocations("alpha", "web")[1]
    _apply_app(world)
    job = world.nomad.job("alpha", "web")
    assert job is not None
    assert job["Version"] == 0
    assert world.nomad.allocations("alpha", "web")[1] == before


@pytest.mark.parametrize("what", ["namespace", "policy", "job"])
def test_a_job_among_things_of_others_is_refused_when_planned(world: StepHarness, what: str) -> None:
    if what == "namespace":
        world.nomad.write_namespace("alpha", "", {"team": "theirs"})
    elif what == "policy":
        world.consul.create_policy("env-alpha", "theirs", {})
    else:
        world.nomad.write_namespace("alpha", "", {MARK: "env-1"})
        group = {"Name": "group", "Count": 1, "Services": [], "Tasks": []}
        world.nomad.register("alpha", {"ID": "web", "Type": "service", "Namespace": "alpha", "TaskGroups": [group]}, 0)
    with pytest.raises(ForeignResource):
        _app(world)


# --- check.http ---


CHECK = {"service": "web", "path": "/health"}


def _serve(world: StepHarness, *, passing: bool = True) -> str:
    world.consul.register(Instance("i1", "alpha--web", "node", "127.0.0.1", 8001, ("http",), {}, passing))
    return "http://127.0.0.1:8001/health"


def test_a_check_plans_nothing_where_there_is_nothing_or_all_is_well(world: StepHarness) -> None:
    assert world.plan("check.http", CHECK) == []
    _serve(world)
    assert world.plan("check.http", CHECK) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(503, ""), "http://127.0.0.1:8001/health answered 503 instead of 200 now"),
        ("connection refused", "http://127.0.0.1:8001/health gave no answer: connection refused now"),
        (None, "it doesn't pass its checks"),
    ],
)
def test_a_service_that_does_not_answer_is_told_at_once(
    world: StepHarness, answer: Answer | str | None, said: str
) -> None:
    url = _serve(world, passing=answer is not None)
    if answer is not None:
        world.web.answers[url] = answer
    assert _told(world.plan("check.http", CHECK)) == [("change", "alpha--web", (said,))]
    assert len(world.web.asked) == (answer is not None), "one look"


# --- agent.local and cluster.trust ---


class Host:
    """A machine with one agent, or without. `warning`: what it says when the agent is started."""

    def __init__(self, found: FoundAgent | None, warning: str = "") -> None:
        self.found = found
        self.warning = warning

    def find(self, agent: str) -> FoundAgent | None:
        return self.found

    def start(
        self,
        agent: str,
        owner: str,
        binaries: Mapping[str, str],
        ports: Mapping[str, Any],
        infra_image: str,
        reserved_ports: Sequence[int],
        limited_port: int,
    ) -> RunningAgent:
        self.found = FoundAgent(owner, "process 1")
        return RunningAgent("http://127.0.0.1:1", "1.0", warning=self.warning)

    def adopt(self, agent: str, address: str, token_file: str, ca_file: str) -> RunningAgent:
        return RunningAgent(address, "1.0")

    def remove(self, agent: str) -> None:
        self.found = None


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, [("create", "consul", ())]),
        (FoundAgent("env-1", "process 7"), []),
        (
            FoundAgent("env-1", "its files are here, it doesn't run", running=False),
            [("change", "consul", ("is started again: its files are here, it doesn't run",))],
        ),
    ],
)
def test_an_agent_is_planned_by_whether_it_runs(found: FoundAgent | None, told: list[Any]) -> None:
    executor = AgentLocal(Host(found))
    context = StepContext(ALPHA, "consul", AgentLocalOptions(agent="consul"), bundle())
    assert _told(executor.plan(context, Run())) == told
    executor.apply(context, Run())
    assert executor.plan(context, Run()) == ()


def test_what_an_agent_cannot_do_on_this_machine_is_told_in_the_log() -> None:
    context = StepContext(ALPHA, "nomad", AgentLocalOptions(agent="nomad"), bundle())
    for warning in ("", "Jobs of different environments reach each other."):
        run = Run()
        AgentLocal(Host(None, warning)).apply(context, run)
        assert run.lines[1:] == ([f"Warning: {warning}"] if warning else [])


def test_an_agent_of_others_is_left_as_it_is() -> None:
    elsewhere = AgentLocalOptions(agent="consul", address="http://127.0.0.1:8500")
    assert AgentLocal(Host(None)).plan(StepContext(ALPHA, "consul", elsewhere, bundle()), Run()) == ()
    foreign = StepContext(ALPHA, "consul", AgentLocalOptions(agent="consul"), bundle())
    with pytest.raises(ForeignResource):
        AgentLocal(Host(FoundAgent("env-2", "process 7"))).plan(foreign, Run())


class Keeper:
    """A cluster that lacks something, or isn't there yet (None)."""

    def __init__(self, lacks: list[Lack] | None) -> None:
        self.lacks = lacks
        self.external_addresses: list[str] = []

    def establish(
        self, external_address: str, before_effect: Callable[[], None], log: Callable[[str], None]
    ) -> Sequence[Lack]:
        self.external_addresses.append(external_address)
        self.lacks = [lack for lack in self.lacks or () if not lack.ours]
        return self.lacks

    def lacking(self, external_address: str) -> Sequence[Lack] | None:
        self.external_addresses.append(external_address)
        return self.lacks

    def keep_authority(self) -> str:
        return "-----BEGIN CERTIFICATE-----"


def test_trust_is_planned_where_it_is_ours_and_refused_where_it_is_not() -> None:
    context = StepContext(ALPHA, "trust", ClusterTrustOptions(), bundle())
    assert _told(ClusterTrust(Keeper(None)).plan(context, Run())) == [
        ("create", "cluster", ("all of it, once its agents run",))
    ]
    ours = ClusterTrust(Keeper([Lack("a role", "OpenBao", "POST /x", ours=True)]))
    assert _told(ours.plan(context, Run())) == [("change", "OpenBao: a role", ("isn't as it must be",))]
    ours.apply(context, Run())
    assert ours.plan(context, Run()) == []
    theirs = ClusterTrust(Keeper([Lack("a role", "OpenBao", "POST /x")]))
    with pytest.raises(StepFailed, match=r"lacks what Calvinverse needs: a role \(OpenBao\)"):
        theirs.plan(context, Run())


def test_the_cluster_is_told_where_people_reach_the_service() -> None:
    keeper = Keeper([])
    options = ClusterTrustOptions(external_address="https://calvinverse.example.org:8443")
    context = StepContext(ALPHA, "trust", options, bundle())
    ClusterTrust(keeper).plan(context, Run())
    ClusterTrust(keeper).apply(context, Run())
    assert keeper.external_addresses == ["https://calvinverse.example.org:8443"] * 2


@pytest.mark.parametrize("address", ["calvinverse.example.org", "https://x.example/", "https://x/a", "https://a b"])
def test_what_is_no_origin_is_refused_when_the_template_is_pushed(address: str) -> None:
    assert ClusterTrust.check({"external_address": address}, bundle()) != []
    assert ClusterTrust.check({"external_address": "{{ parameters.x }}"}, bundle()) == []


# --- parts that are away ---


@pytest.mark.parametrize(("uses", "options", "more"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_nothing_is_planned_when_nobody_can_tell(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch, uses: str, options: dict[str, Any], more: dict[str, Any]
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise BackendUnavailable("It is away.")

    for port, call in (
        (world.consul, "tree"),
        (world.secrets, "head"),
        (world.pki, "role"),
        (world.nomad, "namespace"),
    ):
        monkeypatch.setattr(port, call, away)
    with pytest.raises(BackendUnavailable):
        world.plan(uses, options, **more)
