"""`opentofu.module` without tofu: what is refused in a module, what its words become, and what is done when."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from environments.domain.cleaning import Cleaner
from environments.domain.environment import ResourceRef
from environments.domain.errors import (
    BackendDenied,
    BackendError,
    BackendUnavailable,
    CalvinverseError,
    Cancelled,
    InvalidTemplate,
    LeaseLost,
    MachineError,
    StepFailed,
    StepTimeout,
    Stopping,
)
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.providers.opentofu.faults import StateTrouble, error_of, outdated
from environments.providers.opentofu.messages import Messages
from environments.providers.opentofu.module import OpenTofuModule, OpenTofuModuleOptions
from environments.providers.opentofu.plans import changes, hide
from environments.providers.opentofu.ports import Module, Output, Place, Planned, Settled, Settlement, UnsavedStates
from environments.providers.opentofu.process import grace
from environments.providers.opentofu.removal import ModuleResourceHandler, ModuleStateHandler
from environments.providers.opentofu.rules import module_faults, module_files
from environments.providers.opentofu.run_record import RunRecord
from environments.steps.base import Holder, Owner, Presence, StepContext, StepRun
from tests.fakes.backends.module_states import MemoryModuleKeys, MemoryModuleStates
from tests.support.step_harness import Run

ALPHA = Owner("env-1", "alpha")
PLACE = ("env-1", "net")
MODULE = b'variable "size" {}\noutput "id" { value = 1 }\nresource "x" "a" {}\n'


class FakeTofu:
    """Makes the resources `wants` of an imaginary provider; what exists is in `world`, states are in `states`."""

    def __init__(self, states: MemoryModuleStates) -> None:
        self.states = states
        self.world: set[str] = set()
        self.wants: list[str] = ["x.a"]
        self.calls: list[str] = []
        self.dies = False
        self.fails: CalvinverseError | None = None
        self.outputs: dict[str, Output] = {}
        self.seen: list[Module] = []
        self.planned_outputs: list[Change] = []

    def apply(
        self,
        place: Place,
        module: Module,
        run: StepRun,
        before: Callable[[Planned], None],
        settled: Settled,
        *,
        unsaved: UnsavedStates,
        targets: Sequence[str] = (),
    ) -> Mapping[str, Output]:
        """Fails after it has made everything; or dies, and then nothing is recorded."""
        self.calls.append(f"apply {','.join(targets)}".strip())
        self.seen.append(module)
        there = self._read(place)
        wants = set(targets) if targets else set(self.wants)
        made = sorted(wants - there)
        gone = set() if targets else there - wants
        before(Planned(tuple(made), destroyed=tuple(sorted(gone)), lock=b"lock"))
        if self.fails is not None and targets:
            raise self.fails
        self.world |= wants
        self.world -= gone
        if self.dies:
            raise BackendUnavailable("tofu was killed from outside during its apply.")
        self._write(place, (there | wants) - gone)
        settled(Settlement(frozenset(made), frozenset(gone)))
        if self.fails is not None:
            raise self.fails
        return self.outputs

    def plan(self, place: Place, module: Module, run: StepRun) -> Sequence[Change]:
        """Creates what is missing."""
        self.seen.append(module)
        assert run.holder is not None
        things = [Change(kind="opentofu.resource", address=name, action=Action.CREATE) for name in self.wants]
        return [*things, *self.planned_outputs]

    def destroy(self, place: Place, module: Module, run: StepRun, settled: Settled, *, unsaved: UnsavedStates) -> None:
        """All that is recorded."""
        self.calls.append("destroy")
        self.seen.append(module)
        self.world -= self._read(place)
        self._write(place, set())

    def addresses(self, place: Place, *, encrypted: bool) -> frozenset[str]:
        """What is recorded."""
        self.calls.append("look")
        return frozenset(self._read(place))

    def _read(self, place: Place) -> set[str]:
        state = self.states.states.get((place.owner.id, place.step))
        return set(json.loads(state.versions[-1])["resources"]) if state and state.versions else set()

    def _write(self, place: Place, resources: set[str]) -> None:
        lock = {"ID": "1"}
        key = (place.owner.id, place.step)
        who = self.states.who(place.access.password, key)
        assert who is not None
        self.states.take_lock(key, who, lock)
        content = json.dumps({"lineage": "l", "serial": 1, "resources": sorted(resources)}).encode()
        assert self.states.write(key, who[1], "1", content)
        self.states.drop_lock(key, "1")


class Harness:
    """The executor and its handlers on a fake tofu."""

    def __init__(self) -> None:
        self.states = MemoryModuleStates()
        self.keys = MemoryModuleKeys()
        self.tofu = FakeTofu(self.states)
        self.executor = OpenTofuModule(self.tofu, self.states, self.keys, self.states)
        self.state = ModuleStateHandler(self.executor.modules)
        self.resource = ModuleResourceHandler(self.executor.modules)

    def apply(self, run: Run | None = None, **options: Any) -> dict[str, Any]:
        """Applies the module."""
        return self.executor.apply(self.context(**options), run or Run())

    def context(self, **options: Any) -> StepContext:
        """A step with the module."""
        content = options.pop("content", MODULE)
        given = OpenTofuModuleOptions(folder="net", **{"variables": {"size": 1}, **options})
        return StepContext(ALPHA, "net", given, Bundle(files={"net/main.tf": content}))

    def record(self) -> RunRecord:
        """What is kept for the destroy."""
        return RunRecord.load(self.states.records[PLACE])

    def observe(self) -> Presence:
        """At the state, anew."""
        self.executor.modules.forget(ALPHA, "net")
        return self.state.observe("alpha/net", ALPHA).presence


@pytest.fixture
def harness() -> Harness:
    return Harness()


def ref(address: str) -> ResourceRef:
    return ResourceRef(kind="opentofu.resource", address=f"alpha/net/{address}")


def test_what_will_be_made_is_written_down_first(harness: Harness) -> None:
    run = Run()
    harness.tofu.dies = True
    with pytest.raises(BackendUnavailable):
        harness.apply(run)
    assert run.intended == [ref("x.a")]
    assert harness.record().in_flight == {"x.a"}
    assert harness.record().module.lock == b"lock"
    assert harness.observe() is Presence.OURS
    assert harness.resource.observe("alpha/net/x.a", ALPHA).presence is Presence.OURS


def test_the_state_and_the_key_are_known_beforehand(harness: Harness) -> None:
    resources = harness.executor.resources(harness.context())
    found = {item.ref.kind: (item.ref.address, item.shared, item.rank) for item in resources}
    assert found == {"vault.module_key": ("alpha", True, 0), "opentofu.state": ("alpha/net", False, 0)}


def test_what_ended_by_itself_is_not_in_flight(harness: Harness) -> None:
    harness.tofu.fails = StepFailed("no")
    with pytest.raises(StepFailed):
        harness.apply()
    assert harness.record().in_flight == frozenset()
    harness.tofu.fails = None
    harness.apply()
    harness.tofu.wants = ["x.b"]
    run = Run()
    run.intended = [ref("x.a")]
    harness.apply(run)
    assert run.intended == [ref("x.b")]


def test_what_an_earlier_run_made_and_could_not_settle_is_settled_with_the_next(harness: Harness) -> None:
    harness.apply()
    run = Run()
    harness.apply(run)
    assert run.intended == [ref("x.a")]


def test_a_resumed_apply_of_the_same_just_goes_on(harness: Harness) -> None:
    harness.tofu.dies = True
    with pytest.raises(BackendUnavailable):
        harness.apply()
    harness.tofu.dies = False
    harness.apply()
    assert harness.tofu.calls == ["apply", "apply"]
    assert harness.record().in_flight == frozenset()


@pytest.mark.parametrize("options", [{"variables": {"size": 2}}, {"content": MODULE + b"\n"}])
def test_another_version_first_has_recorded_what_was_in_flight(harness: Harness, options: dict[str, Any]) -> None:
    harness.tofu.dies = True
    with pytest.raises(BackendUnavailable):
        harness.apply()
    harness.tofu.dies = False
    harness.tofu.wants = ["x.b"]
    harness.apply(**options)
    assert harness.tofu.calls == ["apply", "apply x.a", "apply"]
    assert harness.tofu.seen[1].variables == {"size": 1}
    assert harness.tofu.world == {"x.b"}


def test_destroy_records_what_was_in_flight_destroys_observes_and_forgets(harness: Harness) -> None:
    harness.tofu.dies = True
    with pytest.raises(BackendUnavailable):
        harness.apply()
    harness.tofu.dies = False
    harness.tofu.calls.clear()
    harness.resource.destroy("alpha/net/x.a", ALPHA, Run())
    assert harness.tofu.calls == ["apply x.a", "destroy", "look"]
    assert harness.tofu.world == set()
    assert harness.states.records == {}
    assert harness.observe() is Presence.ABSENT
    harness.tofu.calls.clear()
    harness.resource.destroy("alpha/net/x.a", ALPHA, Run())
    harness.state.destroy("alpha/net", ALPHA, Run())
    assert harness.tofu.calls == []


def test_what_cannot_be_recorded_is_named_and_kept_in_mind(harness: Harness) -> None:
    harness.apply()
    harness.tofu.wants, harness.tofu.dies = ["x.a", "x.b"], True
    with pytest.raises(BackendUnavailable):
        harness.apply()
    harness.tofu.dies, harness.tofu.fails = False, StepFailed("quota exceeded")
    with pytest.raises(StepFailed, match=r"x\.b may have been made.*quota exceeded") as caught:
        harness.state.destroy("alpha/net", ALPHA, Run())
    assert caught.value.details == {"left": ["x.b"]}
    assert harness.observe() is Presence.OURS
    # The other one is gone: nothing is wrong with it.
    harness.resource.destroy("alpha/net/x.a", ALPHA, Run())
    with pytest.raises(StepFailed):
        harness.resource.destroy("alpha/net/x.b", ALPHA, Run())


def test_a_state_without_a_run_record_is_only_forgotten_when_it_is_empty(harness: Harness) -> None:
    harness.apply()
    record = harness.states.records.pop(PLACE)
    with pytest.raises(StepFailed, match=r"is lost.*x\.a"):
        harness.state.destroy("alpha/net", ALPHA, Run())
    harness.states.records[PLACE] = record
    harness.keys.keys.clear()
    with pytest.raises(StepFailed, match="key of environment 'alpha' is gone"):
        harness.state.destroy("alpha/net", ALPHA, Run())


def test_a_module_without_resources_leaves_a_state_until_it_is_destroyed(harness: Harness) -> None:
    harness.tofu.wants = []
    harness.apply()
    assert harness.observe() is Presence.OURS
    harness.state.destroy("alpha/net", ALPHA, Run())
    assert harness.observe() is Presence.ABSENT


def test_many_observations_of_one_module_are_one(harness: Harness) -> None:
    harness.apply()
    harness.tofu.calls.clear()
    for _ in range(5):
        harness.resource.observe("alpha/net/x.a", ALPHA)
    assert harness.tofu.calls == ["look"]


def test_sensitive_outputs_are_not_given_on(harness: Harness) -> None:
    harness.tofu.outputs = {"id": Output(1), "password": Output(None, sensitive=True)}
    run = Run()
    assert harness.apply(run) == {"id": 1}
    assert run.lines == ["not given on, because they are sensitive: password"]
    again = Run()
    assert harness.apply(again) == {"id": 1}
    assert again.lines == []
    assert harness.apply(outputs=["id"]) == {"id": 1}
    harness.tofu.outputs = {}
    with pytest.raises(StepFailed, match="no output 'id'"):
        harness.apply(outputs=["id"])


def test_a_plan_makes_nothing_and_names_the_environment(harness: Harness) -> None:
    (change,) = harness.executor.plan(harness.context(), Run())
    assert change.address == "alpha/net/x.a"
    assert harness.keys.keys == {}
    assert harness.states.records == {}


def test_a_plan_tells_outputs_that_change_although_no_resource_does(harness: Harness) -> None:
    harness.tofu.planned_outputs = [
        Change(kind="opentofu.output", address=name, action=Action.CHANGE, details=(f"{name}: 1 → 2",))
        for name in ("id", "small")
    ]
    planned = harness.executor.plan(harness.context(), Run())
    assert [change.kind for change in planned] == ["opentofu.resource"]  # of what is made as a whole, things say enough
    harness.tofu.wants = []
    (made,) = harness.executor.plan(harness.context(), Run())
    assert (made.kind, made.address, made.action) == ("opentofu.state", "alpha/net", Action.CREATE)
    harness.apply()
    (changed,) = harness.executor.plan(harness.context(outputs=["id"]), Run())
    assert (changed.action, changed.details) == (Action.CHANGE, ("output id: 1 → 2",))


def test_a_run_record_is_read_as_it_was_written() -> None:
    module = Module({"main.tf": b"\xff\0", "a/b": b""}, {"x": [1, {"y": None}]}, False, 3, b"lock")
    record = RunRecord(module, frozenset({"x.a"}), frozenset({"x.a", "x.b"}))
    assert RunRecord.load(record.dump()) == record
    assert record.matches(replace(module, lock=b"", parallelism=9))
    assert not record.matches(replace(module, variables={}))
    with pytest.raises(BackendError):
        RunRecord.load(b'{"form": 99}')


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('terraform {\n  backend "s3" {}\n}', "'backend' block"),
        ('terraform { backend "local" { path = "x" } }', "'backend' block"),
        ('terraform {\n  required_version = "1"\n  cloud {\n  }\n}', "'cloud' block"),
        ("terraform {\n  encryption {\n    state {}\n  }\n}", "'encryption' block"),
        ('variable "x" {}', ""),
        ('# terraform { backend "s3" {} }\n/* terraform {\n cloud {} } */ // terraform { encryption {} }', ""),
        ('resource "bucket" "b" {\n  encryption { mode = "x" }\n  cloud {}\n}', ""),
        (
            'terraform {\n  required_providers {\n    cloud = { source = "a/b" }\n    backend = {}\n  }\n}',
            "",
        ),
        ('locals {\n  x = <<-EOT\n    terraform { backend "s3" {} }\n  EOT\n  y = "terraform { cloud {} }"\n}', ""),
    ],
)
def test_blocks_that_are_ours_are_refused_and_no_others(text: str, fault: str) -> None:
    found = list(module_faults({"main.tf": text.encode()}, {}, None))
    assert len(found) == bool(fault)
    assert fault in " ".join(found)


def test_json_modules_are_checked_too() -> None:
    text = json.dumps({"terraform": [{"backend": {"s3": {}}}]}).encode()
    assert list(module_faults({"main.tf.json": text}, {"x": 1}, None)) == [
        "main.tf.json: the module may have no 'backend' block: the state lies with the service"
    ]


def test_what_the_module_does_not_declare_is_named() -> None:
    assert list(module_faults({"main.tf": MODULE}, {"size": 1, "sise": 2}, ["id", "ip"])) == [
        "the module declares no variable 'sise'",
        "the module declares no output 'ip'",
    ]
    assert list(module_faults({"readme": b"", "sub/main.tf": b""}, {}, None)) == [
        "the folder of the module holds no *.tf file"
    ]
    assert list(module_faults({"main.tf": b"", ".terraform/x": b"", "calvinverse.rc": b""}, {}, None)) == [
        "the module may hold no file '.terraform/x'",
        "the module may hold no file 'calvinverse.rc'",
    ]


def test_a_template_is_checked_when_it_is_pushed(harness: Harness) -> None:
    template = b'[template]\nname = "x"\n[[steps]]\nname = "net"\nuses = "opentofu.module"\n'
    bundle = Bundle(files={"net/main.tf": MODULE, "template.toml": template})

    def check(options: dict[str, Any], bundle: Bundle) -> list[str]:
        return [fault.sentence for fault in harness.executor.check(options, bundle)]

    assert check({"folder": "net", "variables": {"size": "{{ parameters.size }}"}}, bundle) == []
    assert check({"folder": "{{ x }}"}, bundle) == []
    assert check({"folder": "none"}, bundle) == ["the template has no folder 'none'"]
    assert "with.folder" in check({}, bundle)[0]
    assert module_files(bundle, ".").keys() == {"net/main.tf", "template.toml"}
    with pytest.raises(InvalidTemplate, match="declares no variable"):
        harness.apply(variables={"size": 1, "other": 2})


def diagnostic(summary: str, detail: str = "", **more: Any) -> bytes:
    told = {"severity": "error", "summary": summary, "detail": detail, **more}
    return json.dumps({"type": "diagnostic", "@message": summary, "diagnostic": told}).encode()


RANGE = {"filename": "main.tf", "start": {"line": 3}}


@pytest.mark.parametrize(
    ("line", "phase", "kind", "says"),
    [
        (diagnostic("Unsupported argument", range=RANGE), "plan", InvalidTemplate, "main.tf:3: Unsupported argument"),
        (
            diagnostic("failed", "status 500", address="x.a", range=RANGE),
            "apply",
            StepFailed,
            "main.tf:3: x.a: failed: status",
        ),
        (diagnostic("failed", address="x.a", range=RANGE), "plan", StepFailed, "x.a: failed"),
        (diagnostic("Error acquiring the state lock", "ID=1"), "apply", BackendUnavailable, "locked by another run"),
        (diagnostic("Failed to query available provider packages", "no a/b"), "init", MachineError, "no a/b"),
        (b"panic: oh dear", "apply", StepFailed, "panic: oh dear"),
        (b"", "apply", StepFailed, "no output"),
    ],
)
def test_what_went_wrong_becomes_one_of_our_errors(
    line: bytes, phase: str, kind: type[CalvinverseError], says: str
) -> None:
    messages = Messages()
    messages.take(line)
    error = error_of(messages, "", phase)
    assert type(error) is kind
    assert says in error.message


@pytest.mark.parametrize(
    ("trouble", "kind", "says"),
    [
        ("refused", BackendDenied, "refuses the module its state"),
        ("away", BackendUnavailable, "can't be reached"),
        ("unreadable", BackendError, "can't be decrypted"),
    ],
)
def test_what_is_wrong_with_a_state_is_found_by_asking_for_it(
    trouble: StateTrouble, kind: type[CalvinverseError], says: str
) -> None:
    messages = Messages()
    messages.take(diagnostic("error loading state: whatever tofu\ncalls it"))
    error = error_of(messages, "", "plan", ask=lambda: trouble)
    assert type(error) is kind
    assert says in error.message
    assert "whatever tofu calls it" in error.message
    assert type(error_of(messages, "", "plan")) is StepFailed


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("HTTP error: 401", BackendDenied),
        ("HTTP error: 409", BackendError),
        ("Failed to upload state: POST http://127.0.0.1:409/401/s-403 giving up", BackendUnavailable),
    ],
)
def test_a_state_that_could_not_be_handed_in_is_told_by_the_answer(detail: str, kind: type[CalvinverseError]) -> None:
    messages = Messages()
    messages.take(diagnostic("the server said HTTP error: 403", address="x.a"))
    messages.take(diagnostic("Failed to save state", detail))
    assert type(error_of(messages, "", "apply", unsaved=True)) is kind


OUR_WORDS = [
    "decryption failed for all provided methods",
    "Encryption error",
    "Error acquiring the state lock",
    "Failed to query available provider packages",
    "Required plugins are not installed",
    "Error refreshing state",
    "Failed to save state",
    "HTTP error: 401",
]


@pytest.mark.parametrize("words", OUR_WORDS)
@pytest.mark.parametrize(
    "more",
    [
        {"range": RANGE},
        {"address": "x.a", "range": RANGE},
        {"address": "x.a"},
        {},
    ],
)
def test_words_of_a_module_or_a_provider_decide_nothing(words: str, more: dict[str, Any]) -> None:
    def blame() -> StateTrouble | None:
        assert not more, "the state is asked for although the complaint is of something in the module"
        return None

    for summary, detail in ((words, ""), ("Resource precondition failed", words)):
        messages = Messages()
        messages.take(b'{"type": "change_summary", "changes": {"add": 0, "operation": "plan"}}')
        messages.take(diagnostic(summary, detail, **more))
        for phase in ("plan", "apply", "destroy"):
            error = error_of(messages, "", phase, ask=blame)
            assert type(error) is StepFailed
            assert error.message.startswith(f"tofu {phase} failed: ")
            assert words in error.message
        assert not outdated(messages)


def test_what_is_wrong_with_values_is_not_called_a_wrong_module() -> None:
    messages = Messages()
    messages.take(b'{"type": "change_summary", "changes": {"add": 0, "operation": "plan"}}')
    messages.take(diagnostic("Invalid value for variable", "too short", range=RANGE))
    error = error_of(messages, "", "plan")
    assert type(error) is StepFailed
    assert error.message == "tofu plan failed: main.tf:3: Invalid value for variable: too short."


def test_nothing_secret_is_passed_on() -> None:
    messages = Messages(Cleaner(["hush"]))
    assert messages.take(diagnostic("refused hush", "the password hush", address="x.a")) == (
        "error: x.a: refused ***: the password ***"
    )
    messages.take(b"hush!")
    assert "hush" not in error_of(messages, "hush", "apply").message + str(messages.plain)
    shown = messages.take(
        b'{"type": "apply_complete", "hook": {"resource": {"addr": "x.a"}, "action": "create", "id_key": "id",'
        b' "id_value": "hush", "elapsed_seconds": 2}}'
    )
    assert shown == "x.a: created in 2 s"


def test_progress_is_told_a_resource() -> None:
    messages = Messages()

    def told(kind: str, action: str) -> str | None:
        hook = {"resource": {"addr": "x.a"}, "action": action, "elapsed_seconds": 10}
        return messages.take(json.dumps({"type": kind, "hook": hook, "change": hook}).encode())

    assert told("apply_start", "delete") == "x.a: destroying"
    assert told("apply_complete", "delete") == "x.a: destroyed in 10 s"
    assert messages.settlement() == Settlement(frozenset({"x.a"}), frozenset({"x.a"}))
    assert told("apply_start", "create") == "x.a: creating"
    assert messages.settlement().gone == frozenset()
    assert told("apply_progress", "create") == "x.a: still creating, 10 s so far"
    assert told("apply_errored", "create") == "x.a: creating failed after 10 s"
    assert told("refresh_start", "read") is None
    assert told("planned_change", "noop") is None
    assert told("planned_change", "replace") == "x.a will be replaced"
    assert messages.planned == {"x.a": ["replace"]}
    assert told("planned_change", "forget") == "x.a will be forgotten"
    assert messages.settlement().gone == {"x.a"}


def show(actions: Sequence[str], **change: Any) -> dict[str, Any]:
    return {
        "resource_changes": [
            {"address": "x.a", "mode": "managed", "type": "x", "change": {"actions": list(actions), **change}},
            {"address": "data.y.b", "mode": "data", "type": "y", "change": {"actions": ["read"]}},
        ]
    }


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        (["create"], Action.CREATE),
        (["update"], Action.CHANGE),
        (["delete"], Action.DESTROY),
        (["delete", "create"], Action.REPLACE),
        (["create", "delete"], Action.REPLACE),
    ],
)
def test_actions_of_a_plan(actions: list[str], action: Action) -> None:
    (change,) = changes(show(actions, before={}, after={}), Cleaner())
    assert change.action is action
    assert changes(show(["no-op"]), Cleaner()) == []


def test_a_change_shows_what_differs_and_nothing_sensitive() -> None:
    (change,) = changes(
        show(
            ["delete", "create"],
            before={"size": 1, "name": "a", "password": "old", "kept": True},
            after={"size": 2, "name": "a", "password": "new", "kept": True},
            after_unknown={"id": True},
            before_sensitive={"password": True},
            after_sensitive={"password": True},
            replace_paths=[["size"]],
        ),
        Cleaner(),
    )
    assert change.details == ("replaced because of size", "id: (none) → (known later)", "size: 1 → 2")
    prints = {
        changes(show(["update"], before={"size": 1}, after={"size": size}), Cleaner())[0].fingerprint for size in (2, 3)
    }
    assert len(prints) == 2
    assert hide({"a": [{"b": "s", "c": 1}]}, {"a": [{"b": True}]}) == {"a": [{"b": "(sensitive)", "c": 1}]}
    many = {f"n{number:02}": number for number in range(30)}
    assert changes(show(["create"], before=None, after=many), Cleaner())[0].details[-1] == "and 10 more"


def test_outputs_of_a_plan() -> None:
    told: dict[str, dict[str, Any]] = {
        "same": {"actions": ["no-op"], "before": 1, "after": 1},
        "null": {"actions": ["create"], "before": None, "after": None},
        "later": {"actions": ["update"], "before": 1, "after": None, "after_unknown": True},
        "password": {"actions": ["update"], "before": "a", "after": "b", "after_sensitive": True},
        "size": {"actions": ["update"], "before": 1, "after": 2},
        "gone": {"actions": ["delete"], "before": 1, "after": None},
    }
    found = changes({"output_changes": told}, Cleaner())
    assert [(change.kind, change.address, *change.details) for change in found] == [
        ("opentofu.output", "gone", "gone: 1 → (none)"),
        ("opentofu.output", "size", "size: 1 → 2"),
    ]


def test_a_change_shows_no_secret_that_tofu_was_given_not_even_a_part() -> None:
    secret = "issued-token-" * 10
    shown = show(["update"], before={"body": "a" * 50}, after={"body": "a" * 50 + secret, "list": [secret]})
    (change,) = changes(shown, Cleaner([secret]))
    assert "issued" not in str(change)


def test_an_output_that_holds_a_secret_of_the_run_is_not_given_on() -> None:
    messages = Messages(Cleaner(["issued-token"]))
    told = {"a": {"sensitive": False, "value": {"x": ["issued-token"]}}, "b": {"sensitive": False, "value": "fine"}}
    messages.take(json.dumps({"type": "outputs", "outputs": told}).encode())
    assert messages.outputs == {"a": Output(None, sensitive=True), "b": Output("fine")}


def test_how_long_tofu_may_take_to_end_depends_on_why() -> None:
    waits = [grace(kind("x")) for kind in (LeaseLost, Stopping, StepTimeout, Cancelled)]
    assert waits == sorted(waits)
    assert grace(Cancelled("x", details={"forced": True})) < grace(Cancelled("x"))


def test_holders_are_told(harness: Harness) -> None:
    harness.apply()
    assert [who for _, who in harness.states.passwords.values()] == [(1, Holder("dep-1", "worker-1", 1))]
